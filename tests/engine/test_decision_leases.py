"""A machine that stands still in the middle of a decision, while another one goes on with it.

Real are the processes, one of which is stopped and woken (SIGSTOP, SIGCONT), the PostgreSQL that they share, and MLflow
behind HTTP; the engine keeps its deployments in a file that both read.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

from services.decisions.model import Decision, Kind, State
from services.decisions.reports import Reports
from services.decisions.service import Decisions
from services.domain import Phase
from services.errors import Conflict
from services.evidence.leases import Leases
from services.operations import Operations
from services.verdict.model import Assessment
from services.verdict.report import render_report
from tests.support.decisions import LEAD, NAMESPACE, Desk
from tests.support.mlflow_server import RunningMlflow
from tests.support.waiting import wait_until

LEASE_S = 1.0

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.support.decisions"])


class Sleeper:
    """Passes everything on; its process stands still right before or right after a call of `method`."""

    def __init__(self, target: object, method: str, *, after: bool) -> None:
        self._target, self._method, self._after = target, method, after

    def __getattr__(self, name: str) -> object:
        found = getattr(self._target, name)
        if name != self._method:
            return found

        def call(*args: object, **more: object) -> object:
            if not self._after:
                os.kill(os.getpid(), signal.SIGSTOP)
            result = found(*args, **more)
            if self._after:
                os.kill(os.getpid(), signal.SIGSTOP)
            return result

        return call


def promote_elsewhere(folder: Path, uri: str, store_url: str, name: str, where: str) -> None:
    """Promote on a machine of its own, which stands still on the way; ends with the exit code of what is raised."""
    desk = Desk.open(folder, uri, store_url)
    world = replace(desk.world, reports=Reports(folder / "elsewhere", desk.store.files))

    def render(assessment: Assessment) -> str:
        if where == "rendering":
            os.kill(os.getpid(), signal.SIGSTOP)
        return render_report(assessment)

    if where == "applying":
        engine = Sleeper(desk.engine, "apply", after=False)
        world = replace(world, operations=Operations(engine, desk.store))  # type: ignore[arg-type]
    elif where == "registering":
        world = replace(world, registry=Sleeper(desk.registry, "register", after=True))  # type: ignore[arg-type]
    decisions = Decisions(desk.store.decisions, world, desk.evidence.assess, render, Leases(desk.database, LEASE_S))
    try:
        decisions.decide(Kind.PROMOTE, NAMESPACE, name, note=LEAD)
    except Conflict as error:
        sys.exit(error.exit_code)


@contextmanager
def standing_still(desk: Desk, store_url: str, name: str, where: str) -> Iterator[BaseProcess]:
    """A machine that has begun to promote B and stands still."""
    machine = (desk.folder, desk.tracking_uri, store_url, name, where)
    process = processes.Process(target=promote_elsewhere, args=machine)
    process.start()

    def stopped() -> bool:
        assert process.is_alive(), f"it ended with {process.exitcode} before it stood still"
        return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED

    try:
        wait_until(stopped, what="the machine to stand still")
        yield process
    finally:
        process.kill()
        process.join()


def wake(process: BaseProcess) -> int | None:
    """Its exit code, once it has ended."""
    os.kill(process.pid or 0, signal.SIGCONT)
    process.join(60)
    return process.exitcode


@pytest.fixture
def name() -> str:
    """A deployment of the test's own, and so a registered model of its own."""
    return f"wine-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def desk(mlflow_server: RunningMlflow, postgres_url: str, tmp_path: Path, name: str) -> Iterator[Desk]:
    """The machine that goes on. The arm that takes over is still loading, so that a decision waits at its last step."""
    opened = Desk.open(tmp_path, mlflow_server.uri, postgres_url)
    opened.deploy(name, {"a": opened.train("a"), "b": opened.train("b")})
    opened.start(name)
    opened.engine.phases[NAMESPACE, name, "a"] = (Phase.LOADING, "")
    yield opened
    opened.close()


def goes_on(desk: Desk, name: str) -> Decision:
    """The other machine's decision, taken over as far as it goes now."""

    def taken() -> Decision | None:
        desk.decisions.settle()
        (found,) = desk.decisions.recent(NAMESPACE, name)
        return found if found.waiting else None

    return wait_until(taken, what="the decision to be gone on with")


def test_who_stood_still_takes_no_further_step(desk: Desk, postgres_url: str, name: str) -> None:
    with standing_still(desk, postgres_url, name, "registering") as machine:
        made = goes_on(desk, name)
        assert (made.state, "run tags" in made.steps) == (State.DOING, True)
        record = desk.store.decisions.get(made.id)
        desk.registry.set_alias(name, None)  # somebody changes their mind meanwhile
        assert wake(machine) == 0, "it stops without a word"
    assert desk.alias(name) is None
    assert desk.store.decisions.get(made.id) == record
    desk.engine.phases.clear()
    assert desk.decisions.settle() == []
    assert desk.decisions.get(made.id).state is State.DONE


def test_a_refusal_that_comes_late_takes_nothing_back(desk: Desk, postgres_url: str, name: str) -> None:
    """What it was about to do, the other has done: the engine refuses it as a change by somebody else."""
    with standing_still(desk, postgres_url, name, "applying") as machine:
        made = goes_on(desk, name)
        record = desk.store.decisions.get(made.id)
        assert wake(machine) == 0
    assert desk.store.decisions.get(made.id) == record
    desk.engine.phases.clear()
    assert desk.decisions.settle() == []
    done = desk.decisions.get(made.id)
    assert (done.state, done.undone_who) == (State.DONE, "")
    assert desk.alias(name) == "1"


def test_who_stood_still_before_deciding_does_not_decide(desk: Desk, postgres_url: str, name: str) -> None:
    with standing_still(desk, postgres_url, name, "rendering") as machine:
        desk.engine.phases.clear()
        made = desk.decide(Kind.END, desk.evidence.assess(NAMESPACE, name), note=LEAD)  # waits for the lease to end
        assert wake(machine) == Conflict.exit_code
    assert [found.id for found in desk.decisions.recent(NAMESPACE, name)] == [made.id]
