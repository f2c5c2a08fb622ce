"""`truth` and `export`: the ledger from the command line, with nobody behind the gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from app.cli.main import cli
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.verdict.rule import Rule
from tests.support.outcomes import new_replay, outcome
from tests.support.waiting import free_port

Invoke = Callable[..., Result]
BOUNDED = {"kind": "bounded", "scale": 1.0}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceStore]:
    """The ledger of the installation that the commands talk to: five rows of a replay without truths."""
    monkeypatch.setenv("DECANT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DECANT_GATEWAY_PORT", str(free_port()))
    monkeypatch.setenv("DECANT_USER", "ada")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    database = open_database(f"sqlite:///{tmp_path / 'state' / 'decant.db'}")
    store = EvidenceStore(database)
    new_replay(store, reward=BOUNDED)
    store.ledger.record([outcome(n, prediction=5.0, truth=None, reward=None) for n in range(5)])
    yield store
    database.dispose()


def decant(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=input)


@pytest.fixture
def truths(tmp_path: Path) -> str:
    (tmp_path / "t.csv").write_text("puid,truth\nr1-0-0,5\nr1-0-1,6\nsomebody-else,6\nr1-0-2,\n")
    return str(tmp_path / "t.csv")


def test_truths_reach_the_ledger_and_wait_for_their_arm(store: EvidenceStore, truths: str) -> None:
    dry = json.loads(decant("truth", truths, "--dry-run", "--json").stdout)
    assert (dry["attached"], dry["dry_run"]) == (2, True)
    result = decant("truth", truths, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["lines"], answer["attached"], answer["unknown"], answer["bad"]) == (4, 2, 1, 1)
    assert answer["unknown_puids"] == ["somebody-else"]
    assert answer["bad_lines"] == [{"line": 5, "words": "there is no truth"}]
    assert (answer["fed"], answer["unfed"]) == (0, 2)
    assert "deployment" in answer["feedback_error"]  # there is none of that name
    (block,) = store.ledger.blocks("seldon", "wine")
    assert (block.reward.n, block.reward.total, block.feedback_failed) == (2, 1.5, 2)


def test_what_is_there_is_replaced_only_when_asked_for(store: EvidenceStore, truths: str) -> None:
    assert decant("truth", truths).exit_code == 0
    other = "puid,truth\nr1-0-0,7\n"
    report = json.loads(decant("truth", "-", "--json", input=other).stdout)
    assert (report["kept"], report["contradicts"]) == (0, 1)
    told = decant("truth", "-", input=other)
    assert told.exit_code == 2, "not one line was of use"
    assert decant("truth", "-", input=other + "r1-0-1,6\n").exit_code == 0
    assert "1 contradicts what is stored, which stays; use --replace to replace it." in told.stderr
    assert "Line 2: the truth stored for r1-0-0 is 5, the file says 7." in told.stderr
    replaced = decant("truth", "-", "--replace", "--reward", "squared", "--why", "typo", "--json", input=other)
    assert json.loads(replaced.stdout)["replaced"] == 1
    (changed,) = [o for o in store.outcomes("seldon", "wine") if o.puid == "r1-0-0"]
    assert (changed.truth, changed.reward) == (7, -4.0)


def test_people_are_told_what_became_of_each_line(store: EvidenceStore, truths: str) -> None:
    result = decant("truth", truths)
    assert "attached" in result.stdout and "unknown puid" in result.stdout
    for words in ("somebody-else", "Line 5: there is no truth.", "--resend"):
        assert words in result.stderr
    assert "0 rewards reached the counters" in decant("truth", "--resend").stderr


def test_people_are_told_which_rewards_stay_in_the_ledger(store: EvidenceStore) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    store.ledger.record([outcome(n, puid=f"old-{n}", truth=None, reward=None, at=yesterday) for n in (7, 8, 9)])
    store.tests.start("seldon", "wine", Rule("a", "b").to_json(), "models:/a", "models:/b", "ada")
    result = decant("truth", "-", input="puid,truth\nold-7,6\nold-8,6\n")
    assert "2 stay in the ledger alone: they were sent before the A/B test began." in result.stderr
    answer = json.loads(decant("truth", "-", "--json", input="puid,truth\nold-9,6\n").stdout)
    assert (answer["fed"], answer["unfed"], list(answer["aside"].values())) == (0, 0, [1])


def test_only_one_deployment(store: EvidenceStore, truths: str) -> None:
    result = decant("truth", truths, "--deployment", "beer", "--json")
    answer = json.loads(result.stdout)
    assert (answer["attached"], answer["unknown"], answer["bad"]) == (0, 3, 1)
    assert result.exit_code == 2, "not one line says anything of what is in the ledger"


@pytest.mark.parametrize("arguments", [[], ["x.csv", "--resend"], ["--resend", "--dry-run"], ["-", "--scale", "2"]])
def test_wrong_usage(store: EvidenceStore, arguments: list[str]) -> None:
    assert decant("truth", *arguments).exit_code == 2


def test_files_that_cannot_be_used(store: EvidenceStore, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("id,label\n1,2\n")
    result = decant("truth", str(tmp_path / "odd.csv"))
    assert result.exit_code == 2 and "no column “puid”" in result.stderr
    assert decant("truth", str(tmp_path / "none.csv")).exit_code == 3
    folder = decant("truth", str(tmp_path))
    assert folder.exit_code == 2 and f"{tmp_path} is a folder." in folder.stderr


def test_truths_that_earn_nothing_are_counted_with_what_to_do(store: EvidenceStore) -> None:
    store.ledger.record([outcome(n, puid=f"single-{n}", replay=None, truth=None, reward=None) for n in (1, 2)])
    text = "puid,truth\nsingle-1,6\nsingle-2,6\nr1-0-0,5\n"
    dry = decant("truth", "-", "--dry-run", input=text)
    assert "2 truths would have no reward, because no replay sent their rows and none was named." in dry.stderr
    told = decant("truth", "-", input=text)
    assert told.exit_code == 0 and "2 truths have no reward, because no replay" in told.stderr
    assert "Give the same file with `--reward bounded`" in told.stderr
    answer = json.loads(decant("truth", "-", "--reward", "bounded", "--json", input=text).stdout)
    assert (answer["attached"], answer["kept"], answer["unpriced"]) == (2, 1, 0)
    assert all(o.reward is not None for o in store.outcomes("seldon", "wine") if o.puid.startswith("single"))


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_outcomes_as_a_file(store: EvidenceStore, tmp_path: Path, ending: str) -> None:
    file = str(tmp_path / f"out.{ending}")
    result = decant("export", file, "--deployment", "wine", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"file": file, "format": ending, "rows": 5}
    found = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
    assert found.prediction.tolist() == [5.0] * 5
    again = decant("export", file)
    assert again.exit_code == 2 and "--force" in again.stderr
    assert "0 outcomes" in decant("export", file, "--force", "--deployment", "beer").stderr


def test_exports_that_cannot_be(store: EvidenceStore, tmp_path: Path) -> None:
    result = decant("export", str(tmp_path / "no" / "x.csv"))
    assert result.exit_code == 2 and "cannot be written: No such file or directory" in result.stderr
    assert decant("export", str(tmp_path / "x.doc")).exit_code == 2
    assert decant("export", str(tmp_path / "x.csv"), "--replay", "9").exit_code == 3
    assert decant("export", str(tmp_path / "x.csv"), "--test", "9").exit_code == 3
    assert decant("export", str(tmp_path / "x.csv"), "--test", "1", "--deployment", "wine").exit_code == 2
    assert list(tmp_path.glob("x.*")) == []
