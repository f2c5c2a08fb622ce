"""All tests as a table: what was decided on stays as it was, what runs is assessed now."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner

from app.cli import export as export_command
from app.cli.main import cli
from services.decisions.archive import COLUMNS, verdict_table, verdicts_as
from services.decisions.model import Kind
from services.domain import ChangeNote
from services.errors import Unavailable
from services.evidence.export import ExportForm
from services.verdict.model import Assessment
from services.verdict.rule import Rule
from tests.support import verdicts
from tests.support.decisions import LEAD, NAMESPACE, Desk
from tests.support.tracking import tracking_at

BOB = ChangeNote("bob", "it smells of cork")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Three deployments: one decided on `ship`, one that runs with `keep`, one whose test was replaced by another."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with tracking_at(uri):
        desk = Desk.open(tmp_path, uri)
        for name in ("decided", "runs", "replaced"):
            desk.deploy(name, {"a": None, "b": None})
        desk.decide(Kind.PROMOTE, desk.start("decided", "ship"), note=LEAD)
        desk.start("runs", "keep")
        desk.start("replaced", "distrust")
        desk.start("replaced", "distrust")
        yield desk
        desk.close()


def table(desk: Desk) -> pd.DataFrame:
    found = verdict_table(desk.store, desk.evidence.assess)
    assert list(found.columns) == list(COLUMNS)
    return found.set_index(["deployment", "test"], drop=False)


def test_each_test_has_its_rule_verdict_and_decision(desk: Desk) -> None:
    found = table(desk)
    assert found.basis.tolist() == ["decision", "now", "recomputed", "now"]
    assert found.call.tolist() == ["Ship B", "Keep A", "Do not trust yet", "Do not trust yet"]
    assert found.running.tolist() == [False, True, False, True]
    decided, runs, replaced, _ = (found.iloc[row] for row in range(4))
    ship = verdicts.ship()
    assert ship.paired is not None and ship.paired.interval is not None
    interval = ship.paired.interval
    assert (decided.source, decided.n, decided.difference) == ("paired", ship.paired.n, interval.estimate)
    assert (decided.low, decided.high, decided.level) == (interval.low, interval.high, interval.level)
    assert (decided.decided, decided.winner, decided.decided_by, decided.decided_why) == (
        "promote", "b", LEAD.who, LEAD.why,
    )  # fmt: skip
    assert not decided.override and decided.decision_state == "done" and decided.reasons == ship.fired
    assert (decided.alpha, decided.decides, decided.model_b) == (0.05, "paired", "/models/b")
    assert runs.isna().decision and runs.isna().decided_by
    assert "another test was started" in replaced.ended_why
    assert replaced.red_checks and replaced.isna().difference and replaced.withheld


def test_what_was_decided_on_does_not_drift(desk: Desk) -> None:
    before = table(desk).iloc[0]
    desk.evidence.examples.update(decided="distrust", runs="ship")
    after = table(desk)
    assert after.iloc[0].equals(before)
    assert after.iloc[1].call == "Ship B"


def test_an_override_and_an_undo_are_in_the_line(desk: Desk) -> None:
    desk.decide(Kind.KEEP, desk.assess("replaced", "distrust"), note=BOB, override=True)
    desk.decisions.undo(NAMESPACE, "replaced", note=LEAD)
    line = table(desk).iloc[3]
    assert line.override and "43 % of A's sum" in line.overridden
    assert (line.basis, line.decision_state, line.undone_by, line.undone_why) == (
        "decision", "undone", LEAD.who, LEAD.why,
    )  # fmt: skip


def test_a_rule_of_before_says_how_it_is_read(desk: Desk) -> None:
    stored = Rule().to_json()
    del stored["decides"], stored["live_from"]
    desk.store.tests.start(NAMESPACE, "runs", stored, "/models/a", "/models/b", "ann")
    line = table(desk).iloc[-1]
    assert line.decides == "either" and "before Decant knew deciding sources" in line.rule_note


def test_a_test_that_cannot_be_assessed_says_why(desk: Desk) -> None:
    def assess(namespace: str, name: str, test: int | None) -> Assessment:
        if name == "runs":
            raise Unavailable("The engine", "no answer")
        return desk.evidence.assess(namespace, name, test)

    line = verdict_table(desk.store, assess, deployment="runs").iloc[0]
    assert (line.basis, line.headline) == ("none", "The engine does not answer (no answer).")
    assert pd.isna(line.call) and pd.isna(line.as_of)


def test_both_forms_hold_the_same(desk: Desk) -> None:
    found = verdict_table(desk.store, desk.evidence.assess)
    parquet = pd.read_parquet(io.BytesIO(verdicts_as(ExportForm.PARQUET, found)))
    csv = pd.read_csv(io.BytesIO(verdicts_as(ExportForm.CSV, found)))
    assert list(parquet.columns) == list(csv.columns) == list(COLUMNS)
    assert parquet.difference.dropna().tolist() == pytest.approx(csv.difference.dropna().tolist())
    assert str(parquet.began_at.dtype).startswith("datetime64") and parquet.call.tolist() == csv.call.tolist()
    empty = verdict_table(desk.store, desk.evidence.assess, deployment="nobody")
    assert len(empty) == 0 and {str(t) for t in empty.dtypes} == {str(t) for t in found.dtypes}


def test_the_command_writes_them(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = SimpleNamespace(store=desk.store, verdicts=desk.evidence, settings=SimpleNamespace(user="ann"))
    monkeypatch.setattr(export_command, "services", lambda: built)
    target = tmp_path / "tests.csv"
    done = CliRunner().invoke(cli, ("export", str(target), "--verdicts", "--json"))
    assert json.loads(done.stdout)["rows"] == 4 and len(pd.read_csv(target)) == 4
    one = CliRunner().invoke(cli, ("export", str(target), "--verdicts", "--deployment", "decided", "--force"))
    assert one.exit_code == 0 and "1 test in" in one.output
    refused = CliRunner().invoke(cli, ("export", str(tmp_path / "x.csv"), "--verdicts", "--replay", "3"))
    assert refused.exit_code == 2 and "leave out" in refused.output
