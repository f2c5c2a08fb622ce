"""Decisions with everything real: the local engine under load, MLflow, the worker, the command line, and kill -9."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

from services.decisions.model import Kind, State
from services.domain import ChangeNote, Deployment
from services.settings import ROOT
from services.verdict.rule import Rule
from tests.support.ab_test import NAMESPACE, deploy
from tests.support.decision_models import Trained, trained_at
from tests.support.load import Load
from tests.support.system import System
from tests.support.waiting import wait_until

LEAD = ChangeNote("lead", "fewer bad bottles")
READY_S = 120
A, B = 1.0, 2.0
"""What the two models answer to everything."""


@pytest.fixture(scope="module")
def trained(system: System) -> Iterator[Trained]:
    with trained_at(system.settings.tracking_uri, {"a": A, "b": B}) as models:
        yield models


@pytest.fixture
def name(system: System, trained: Trained) -> Iterator[str]:
    """A deployment of the test's own, with a running test."""
    found = f"wine-{uuid.uuid4().hex[:6]}"
    deploy(system.services, found, trained.models, (80, 20))
    system.services.verdicts.start(NAMESPACE, found, Rule(), note=ChangeNote("ann", "is b better?"))
    yield found
    system.services.operations.delete(NAMESPACE, found, note=LEAD)


def client(system: System) -> MlflowClient:
    return MlflowClient(system.settings.tracking_uri)


def champion(system: System, registered: str) -> str | None:
    """The run behind the alias."""
    version = client(system).get_registered_model(registered).aliases.get("champion")
    return None if version is None else str(client(system).get_model_version(registered, version).run_id)


def registered_name(system: System, run_id: str) -> str:
    """Where the tests before have registered the model, if they have."""
    versions = client(system).search_model_versions(f"run_id = '{run_id}'")
    return str(versions[0].name)


def finished(system: System, name: str) -> bool:
    (made,) = system.services.decisions.recent(NAMESPACE, name)
    return made.finished


def in_force(system: System, name: str) -> dict[str, int] | None:
    """The shares that the gateway gives."""
    split = system.services.engine.get(NAMESPACE, name).in_force
    return None if split is None else split.as_dict()


def served(system: System, name: str) -> Deployment:
    """The deployment, once it is as it was asked for."""
    return wait_until(
        lambda: (found := system.services.engine.get(NAMESPACE, name)).settled and found.deployment,
        timeout_s=READY_S,
        what=f"{name} to be settled",
    )


def test_a_promotion_under_load_loses_no_request_and_asks_the_loser_no_more(
    system: System, trained: Trained, name: str
) -> None:
    built = system.services
    before = built.engine.get(NAMESPACE, name).deployment
    with Load(built.engine.endpoint(NAMESPACE, name).url) as load:
        wait_until(lambda: {a.arm for a in load.answers} == {"a", "b"}, what="traffic on both arms")
        made = built.decisions.decide(Kind.PROMOTE, NAMESPACE, name, note=LEAD, override=True)  # there is no evidence
        assert made.gaps == ()
        wait_until(
            lambda: (
                (found := built.engine.get(NAMESPACE, name).in_force) is not None and found.as_dict().get("a") != 80
            ),
            what="all traffic on the winner",
        )
        moved = time.monotonic()
        # The worker finishes it: nobody here looks after it any more.
        wait_until(lambda: finished(system, name), timeout_s=READY_S, what="the champion's arm to take over")
        served(system, name)
        taken_over = time.monotonic()
        wait_until(lambda: len(load.since(taken_over)) > 20, what="traffic after the takeover")
    assert load.failures == []
    assert {json.dumps(a.value) for a in load.since(moved)} == {json.dumps([B])}
    assert {a.arm for a in load.since(taken_over)} == {"a"}

    after = served(system, name)
    assert [(p.name, p.model_uri, p.traffic) for p in after.predictors] == [("a", before.predictor("b").model_uri, 100)]
    registered = after.predictor("a").provenance.registered_name or ""
    assert champion(system, registered) == trained.runs["b"]
    newest, oldest = built.operations.history(NAMESPACE, name)[:2]
    assert {newest.what, oldest.what} == {"promote"} and "fewer bad bottles" in oldest.why

    with Load(built.engine.endpoint(NAMESPACE, name).url) as load:
        undone = built.decisions.undo(NAMESPACE, name, note=LEAD)
        wait_until(lambda: {a.arm for a in load.answers} == {"a", "b"}, timeout_s=READY_S, what="traffic on both arms")
    assert load.failures == []
    assert undone.state is State.UNDONE
    assert served(system, name).predictors == before.predictors
    assert champion(system, registered) != trained.runs["b"]


def test_the_story_on_the_command_line(system: System, trained: Trained, name: str) -> None:
    refused = system.run("promote", name, "--reason", "I like it")
    assert refused.returncode == 2
    assert "does not carry this decision" in refused.stderr and "override" in refused.stderr
    assert "Traceback" not in refused.stderr
    planned = system.run("promote", name, "--reason", "I like it", "--dry-run", "--json")
    assert any("All traffic" in line for line in json.loads(planned.stdout)["changes"])
    assert system.services.decisions.recent(NAMESPACE, name) == []

    done = system.run("promote", name, "--reason", "I like it", "--override", "--json", timeout_s=240)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["state"], said["winner"], said["who"], said["why"]) == ("done", "b", "tester", "I like it")
    assert said["overridden"]
    registered = registered_name(system, trained.runs["b"])
    assert champion(system, registered) == trained.runs["b"]

    single = system.run("undo", name)
    assert single.returncode == 2 and "undo-decision" in single.stderr
    listed = json.loads(system.run("decisions", name, "--json").stdout)
    assert [d["id"] for d in listed] == [said["id"]]
    report = system.run("decisions", name, "--report", str(said["id"]))
    assert report.stdout.lower().startswith("<!doctype html")

    undone = system.run("undo-decision", name, "--decision", str(said["id"]), "--reason", "complaints", "--json")
    assert undone.returncode == 0, undone.stderr
    assert f"To be taken back: Decision {said['id']} on {NAMESPACE}/{name}" in undone.stderr
    assert json.loads(undone.stdout)["state"] == "undone"
    assert champion(system, registered) != trained.runs["b"]
    assert sorted(p.name for p in served(system, name).predictors) == ["a", "b"]
    nothing = system.run("undo-decision", name, "--reason", "again")
    assert nothing.returncode == 3


@pytest.mark.parametrize("words", ["All traffic goes to b", "The alias champion", "takes over from b"])
def test_a_killed_command_is_finished_by_the_worker(system: System, trained: Trained, name: str, words: str) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "app", "promote", name, "--reason", "power cut", "--override"],
        cwd=ROOT,
        env=system.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    seen = next((line for line in command.stderr if words in line), None)
    command.kill()
    command.communicate()
    assert seen is not None, "it got that far"
    wait_until(lambda: finished(system, name), timeout_s=READY_S, what="the worker to finish the decision")
    (made,) = system.services.decisions.recent(NAMESPACE, name)
    assert (made.state, made.gaps) == (State.DONE, ())
    after = served(system, name)
    assert [(p.name, p.model_uri) for p in after.predictors] == [("a", trained.models["b"])]
    assert champion(system, registered_name(system, trained.runs["b"])) == trained.runs["b"]
    assert [c.what for c in system.services.operations.history(NAMESPACE, name)][:2] == ["promote", "promote"]
