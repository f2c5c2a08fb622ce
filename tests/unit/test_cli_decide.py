"""promote, undo-decision and decisions on the command line: what they name, refuse and list; with a small world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from app.cli import changes
from app.cli import decide as commands
from app.cli.main import cli
from services.domain import Phase
from tests.support.decisions import NAMESPACE, Desk
from tests.support.waiting import free_port

Invoke = Callable[..., Result]
NAME = "wine"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two models that MLflow does not know, and a running test of them."""
    opened = Desk.open(tmp_path, f"http://127.0.0.1:{free_port()}")
    opened.deploy(NAME, {"a": None, "b": None})
    opened.start(NAME)
    yield opened
    opened.close()


@pytest.fixture
def invoke(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    settings = SimpleNamespace(user="lead")
    parts = {"decisions": desk.decisions, "operations": desk.operations, "engine": desk.engine}
    built = SimpleNamespace(verdicts=desk.evidence, settings=settings, **parts)
    for module in (commands, changes):
        monkeypatch.setattr(module, "services", lambda: built)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def lines(result: Result) -> list[str]:
    return [line.strip() for line in result.stderr.splitlines()]


def test_promoting_tells_its_steps_and_how_to_take_it_back(invoke: Invoke) -> None:
    result = invoke("promote", NAME, "--reason", "better")
    assert result.exit_code == 0, result.output
    said = lines(result)
    assert said[:3] == ["All traffic goes to b.", "Test 1 ends.", "a takes over from b."]
    assert any(line.startswith("Decided on: Ship B; Mean reward B − A +") for line in said)
    assert said[-1] == (
        "Decision 1 on seldon/wine: b is promoted. `python -m app undo-decision seldon/wine --decision 1` undoes it."
    )


def test_the_end_of_a_test_moves_no_traffic_and_lets_no_arm_take_over(invoke: Invoke) -> None:
    said = lines(invoke("end-test", NAME, "--reason", "no use"))
    assert said[:2] == ["The deployment stays as it is, with its split.", "Test 1 ends."]
    assert not any("takes over" in line or "alias" in line for line in said)
    assert "the test ends without a winner" in said[-1]


def test_what_counts_is_the_verdict_at_the_moment_of_the_decision(desk: Desk, invoke: Invoke) -> None:
    desk.assess(NAME, "distrust")
    refused = invoke("promote", NAME, "--reason", "better", "--json")
    assert refused.exit_code == 2 and "43 % of A's sum" in refused.stderr
    data = json.loads(invoke("promote", NAME, "--reason", "better", "--override", "--json").stdout)
    assert (data["verdict"], data["state"]) == ("Do not trust yet", "done")
    assert data["overridden"] and data["did"][0] == "All traffic goes to b."


class TestDryRun:
    """Makes the checks of the decision and says each; exits as the decision would."""

    def test_nothing_in_the_way(self, desk: Desk, invoke: Invoke) -> None:
        tried = invoke("promote", NAME, "--reason", "better", "--dry-run")
        assert tried.exit_code == 0, tried.output
        assert "All traffic of a and b goes to b at once" in tried.stdout
        assert "refused" not in tried.stderr
        assert desk.decisions.recent(NAMESPACE, NAME) == [] and set(desk.arms(NAME)) == {"a", "b"}

    def test_a_test_that_has_ended(self, invoke: Invoke) -> None:
        invoke("end-test", NAME, "--reason", "no use")
        for command in ("keep", "promote", "end-test"):
            tried = invoke(command, NAME, "--reason", "worse", "--dry-run")
            refused = invoke(command, NAME, "--reason", "worse")
            assert tried.exit_code == refused.exit_code == 2
            assert refused.stderr.splitlines()[0] in tried.stderr and "Test 1 has ended" in refused.stderr
            assert tried.stdout == ""

    def test_a_verdict_for_the_other_arm_and_what_overrides_it(self, desk: Desk, invoke: Invoke) -> None:
        desk.assess(NAME, "keep")
        tried = invoke("promote", NAME, "--reason", "better", "--dry-run")
        assert tried.exit_code == invoke("promote", NAME, "--reason", "better").exit_code == 2
        assert "The verdict is another." in tried.stderr and "`--override`" in tried.stderr
        assert "All traffic of a and b goes to b" in tried.stdout, "what an override would change"
        allowed = invoke("promote", NAME, "--reason", "better", "--dry-run", "--override")
        assert allowed.exit_code == 0 and "Would be overridden, and recorded: The verdict is another." in allowed.stderr

    def test_each_obstacle_is_said_and_the_first_gives_the_exit_code(self, desk: Desk, invoke: Invoke) -> None:
        desk.assess(NAME, "distrust")
        desk.engine.phases[NAMESPACE, NAME, "b"] = (Phase.FAILED, "no memory is left")
        tried = invoke("promote", NAME, "--reason", "better", "--dry-run", "--json")
        assert tried.exit_code == 2
        data = json.loads(tried.stdout)
        assert data["changes"] == [] and data["overridden"] == []
        assert [(one["exit_code"], one["option"]) for one in data["refusals"]] == [(2, "--override"), (5, "")]
        assert "43 % of A's sum" in data["refusals"][0]["sentence"]
        assert "no memory is left" in data["refusals"][1]["sentence"]
        overridden = invoke("promote", NAME, "--reason", "better", "--override", "--dry-run")
        assert overridden.exit_code == invoke("promote", NAME, "--reason", "better", "--override").exit_code == 5

    def test_a_deployment_that_another_tool_manages(self, desk: Desk, invoke: Invoke) -> None:
        desk.engine.managers[NAMESPACE, NAME] = "argocd-controller"
        tried = invoke("promote", NAME, "--reason", "better", "--dry-run")
        assert tried.exit_code == invoke("promote", NAME, "--reason", "better").exit_code == 4
        assert "managed by argocd-controller" in tried.stderr and "`--take-over`" in tried.stderr
        taken = invoke("promote", NAME, "--reason", "better", "--dry-run", "--take-over")
        assert taken.exit_code == 0 and "takes the deployment over from argocd-controller" in taken.stdout

    def test_a_reason_of_blanks(self, invoke: Invoke) -> None:
        tried = invoke("keep", NAME, "--reason", " ", "--dry-run")
        assert tried.exit_code == 2 and "the reason is blank; say in a few words why" in tried.stderr


def test_undo_names_the_decision_and_is_bound_to_it(desk: Desk, invoke: Invoke) -> None:
    for reason in ("no use", "still none"):
        invoke("end-test", NAME, "--reason", reason)
        desk.start(NAME)
    stale = invoke("undo-decision", NAME, "--decision", "1", "--reason", "cork")
    assert stale.exit_code == 4
    assert "decision 2 (end-test) by lead is newer than decision 1" in stale.stderr
    undone = invoke("undo-decision", NAME, "--reason", "cork")
    assert undone.exit_code == 0, undone.output
    assert lines(undone)[0] == ("To be taken back: Decision 2 on seldon/wine (the test ends without a winner, by lead)")
    assert [d.undone_who for d in desk.decisions.recent(NAMESPACE, NAME)] == ["lead", ""]


def test_undo_says_that_its_models_still_load(desk: Desk, invoke: Invoke) -> None:
    invoke("promote", NAME, "--reason", "better")
    desk.engine.phases[NAMESPACE, NAME, "b"] = (Phase.LOADING, "its model is loaded")
    undone = invoke("undo-decision", NAME, "--reason", "cork")
    assert undone.exit_code == 0 and "take over by themselves" in lines(undone)[-1]


def test_the_list_says_what_was_overridden_and_who_took_what_back(desk: Desk, invoke: Invoke) -> None:
    desk.assess(NAME, "distrust")
    invoke("keep", NAME, "--reason", "fire", "--override")
    invoke("undo-decision", NAME, "--decision", "1", "--reason", "cork")
    result = invoke("decisions", NAME)
    titles, line = result.stdout.splitlines()
    assert "state" in titles.split() and "overridden" in titles.split()
    assert line.split()[0] == "1" and "undone by lead" in line and "  yes  " in line
    assert lines(result)[-1] == "Decision 1: undone by lead: cork"
    assert "43 % of A's sum" in lines(result)[0]


def test_the_history_names_the_decision_beside_its_plain_reason(invoke: Invoke) -> None:
    invoke("promote", NAME, "--reason", "better")
    invoke("undo-decision", NAME, "--reason", "cork")
    trail = invoke("history", NAME).stdout.splitlines()[1:]
    assert not any("[" in line for line in trail)
    assert "undo-decision (decision 1)" in trail[0] and trail[0].split()[-1] == "cork"
    assert any("promote (decision 1)" in line and line.split()[-1] == "better" for line in trail)
