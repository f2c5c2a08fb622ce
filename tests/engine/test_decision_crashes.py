"""A process that decides is killed after each thing it changes, one after the other: what is left is never in between.

Real are the processes and their `kill -9`, the store, and MLflow behind HTTP; the engine keeps its deployments in a
file.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services.decisions.model import Decision, Kind, State
from services.decisions.service import Decisions
from services.domain import Deployment
from services.operations import Operations
from services.verdict.report import render_report
from tests.support.decisions import LEAD, NAMESPACE, Desk
from tests.support.mlflow_server import RunningMlflow, running_mlflow
from tests.support.waiting import free_port

CHANGING = {
    *("add", "move", "reopen"),  # the table of decisions
    *("intend_change", "confirm_change", "record_change"),  # the history
    *("apply",),  # the engine
    *("register", "set_alias", "tag_version", "tag_run", "log_text"),  # MLflow
    *("conclude",),  # the test
}
MOST = 60
"""More things than any decision changes."""
KILLED = -signal.SIGKILL

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.support.decisions"])


@dataclass
class Fuse:
    """Kills this process when it has burnt down."""

    left: int

    def burn(self) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """Passes everything on, and burns the fuse after whatever changes something."""

    def __init__(self, target: object, fuse: Fuse) -> None:
        self._target, self._fuse = target, fuse

    def __getattr__(self, name: str) -> object:
        found = getattr(self._target, name)
        if name not in CHANGING:
            return found

        def call(*args: object, **more: object) -> object:
            result = found(*args, **more)
            self._fuse.burn()
            return result

        return call


def mortal(desk: Desk, lives: int) -> Decisions:
    """The desk's decisions, for so many changes."""
    fuse = Fuse(lives)
    engine, store, registry, tests, table = (
        Mortal(part, fuse) for part in (desk.engine, desk.store, desk.registry, desk.store.tests, desk.store.decisions)
    )
    operations = Operations(engine, store)  # type: ignore[arg-type]
    parts: dict[str, Any] = {"engine": engine, "registry": registry, "tests": tests, "trail": store}
    world = replace(desk.world, operations=operations, **parts)
    return Decisions(table, world, desk.evidence.assess, render_report, desk.store.leases)  # type: ignore[arg-type]


def decide(folder: Path, uri: str, name: str, kind: Kind, lives: int) -> None:
    desk = Desk.open(folder, uri)
    mortal(desk, lives).decide(kind, NAMESPACE, name, note=LEAD, override=True)


def undo(folder: Path, uri: str, name: str, lives: int) -> None:
    mortal(Desk.open(folder, uri), lives).undo(NAMESPACE, name, note=LEAD)


def in_a_process(work: Callable[..., None], *args: object) -> int:
    """Its exit code."""
    process = processes.Process(target=work, args=args)
    process.start()
    process.join(60)
    assert process.exitcode is not None, "it neither ended nor was killed"
    code = process.exitcode
    process.close()
    return code


@pytest.fixture
def desk(mlflow_server: RunningMlflow, tmp_path: Path) -> Desk:
    return Desk.open(tmp_path, mlflow_server.uri)


def prepare(desk: Desk) -> tuple[str, Deployment]:
    """A deployment with a running test, on runs and under a name of its own."""
    name = f"wine-{uuid.uuid4().hex[:8]}"
    deployment = desk.deploy(name, {"a": desk.train("a"), "b": desk.train("b")})
    desk.start(name)
    return name, deployment


@pytest.mark.parametrize("kind", [Kind.PROMOTE, Kind.END])  # keeping takes the same steps as promoting, but the last
def test_killed_anywhere_a_decision_is_completed_or_never_was(desk: Desk, kind: Kind) -> None:
    for lives in range(1, MOST):
        name, before = prepare(desk)
        code = in_a_process(decide, desk.folder, desk.tracking_uri, name, kind, lives)
        assert code in (0, KILLED), "it ended by itself, or by the fuse"
        restarted = Desk.open(desk.folder, desk.tracking_uri)
        assert restarted.decisions.settle() == []
        (made,) = restarted.decisions.recent(NAMESPACE, name)
        assert_carried_out(restarted, made, before)
        restarted.close()
        if code == 0:
            assert lives > 10, "the fuse was lit"
            return
    raise AssertionError(f"still killed after {MOST} changes")


