"""Starts that fail on the local engine, for real: what is said of each, and what mends the one that wants time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.domain import ChangeNote, Deployment, Diagnosis, Phase, Predictor, Startup, Step, StepState
from tests.support.models import slow
from tests.support.system import System
from tests.support.waiting import wait_until

NOTE = ChangeNote("tester", "start-up test")
FAILS_WITHIN_S = 90
_names = itertools.count()
Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(system: System) -> Iterator[Deploy]:
    """Deploys one model under a new name; deletes it afterwards."""
    made: list[Deployment] = []

    def deploy_one(model: Path, start_budget_s: int | None = None) -> Deployment:
        arm = Predictor("a", str(model), start_budget_s=start_budget_s)
        deployment = Deployment("startup", f"wine-{next(_names)}", (arm,))
        system.services.operations.apply(deployment, note=NOTE)
        made.append(deployment)
        return deployment

    yield deploy_one
    engine = system.services.engine
    for deployment in made:
        engine.delete(deployment.namespace, deployment.name, note=NOTE)
    keys = {d.key for d in made}
    wait_until(lambda: not keys & {s.deployment.key for s in engine.list()}, timeout_s=60, what="the clean-up")


def started(system: System, deployment: Deployment) -> Startup:
    return system.services.engine.startup(deployment.namespace, deployment.name, "a")


def diagnosed(system: System, deployment: Deployment) -> Diagnosis:
    found = wait_until(
        lambda: started(system, deployment).diagnosis, timeout_s=FAILS_WITHIN_S, what="the failure to be recognised"
    )
    assert found is not None
    return found


def test_a_missing_module_is_named_with_the_command_that_brings_it(
    system: System, deploy: Deploy, tmp_path: Path
) -> None:
    flavour = "{loader_module: no_such_library.mlflow, python_version: 3.11.0}"
    (tmp_path / "MLmodel").write_text(f"flavors: {{python_function: {flavour}}}\n")
    deployment = deploy(tmp_path)
    found = diagnosed(system, deployment)
    assert found.key == "missing-module"
    assert "no_such_library" in found.what
    assert "pip install" in found.remedy
    way_up = started(system, deployment)
    load = way_up.step(Step.LOAD)
    assert load is not None
    assert load.state is StepState.FAILED
    assert any("no_such_library" in line for line in way_up.log_tail)


def test_a_model_that_cannot_be_unpickled(system: System, deploy: Deploy, tmp_path: Path) -> None:
    folder = slow(tmp_path)
    (folder / "python_model.pkl").write_bytes(b"this is no pickle")
    found = diagnosed(system, deploy(folder))
    assert found.key == "unpicklable"
    assert found.evidence


def test_more_time_lets_a_slow_start_come_up(system: System, deploy: Deploy, wine_models: tuple[Path, Path]) -> None:
    deployment = deploy(wine_models[0], start_budget_s=1)  # importing MLflow alone takes longer
    found = diagnosed(system, deployment)
    assert found.key == "budget-spent"
    assert found.budget_s == 300
    status = system.services.operations.give_time(deployment.namespace, deployment.name, "a", found.budget_s, note=NOTE)
    assert status.deployment.predictor("a").start_budget_s == 300

    def up() -> bool:
        status = system.services.engine.get(deployment.namespace, deployment.name)
        return status.predictor("a").phase is Phase.READY

    wait_until(up, timeout_s=FAILS_WITHIN_S, what="the model to come up with its larger budget")
    way_up = started(system, deployment)
    assert way_up.ready
    assert way_up.diagnosis is None
    assert way_up.budget_s == 300


def test_a_process_that_is_killed_while_it_starts_is_not_taken_for_a_bad_model(
    system: System, deploy: Deploy, wine_models: tuple[Path, Path]
) -> None:
    deployment = deploy(wine_models[0])
    part = f"model.{deployment.namespace}.{deployment.name}."

    def killed_often_enough() -> bool:
        for name in [p for p in system.parts() if p.startswith(part)]:
            for process in system.processes(name):
                process.kill()
        return started(system, deployment).diagnosis is not None

    wait_until(killed_often_enough, timeout_s=FAILS_WITHIN_S, what="the killing to be recognised")
    assert diagnosed(system, deployment).key == "killed"
