"""A V2 deployment on this machine, with real models behind the real gateway: asked in V2, its rewards in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest

from services.domain import V2, ChangeNote
from services.errors import InvalidPayload
from services.traffic.datasets import load_dataset
from services.traffic.replay import ReplayMode, ReplayPlan, ReplayRow, ReplaySpec, StopSignal
from services.traffic.replayer import run_replay
from services.traffic.rewards import Reward, RewardKind
from services.trials import Trial, try_row
from tests.support.ab_test import NAMESPACE, deploy
from tests.support.replay_ledger import EngineLedger
from tests.support.system import System

NAME = "open"
ROWS = 200
BOUNDED = Reward(RewardKind.BOUNDED, 0.8)


@pytest.fixture(scope="module")
def models(system: System, wine_models: tuple[Path, Path]) -> Iterator[dict[str, Path]]:
    found = dict(zip("ab", wine_models, strict=True))
    deploy(system.services, NAME, found, (80, 20), protocol=V2)
    yield found
    system.services.operations.delete(NAMESPACE, NAME, note=ChangeNote("ann", "the end of a test"))


def offline(model: Path) -> list[float]:
    data = load_dataset("wine-quality")
    frame = data.frame.iloc[:ROWS][data.features("quality")]
    return [float(value) for value in np.asarray(mlflow.pyfunc.load_model(str(model)).predict(frame)).ravel()]


def test_each_arm_answers_rows_as_its_model_does_offline(system: System, models: dict[str, Path]) -> None:
    data = load_dataset("wine-quality")
    names, built = tuple(data.features("quality")), system.services
    for arm, model in models.items():
        rows = data.feature_rows("quality")[:ROWS]
        found, request, response = built.predictions.predict(
            built.engine.endpoint(NAMESPACE, NAME, arm), rows, names, puid="several"
        )
        assert found.predictor == arm and found.puid == "several"
        assert found.values == pytest.approx(offline(model))
        assert [(item["name"], item["datatype"]) for item in request["inputs"]] == [(name, "FP64") for name in names]
        assert response["outputs"][0]["datatype"] == "FP64"


def test_a_live_replay_and_a_single_request_feed_nobody(system: System, models: dict[str, Path]) -> None:
    data, built = load_dataset("wine-quality"), system.services
    values, truths = data.feature_rows("quality"), data.truths("quality")
    rows = [ReplayRow(i, values[i], truths[i]) for i in range(ROWS)]
    hooks = EngineLedger(built.engine, NAMESPACE, NAME)
    names = tuple(data.features("quality"))
    end = asyncio.run(run_replay(ReplayPlan(9, NAMESPACE, NAME, names, rows, BOUNDED), hooks, StopSignal()))
    assert (end.done, end.errors) == (ROWS, ())
    assert set(hooks.by_arm()) == {"a", "b"}
    expected = {arm: offline(model) for arm, model in models.items()}
    for outcome in hooks.outcomes.values():
        assert outcome.row is not None and outcome.routed and outcome.segment == "a=80,b=20"
        assert outcome.prediction == pytest.approx(expected[outcome.predictor][outcome.row])
        assert outcome.reward is not None

    trial = Trial(NAMESPACE, NAME, values[0], names, truth=truths[0], reward=BOUNDED)
    answers = try_row(built.engine, built.predictions, built.store, trial, [None, "a", "b"])
    assert [(a.error, a.feedback_error, a.fed) for a in answers] == [(None, None, False)] * 3
    assert [a.predictor for a in answers[1:]] == ["a", "b"] and all(a.reward for a in answers)
    assert built.store.ledger.unfed(only=(NAMESPACE, NAME)) == []


def test_a_preview_and_words_for_what_does_not_fit(system: System, models: dict[str, Path]) -> None:
    built = system.services
    spec = ReplaySpec(NAMESPACE, NAME, "wine-quality", "quality", BOUNDED, ReplayMode.PAIRED, rows=20, arms=("a", "b"))
    seen = built.replays.preview(spec, who="ada")
    assert not seen.errors
    assert list(seen.predictions["a"]) == pytest.approx(offline(models["a"])[:20])
    with pytest.raises(InvalidPayload, match="row 1: has 2 values, but there are 11 columns"):
        built.predictions.predict(built.engine.endpoint(NAMESPACE, NAME), [[7.0, 0.27]])