def test_killed_anywhere_an_undo_is_completed_or_never_was(desk: Desk) -> None:
    for lives in range(1, MOST):
        name, before = prepare(desk)
        desk.decide(Kind.PROMOTE, desk.assess(name), note=LEAD)
        code = in_a_process(undo, desk.folder, desk.tracking_uri, name, lives)
        assert code in (0, KILLED), "it ended by itself, or by the fuse"
        restarted = Desk.open(desk.folder, desk.tracking_uri)
        assert restarted.decisions.settle() == []
        (made,) = restarted.decisions.recent(NAMESPACE, name)
        assert_taken_back(restarted, made, before)
        restarted.close()
        if code == 0:
            assert lives > 10, "the fuse was lit"
            return
    raise AssertionError(f"still killed after {MOST} changes")


def assert_carried_out(desk: Desk, made: Decision, before: Deployment) -> None:
    """Deployment, MLflow, history and test say what the decision says, each once."""
    name = made.deployment
    assert (made.state, made.gaps) == (State.DONE, ())
    a, b = (before.predictor(arm) for arm in "ab")
    models = {Kind.PROMOTE: {"a": (b.model_uri, 100)}, Kind.KEEP: {"a": (a.model_uri, 100)}, Kind.END: as_arms(before)}
    assert desk.arms(name) == models[made.kind]
    runs = {arm: before.predictor(arm).provenance.run_id or "" for arm in "ab"}
    versions = desk.client.search_model_versions(f"name = '{name}'")
    if made.winner:
        assert [v.run_id for v in versions] == [runs[made.winner]]
        assert desk.alias(name) == "1"
    else:
        assert versions == []
    tags = {arm: desk.client.get_run(run).data.tags for arm, run in runs.items()}
    assert {found["decant.decision"] for found in tags.values()} == {f"{made.kind} ({made.id})"}
    files = desk.client.list_artifacts(runs[made.winner or "a"], f"decant/decision-{made.id}")
    assert {Path(file.path).name for file in files} == {"decision.json", "report.html"}
    told = [change.what for change in desk.operations.history(NAMESPACE, name)]
    assert told == [*[made.kind.value] * (2 if made.kind is Kind.PROMOTE else 1), "apply"]
    assert desk.store.tests.running(NAMESPACE, name) is None


def assert_taken_back(desk: Desk, made: Decision, before: Deployment) -> None:
    """Everything is as before the decision, and told once."""
    name = made.deployment
    assert (made.state, made.undone_who) == (State.UNDONE, LEAD.who)
    assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
    assert desk.alias(name) is None
    for predictor in before.predictors:
        tags = desk.client.get_run(predictor.provenance.run_id or "").data.tags
        assert tags["decant.decision_state"].startswith("undone by lead")
    told = [change.what for change in desk.operations.history(NAMESPACE, name)]
    assert told == ["undo-decision", "promote", "promote", "apply"]


def as_arms(deployment: Deployment) -> dict[str, tuple[str, int]]:
    return {p.name: (p.model_uri, p.traffic) for p in deployment.predictors}


def test_mlflow_killed_on_the_way_is_waited_for(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "mlflow"
    with running_mlflow(folder, port) as server:
        desk = Desk.open(tmp_path, server.uri)
        name, before = prepare(desk)

        def cut(step: str, _: str) -> None:
            if step == "alias":
                os.kill(server.pid, signal.SIGKILL)

        made = desk.decide(Kind.PROMOTE, desk.assess(name), note=LEAD, tell=cut)
    assert made.state is State.DOING
    assert made.waiting.startswith("MLflow does not answer")
    assert desk.arms(name)["b"] == (before.predictor("b").model_uri, 100), "traffic does not wait for MLflow"
    assert [left.id for left in desk.decisions.settle()] == [made.id]
    with running_mlflow(folder, port):
        assert desk.decisions.settle() == []
        assert_carried_out(desk, desk.decisions.get(made.id), before)


def test_taking_back_waits_for_mlflow_too(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "mlflow"
    with running_mlflow(folder, port) as server:
        desk = Desk.open(tmp_path, server.uri)
        name, before = prepare(desk)
        desk.decide(Kind.PROMOTE, desk.assess(name), note=LEAD)
    undone = desk.decisions.undo(NAMESPACE, name, note=LEAD)
    assert undone.state is State.UNDOING
    assert desk.arms(name) == as_arms(before)
    with running_mlflow(folder, port):
        assert desk.decisions.settle() == []
        assert_taken_back(desk, desk.decisions.get(undone.id), before)


def test_two_at_once_decide_once(desk: Desk) -> None:
    name, before = prepare(desk)
    both = [
        processes.Process(target=decide, args=(desk.folder, desk.tracking_uri, name, Kind.PROMOTE, MOST))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert sorted(process.exitcode == 0 for process in both) == [False, True]
    (made,) = desk.decisions.recent(NAMESPACE, name)
    assert_carried_out(desk, made, before)
