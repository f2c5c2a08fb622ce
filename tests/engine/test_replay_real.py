"""A paired replay with everything real: two wine models, the gateway, the worker; each killed in the middle.

The means of the ledger must be those that the models give offline, row by row, whatever died meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest

from services.jobs.states import JobState
from services.traffic.datasets import load_dataset
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.ab_test import deploy
from tests.support.system import System
from tests.support.waiting import wait_until

NAME = "pairs"
ROWS = 1200
SCALE = 0.8
DEADLINE_S = 150
SPEC = ReplaySpec(
    "seldon",
    NAME,
    "wine-quality",
    "quality",
    Reward(RewardKind.BOUNDED, SCALE),
    ReplayMode.PAIRED,
    rows=ROWS,
    sample_seed=2,
    rate=60,
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, wine_models: tuple[Path, Path]) -> Iterator[System]:
    """An installation of its own: what is killed here must not disturb others."""
    system = System(tmp_path_factory.mktemp("pairs") / "state").start()
    deploy(system.services, NAME, dict(zip("ab", wine_models, strict=True)), (80, 20))
    yield system
    system.stop()
    assert system.parts() == set()


def offline_mean(model: Path, rows: list[int]) -> float:
    data = load_dataset("wine-quality")
    frame = data.frame.iloc[rows]
    predicted = np.asarray(mlflow.pyfunc.load_model(str(model)).predict(frame[data.features("quality")])).ravel()
    return float(np.mean(1 / (1 + ((frame["quality"].to_numpy() - predicted) / SCALE) ** 2)))


def test_each_row_in_both_arms_once_with_the_models_own_means_whatever_is_killed(
    own: System, wine_models: tuple[Path, Path]
) -> None:
    replays, store = own.services.replays, own.services.store
    replay = replays.submit(SPEC, who="tester")
    other = replays.submit(SPEC, who="tester")  # at the same time

    def rows(goal: int) -> None:
        wait_until(lambda: replays.get(replay.id).done_rows >= goal, timeout_s=DEADLINE_S, what=f"{goal} rows")
        assert not replays.get(replay.id).state.final, replays.get(replay.id).message

    rows(100)
    own.kill("worker")
    rows(250)
    own.kill(next(part for part in sorted(own.parts()) if part.startswith("model") and f".{NAME}" in part))
    rows(400)
    own.kill("envoy")
    rows(550)
    own.kill_everything()
    own.start()

    for number in (replay.id, other.id):
        wait_until(
            lambda number=number: replays.get(number).state.final, timeout_s=DEADLINE_S, what="the replay to end"
        )
        done = replays.get(number)
        assert (done.state, done.done_rows) == (JobState.DONE, ROWS), done.message
        outcomes = store.outcomes("seldon", NAME, limit=3 * ROWS, replay=number)
        assert Counter(Counter((o.row, o.predictor) for o in outcomes).values()) == {1: 2 * ROWS}
        assert {(o.status.value, o.predictor, o.error) for o in outcomes if o.error} == set()
        sent = sorted({o.row for o in outcomes if o.row is not None})
        for arm, model in zip("ab", wine_models, strict=True):
            counted = next(c for c in done.arms if c.predictor == arm)
            assert counted.mean_reward == pytest.approx(offline_mean(model, sent), rel=1e-9)
        (differences,) = [
            sum(block.reward.total for block in store.ledger.pair_blocks("seldon", NAME, replay=number)) / ROWS
        ]
        a, b = (offline_mean(model, sent) for model in wine_models)
        assert differences == pytest.approx(b - a, abs=1e-9)


def test_pause_resume_and_cancel_from_the_command_line(own: System) -> None:
    started = own.run("replay", NAME, "--paired", "--rate", "40", "--rows", "4000", "--detach", "--json")
    assert started.returncode == 0, started.stderr
    number = max(r.id for r in own.services.replays.recent())
    read = own.services.replays.get
    wait_until(lambda: read(number).done_rows > 20, timeout_s=DEADLINE_S, what="rows")
    assert "paused" in own.run("replay", "pause", str(number)).stderr
    assert read(number).state is JobState.PAUSED
    assert own.run("replay", "resume", str(number)).returncode == 0
    wait_until(lambda: read(number).state is JobState.RUNNING, timeout_s=DEADLINE_S, what="it to go on")
    assert own.run("replay", "cancel", str(number)).returncode == 0
    wait_until(lambda: read(number).state is JobState.CANCELLED, timeout_s=DEADLINE_S, what="it to be cancelled")
    wrong = own.run("replay", "dance", str(number))
    assert wrong.returncode == 2 and "pause, resume, cancel" in wrong.stderr
    assert own.run("replay", "pause", "999999").returncode == 3


def test_a_preview_from_the_command_line(own: System) -> None:
    before = len(own.services.replays.recent())
    seen = own.run("replay", NAME, "--preview", "--reward", "tutorial")
    assert seen.returncode == 0, seen.stderr
    assert "Nothing was recorded" in seen.stderr and "Single requests decide" in seen.stderr
    assert len(own.services.replays.recent()) == before
