"""Several processes write the evidence at once: nothing is lost, nothing is doubled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.settings import ROOT

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


def test_writers_in_several_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'evidence.db'}"
    database = open_database(url)
    store = EvidenceStore(database)
    store.replays.add("seldon", "wine", {}, 1000, "running", "ann")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, who],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who in ("w1", "w2", "w3")
    ]
    answers = [writer.communicate(timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], [err for _, err in answers]

    assert sum(int(out) for out, _ in answers) == 1000
    assert store.recorded_rows(1) == {(0, row) for row in range(1000)}
    assert len(store.changes(limit=1000)) == 60
    database.dispose()
