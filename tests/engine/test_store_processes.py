"""Several processes write the evidence at once, or are killed while they do: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.settings import ROOT
from tests.support.old_evidence import make_old
from tests.support.outcomes import check_pairs, check_sums, new_replay, paired_replay

WRITER = """
import sys
from datetime import UTC, datetime
from services.domain import Change, Outcome, OutcomeStatus
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore

url, who = sys.argv[1:]
store = EvidenceStore(open_database(url))
new = 0
for start in range(0, 1000, 50):
    rows = [
        Outcome(f"r1-0-{row}", "seldon", "wine", who, "a=80,b=20", 1, row, 5.0, 6, 0.5, 1.0, OutcomeStatus.OK,
                datetime.now(UTC))
        for row in range(start, start + 50)
    ]
    new += store.record_outcomes(rows)
    store.record_change(Change(datetime.now(UTC), who, "split", "seldon", "wine", "a=80,b=20", "a=50,b=50"))
    store.replays.progress(1, new, {"who": who})
print(new)
"""

PAIRS = """
import sys
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from tests.support.outcomes import paired

url, arm, rows = sys.argv[1:]
store = EvidenceStore(open_database(url))
new = 0
for start in range(0, int(rows), 20):
    batch = [paired(row, arm, reward=row % 7 / 7, prediction=float(row % 5)) for row in range(start, start + 20)]
    new += store.record_outcomes(batch)
    print(start + 20, flush=True)
print(new)
"""

ATTACH = """
import sys
from services.evidence.database import open_database
from services.evidence.late import LateTruth
from services.evidence.store import EvidenceStore
from tests.support.outcomes import NearTruth

url, rows = sys.argv[1:]
store = EvidenceStore(open_database(url))
for start in range(0, int(rows), 10):
    late = [LateTruth(f"r1-0-{row}-{arm}", truth=row % 3) for row in range(start, start + 10) for arm in "ab"]
    store.ledger.attach(late, NearTruth(), who="ann", overwrite=True)
    print(start + 10, flush=True)
"""

SUM = """
import sys
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore

sys.stdin.readline()
store = EvidenceStore(open_database(sys.argv[1]))
print(sum(b.sent for b in store.ledger.blocks("seldon", "wine")))
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def finish(*processes: subprocess.Popen[str], say: str = "") -> list[str]:
    """The last line that each printed; all must have ended well."""
    answers = [process.communicate(say, timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), [err for _, err in answers]
    return [(out.strip().splitlines() or [""])[-1] for out, _ in answers]


def kill_after(process: subprocess.Popen[str], lines: int) -> None:
    """kill -9 once it has printed so many lines."""
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'evidence.db'}"


@pytest.fixture
def store(url: str) -> Iterator[EvidenceStore]:
    database = open_database(url)
    yield EvidenceStore(database)
    database.dispose()


def test_writers_in_several_processes(store: EvidenceStore, url: str) -> None:
    new_replay(store)
    answers = finish(*(start(WRITER, url, who) for who in ("w1", "w2", "w3")))
    assert sum(int(out) for out in answers) == 1000
    assert store.recorded_rows(1) == {(0, row) for row in range(1000)}
    assert len(store.changes(limit=1000)) == 60
    for who in ("w1", "w2", "w3"):
        check_sums(store, who)


def test_both_halves_of_pairs_from_two_processes(store: EvidenceStore, url: str) -> None:
    paired_replay(store)
    answers = finish(*(start(PAIRS, url, arm, "400") for arm in "aab"))
    assert sum(int(out) for out in answers) == 800
    assert check_pairs(store) == 400
    check_sums(store, "a")
    check_sums(store, "b")


def test_a_writer_killed_at_any_moment_leaves_rows_and_sums_that_agree(store: EvidenceStore, url: str) -> None:
    paired_replay(store)
    chance = random.Random(1)
    for _ in range(2):
        for arm in "ab":
            kill_after(start(PAIRS, url, arm, "100000"), lines=chance.randint(1, 30))
        check_pairs(store)
        check_sums(store, "a")
        check_sums(store, "b")
    finish(*(start(PAIRS, url, arm, "800") for arm in "ab"))
    check_sums(store, "a")
    assert check_pairs(store) >= 800
    rows = [(o.pass_, o.row, o.predictor) for o in store.outcomes("seldon", "wine", limit=10**6)]
    assert len(rows) == len(set(rows))


def test_late_truths_of_a_killed_process_are_whole(store: EvidenceStore, url: str) -> None:
    paired_replay(store)
    finish(*(start(PAIRS, url, arm, "400") for arm in "ab"))
    kill_after(start(ATTACH, url, "400"), lines=7)
    assert check_pairs(store) == 400
    finish(*(start(ATTACH, url, "400") for _ in range(2)))
    assert check_pairs(store) == 400
    check_sums(store, "b")
    assert {o.truth for o in store.outcomes("seldon", "wine", limit=1000)} == {0, 1, 2}


@pytest.mark.parametrize("make", [make_old, lambda path: None], ids=["old", "new"])
def test_several_processes_may_open_a_database_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "shared.db")
    answers = finish(*(start(SUM, f"sqlite:///{tmp_path / 'shared.db'}") for _ in range(4)), say="go\n")
    assert set(answers) == {"251" if make is make_old else "0"}
