"""Kill -9 of each process in turn, under load: everything comes back by itself, as it was. Recovery is timed by the
benchmarks; here it only has to happen before a generous deadline.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.domain import ChangeNote, Deployment, Parameter, Predictor, Split
from services.jobs.states import JobState
from services.settings import ROOT
from services.traffic.replay import ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.load import BODY, Load
from tests.support.system import System
from tests.support.waiting import wait_until

NOTE = ChangeNote("tester", "recovery")
RECOVERY_TIMEOUT_S = 120
ROWS = 1500


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, wine_models: tuple[Path, Path]
) -> Iterator[tuple[System, Deployment]]:
    """An installation of its own with one deployment at 80/20: what is killed here must not disturb others."""
    system = System(tmp_path_factory.mktemp("recovery") / "state").start()
    arms = tuple(
        Predictor(name, str(model), share, parameters=(Parameter("xtype", "DataFrame"),))
        for name, model, share in zip("ab", wine_models, (80, 20), strict=True)
    )
    deployment = Deployment("seldon", "wine", arms)
    system.services.operations.apply(deployment, note=NOTE)
    wait_healthy(system)
    yield system, deployment
    system.stop()
    assert system.parts() == set()


def wait_healthy(system: System) -> None:
    """Every part answers, the deployment is as it was asked for, and a request through the split is answered."""

    def healthy() -> bool:
        if not all(part.ok for part in system.services.health.all()):
            return False
        if not all(status.settled for status in system.services.engine.list()):
            return False
        page = httpx.get(f"{system.settings.dashboard_url}/_stcore/health", timeout=5)
        base = system.services.engine.endpoint("seldon", "wine").url
        return page.status_code == 200 and httpx.post(f"{base}/api/v1.0/predictions", json=BODY).status_code == 200

    def quietly() -> bool:
        try:
            return healthy()
        except httpx.HTTPError:
            return False

    wait_until(
        quietly, timeout_s=RECOVERY_TIMEOUT_S, what=f"the recovery of everything; {system.services.health.all()}"
    )


def model_part(system: System, predictor: str) -> str:
    (part,) = [p for p in system.parts() if p.startswith(f"model.seldon.wine.{predictor}.")]
    return part


@pytest.mark.parametrize(
    "part", ["envoy", "controller", "worker", "mlflow", "prometheus", "dashboard", "model a", "model b"]
)
def test_a_killed_part_comes_back_and_nothing_is_lost(own: tuple[System, Deployment], part: str) -> None:
    system, deployment = own
    name = model_part(system, part[-1]) if part.startswith("model") else part
    history = system.services.operations.history("seldon", "wine")
    base = system.services.engine.endpoint("seldon", "wine").url
    with Load(base) as load:
        wait_until(lambda: len(load.answers) > 20, what="some traffic")
        dead = system.kill(name)
        wait_until(
            lambda: {p.pid for p in system.processes(name)} - set(dead),
            timeout_s=RECOVERY_TIMEOUT_S,
            what=f"a new {name}",
        )
        wait_healthy(system)
    assert len(system.processes(name)) >= 1
    assert not {p.pid for p in system.processes()} & set(dead)
    if part not in {"envoy", "model a", "model b"}:
        assert load.failures == [], "the request path does not depend on it"
    if part.startswith("model"):
        other = "b" if part == "model a" else "a"
        served = [a for a in load.answers if a.arm == other]
        lost = [a for a in served if a.status != 200]
        # On a crowded machine the start of a model server can cost its sibling a request or two, but never its service.
        assert len(lost) <= len(served) // 50, f"the other arm went on; {lost[:5]}"
    assert system.services.engine.get("seldon", "wine").requested == deployment.split
    assert system.services.operations.history("seldon", "wine") == history


def test_a_killed_supervisor_brings_everything_back(own: tuple[System, Deployment]) -> None:
    system, deployment = own
    system.kill("supervisord")
    wait_until(lambda: "everything runs again" in system.output, timeout_s=RECOVERY_TIMEOUT_S, what="the restart")
    wait_healthy(system)
    assert system.services.engine.get("seldon", "wine").in_force == deployment.split


@pytest.mark.parametrize("part", ["worker", "envoy", "model a", "everything"])
def test_a_replay_counts_every_row_once_whatever_is_killed(own: tuple[System, Deployment], part: str) -> None:
    system, _ = own
    spec = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), rows=ROWS)
    replay = system.services.replays.submit(spec, who="tester")

    def some_rows() -> bool:
        found = system.services.replays.get(replay.id)
        assert found.state in {JobState.QUEUED, JobState.RUNNING}, found.message
        return found.done_rows > 0

    wait_until(some_rows, timeout_s=RECOVERY_TIMEOUT_S, what="the replay to be under way")
    if part == "everything":
        system.kill_everything()
        system.start()
    else:
        system.kill(model_part(system, part[-1]) if part.startswith("model") else part)

    def done() -> bool:
        return system.services.replays.get(replay.id).state is JobState.DONE

    wait_until(done, timeout_s=RECOVERY_TIMEOUT_S, what=f"the replay to end; {system.services.replays.get(replay.id)}")
    outcomes = system.services.store.outcomes("seldon", "wine", limit=2 * ROWS, replay=replay.id)
    assert sorted(o.row for o in outcomes if o.row is not None) == list(range(ROWS))
    assert {o.status.value for o in outcomes} == {"ok"}
    wait_healthy(system)


def test_after_a_power_cut_a_start_brings_everything_back_as_it_was(own: tuple[System, Deployment]) -> None:
    system, _ = own
    moved = Split.of({"a": 35, "b": 65})
    system.services.operations.set_traffic("seldon", "wine", moved, note=NOTE)
    before = system.services.engine.get("seldon", "wine")
    history = system.services.operations.history("seldon", "wine")
    system.kill_everything()
    assert system.parts() == set()
    system.start()
    wait_healthy(system)
    after = system.services.engine.get("seldon", "wine")
    assert (after.version, after.deployment, after.in_force) == (before.version, before.deployment, moved)
    assert system.services.operations.history("seldon", "wine") == history


def test_a_second_start_says_where_the_first_one_is(own: tuple[System, Deployment]) -> None:
    system, _ = own
    again = system.run("up")
    assert again.returncode == 8
    assert "already running" in again.stderr
    assert system.settings.dashboard_url in again.stderr


def test_a_change_made_while_the_controller_is_dead_is_carried_out_later(own: tuple[System, Deployment]) -> None:
    system, _ = own
    wait_healthy(system)
    # Stopped, not killed: the supervisor would start it again before the command is given.
    (controller,) = system.processes("controller")
    controller.suspend()
    try:
        wanted = Split.of({"a": 51, "b": 49})
        changed = system.run("traffic", "wine", "51/49", "-n", "seldon", "--why", "while the controller sleeps")
        assert changed.returncode != 0
        assert "saved" in changed.stderr
    finally:
        controller.resume()
    wait_until(lambda: system.services.engine.get("seldon", "wine").in_force == wanted, what="the split to be taken")


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    system = System(tmp_path / "state")
    port = system.settings.gateway_port
    squatter = subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], cwd=tmp_path)
    try:
        wait_until(lambda: _listens(port), what="the squatter")
        refused = system.run("up")
        assert refused.returncode == 9
        assert str(port) in refused.stderr
        assert "DECANT_GATEWAY_PORT" in refused.stderr
        assert system.parts() == set()
    finally:
        squatter.terminate()
        squatter.wait()


def test_ctrl_c_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    system = System(tmp_path / "state")
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "up"],
        cwd=ROOT,
        env=system.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    wait_until(lambda: "envoy" in system.parts(), timeout_s=60, what="the start to be under way")
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert system.parts() == set()


def _listens(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    except httpx.HTTPError:
        return False
