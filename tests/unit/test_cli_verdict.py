"""verdict, report and test on the command line: words, JSON, exit codes; with example verdicts behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from app.cli import verdict as verdict_commands
from app.cli import verdict_tests as test_commands
from app.cli.main import cli
from services.errors import Unavailable
from services.traffic.rewards import RewardKind
from services.verdict.rule import Decides, LiveFrom, Rule, assumed
from tests.support.verdicts import EXAMPLES, START, ExampleVerdicts, ab_test

Invoke = Callable[..., Result]


@pytest.fixture
def verdicts() -> ExampleVerdicts:
    return ExampleVerdicts()


@pytest.fixture
def invoke(verdicts: ExampleVerdicts, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    built = SimpleNamespace(verdicts=verdicts, settings=SimpleNamespace(user="ann"))
    for module in (verdict_commands, test_commands):
        monkeypatch.setattr(module, "services", lambda: built)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(("name", "code"), [("ship", 0), ("keep", 0), ("running", 10), ("fresh", 10), ("distrust", 11)])
def test_the_exit_code_is_the_call(invoke: Invoke, name: str, code: int):
    result = invoke("verdict", name)
    assert result.exit_code == code, result.output
    assert result.stdout.startswith(EXAMPLES[name]().call.value)


def test_for_people_it_says_reason_checks_table_and_what_is_missing(invoke: Invoke):
    said = invoke("verdict", "ship").stdout.replace("\u202f", " ")
    assert "B earns" in said
    assert said.count("✓ ") == 6
    lines = [line for line in said.splitlines() if line.startswith("Mean reward  ")]
    assert [("paired replay" in line, "B is better" in line) for line in lines] == [(True, True), (False, False)]
    assert "a decision is likely after about 170,000 more rewards" in said
    assert "Start a new test with the bounded reward" in invoke("verdict", "distrust").stdout


def test_json_holds_the_whole_assessment(invoke: Invoke):
    data = json.loads(invoke("verdict", "distrust", "--json").stdout)
    assert data["call"] == "Do not trust yet"
    assert data["decidable"] is False
    assert len(data["blockers"]) == 1
    assert data["test"]["rule"]["reward"]["kind"] == "bounded"
    assert {check["key"]: check["light"] for check in data["checks"]}["reward"] == "red"
    assert data["paired"]["n"] == 800
    assert data["paired"]["interval"] is None
    rows = {(row["key"], row["source"]): row for row in data["table"]}
    assert rows["rmse", "paired"]["better"] == "b"
    assert rows["errors", "live"]["better"] == ""
    assert json.loads(invoke("verdict", "running", "--json").stdout)["paired"] is None


def test_a_past_test_can_be_asked_for(invoke: Invoke, verdicts: ExampleVerdicts):
    verdicts.past["wine"] = [ab_test("wine", id=2), ab_test("wine", id=1, ended_at=START, ended_why="decided")]
    assert json.loads(invoke("verdict", "wine", "--test", "1", "--json").stdout)["test"]["id"] == 1
    missing = invoke("verdict", "wine", "--test", "7")
    assert missing.exit_code == 3


def test_no_test_and_a_silent_part_are_errors_not_verdicts(invoke: Invoke, verdicts: ExampleVerdicts):
    result = invoke("verdict", "nothing")
    assert result.exit_code == 3
    assert "There is no" in result.stderr
    assert "Begin one with `python -m app test start nothing --namespace seldon --why" in result.stderr
    assert "Begin one with" in invoke("test", "end", "nothing", "--why", "x").stderr
    verdicts.down = Unavailable("The evidence store")
    assert invoke("verdict", "ship").exit_code == 5


@pytest.mark.parametrize("why", ["", "  "])
@pytest.mark.parametrize("verb", ["start", "end"])
def test_a_test_needs_a_reason_that_says_something(
    invoke: Invoke, verdicts: ExampleVerdicts, verb: str, why: str
) -> None:
    refused = invoke("test", verb, "ship", "--why", why)
    assert refused.exit_code == 2 and "the reason is blank" in refused.stderr
    assert verdicts.started == []


def test_the_report_is_a_file(invoke: Invoke, tmp_path: Path):
    target = tmp_path / "ship.html"
    result = invoke("report", "ship", "-o", str(target))
    assert result.exit_code == 0
    assert "Ship B: the report of test 3" in result.stderr
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert invoke("report", "ship", "-o", "-").stdout == target.read_text()
    assert invoke("report", "ship", "-o", str(tmp_path / "no" / "folder.html")).exit_code == 2


def test_a_test_starts_with_what_is_given_and_proposed_values_for_the_rest(invoke: Invoke, verdicts: ExampleVerdicts):
    options = ("--minimum-effect", "0.002", "--slow-ms", "50", "--reward", "squared", "--planned-rows", "1000")
    result = invoke("test", "start", "wine", "--why", "better?", *options)
    assert result.exit_code == 0, result.output
    ((rule, note),) = verdicts.started
    assert (rule.minimum_effect, rule.planned_pairs, rule.guardrails.slow_ms) == (0.002, 1000, 50)
    assert (rule.alpha, rule.planned_live, rule.guardrails.error_increase) == (0.05, 5000, 0.01)
    assert rule.reward.kind is RewardKind.SQUARED
    assert (note.who, note.why) == ("ann", "better?")
    assert "Rule of test 1: a is A, b is B" in result.stdout


def test_the_source_that_decides_is_part_of_the_rule(invoke: Invoke, verdicts: ExampleVerdicts):
    said = invoke("test", "start", "wine", "--why", "better?", "--decides", "either").stdout
    assert "Decided by: either source, each at half of alpha" in said
    started = json.loads(invoke("test", "start", "wine", "--why", "again", "--decides", "live", "--json").stdout)
    assert started["rule"]["decides"] == "live"
    invoke("test", "start", "wine", "--why", "as proposed")
    assert [rule.decides for rule, _ in verdicts.started] == [Decides.EITHER, Decides.LIVE, Decides.PAIRED]
    assert invoke("test", "start", "wine", "--why", "x", "--decides", "both").exit_code == 2
    assert set(test_commands.DECIDES) == {str(source) for source in Decides}


def test_where_live_traffic_is_read_is_part_of_the_rule(invoke: Invoke, verdicts: ExampleVerdicts):
    said = invoke("test", "start", "wine", "--why", "better?", "--live-from", "ledger").stdout
    assert "Live traffic: read from the ledger: what Decant itself sent" in said
    invoke("test", "start", "wine", "--why", "as usual")
    assert [rule.live_from for rule, _ in verdicts.started] == [LiveFrom.LEDGER, None]


def test_how_an_older_rule_is_read_and_what_the_other_place_says_are_told(invoke: Invoke, verdicts: ExampleVerdicts):
    stored = Rule().to_json()
    del stored["decides"]
    verdicts.past["ship"] = [ab_test("ship", Rule.from_json(stored), read_as=assumed(stored))]
    for command in (("verdict", "ship"), ("test", "show", "ship")):
        assert "fixed before Decant knew deciding sources" in invoke(*command).stdout
    said = invoke("verdict", "unread").stdout
    assert "reads live traffic from the arms’ counters" in said
    assert "For information only" in said and "by the ledger (4,000 rewards)" in said


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (["--formula", "exp(-abs(y - y_pred))"], RewardKind.FORMULA),
        (["--scale", "2"], RewardKind.BOUNDED),
        (["--reward", "hit"], RewardKind.HIT),
    ],
)
def test_rewards(invoke: Invoke, verdicts: ExampleVerdicts, options: list[str], kind: RewardKind):
    assert invoke("test", "start", "wine", "--why", "x", *options, "--json").exit_code == 0
    reward = verdicts.started[0][0].reward
    assert reward.kind is kind
    assert reward.scale == (2 if "--scale" in options else 1)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--alpha", "0.5"],
        ["--challenger", "a"],
        ["--slow-ms", "77"],
        ["--reward", "hit", "--formula", "y"],
        ["--reward", "luck"],
    ],
)
def test_an_impossible_rule_is_refused(invoke: Invoke, verdicts: ExampleVerdicts, wrong: list[str]):
    result = invoke("test", "start", "wine", "--why", "x", *wrong)
    assert result.exit_code == 2
    assert verdicts.started == []


def test_the_rewards_offered_are_those_there_are():
    assert set(test_commands.REWARDS) == {str(kind) for kind in RewardKind}


def test_a_test_needs_a_reason(invoke: Invoke):
    assert invoke("test", "start", "wine").exit_code == 2
    assert invoke("test", "end", "wine").exit_code == 2


def test_end_and_show(invoke: Invoke, verdicts: ExampleVerdicts):
    assert invoke("test", "show", "wine").exit_code == 3
    invoke("test", "start", "wine", "--why", "first")
    invoke("test", "start", "wine", "--why", "second")
    assert invoke("test", "end", "wine", "--why", "wrong data").exit_code == 0
    again = invoke("test", "end", "wine", "--why", "wrong data")
    assert again.exit_code == 2
    assert "test 2 has ended: wrong data" in again.stderr
    shown = invoke("test", "show", "wine").stdout
    assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [["2", "ended"], ["1", "ended"]]
    data = json.loads(invoke("test", "show", "wine", "--json").stdout)
    assert [entry["why"] for entry in data] == ["second", "first"]


@pytest.mark.parametrize(("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_the_table_of_a_verdict_as_a_file(
    invoke: Invoke, tmp_path: Path, ending: str, read: Callable[..., pd.DataFrame]
):
    path = tmp_path / f"wine.{ending}"
    assert invoke("report", "ship", "-o", str(path)).exit_code == 0
    frame, example = read(path), EXAMPLES["ship"]()
    assert frame["metric"].tolist() == [row.key for row in example.table]
    assert set(frame["call"]) == {"Ship B"}
    first = example.table[0]
    assert first.difference is not None
    assert frame.loc[0, ["a", "n_a", "low", "high"]].tolist() == pytest.approx(
        [first.a.value, first.a.n, first.difference.low, first.difference.high]
    )
