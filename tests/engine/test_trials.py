"""One row by hand: what is kept of it when its feedback does not arrive."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.deployments.engine import ChangeNote
from services.domain import Deployment, OutcomeStatus, Predictor
from services.errors import Rejected
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.traffic.client import PredictionClient
from services.traffic.rewards import Reward, RewardKind
from services.trials import Trial, send_rows, try_row
from tests.support.memory_engine import MemoryEngine
from tests.support.seldon_stub import SeldonStub


def test_a_reward_that_never_arrived_is_kept_with_a_status_that_says_so(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store = EvidenceStore(database)
    arms = tuple(Predictor(name, f"models:/m-{name}", traffic=share) for name, share in (("a", 100), ("b", 0)))
    with SeldonStub({"a": 100, "b": 0}) as stub:
        engine = MemoryEngine(stub.url)
        engine.apply(Deployment("seldon", "wine", arms), note=ChangeNote("ada", "a test"))
        trial = Trial("seldon", "wine", (5.0,), truth=5.0, reward=Reward(RewardKind.BOUNDED))
        stub.mishap("feedback", "500")
        (failed,) = try_row(engine, PredictionClient(), store, trial)
        (good,) = try_row(engine, PredictionClient(), store, trial)
    assert failed.feedback_error is not None and good.feedback_error is None
    second, first = store.outcomes("seldon", "wine")
    assert (first.status, first.reward, first.predictor) == (OutcomeStatus.FEEDBACK_FAILED, 1.0, "a")
    assert (second.status, second.reward) == (OutcomeStatus.OK, 1.0)
    assert first.error
    database.dispose()


def test_an_arm_asked_past_the_split_earns_for_the_ledger_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store = EvidenceStore(database)
    arms = tuple(Predictor(name, f"models:/m-{name}", traffic=share) for name, share in (("a", 100), ("b", 0)))
    with SeldonStub({"a": 100, "b": 0}) as stub:
        engine = MemoryEngine(stub.url)
        engine.apply(Deployment("seldon", "wine", arms), note=ChangeNote("ada", "a test"))
        trial = Trial("seldon", "wine", (5.0,), truth=5.0, reward=Reward(RewardKind.BOUNDED))
        answers = try_row(engine, PredictionClient(), store, trial, ["a", "b", None])
        sent = stub.feedback
    split = answers[2].prediction
    assert split is not None and sent == [(split.puid, "a", 1.0)]
    assert [(answer.reward is not None, answer.fed) for answer in answers] == [
        (True, False),
        (True, False),
        (True, True),
    ]
    kept = {o.puid: (o.reward, o.status) for o in store.outcomes("seldon", "wine")}
    assert kept == {a.prediction.puid: (a.reward, OutcomeStatus.OK) for a in answers if a.prediction}
    database.dispose()


@pytest.mark.parametrize(
    ("reward", "earned"),
    [
        (Reward(RewardKind.ABSOLUTE), -1.0),
        (Reward(RewardKind.SQUARED), -1.0),
        # Counted, as it is never negative where formulas are tried: this row is where nobody looked.
        (Reward(RewardKind.FORMULA, expression="abs(y_pred) if y_pred != 5 else 0 - 1"), -1.0),
        (Reward(RewardKind.FORMULA, expression="abs(y - y_pred) - 1"), 0.0),
    ],
)
def test_what_can_be_negative_is_for_the_ledger_alone(tmp_path: Path, reward: Reward, earned: float) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store = EvidenceStore(database)
    with SeldonStub({"a": 100}) as stub:
        engine = MemoryEngine(stub.url)
        engine.apply(Deployment("seldon", "wine", (Predictor("a", "models:/m-a"),)), note=ChangeNote("ada", "a test"))
        trial = Trial("seldon", "wine", (5.0,), truth=6.0, reward=reward)
        (answer,) = try_row(engine, PredictionClient(), store, trial)
        assert stub.feedback == []
    assert (answer.reward, answer.feedback_error, answer.fed) == (earned, None, False)
    (kept,) = store.outcomes("seldon", "wine")
    assert (kept.reward, kept.status, kept.error) == (earned, OutcomeStatus.OK, "")
    assert store.ledger.unfed() == []
    database.dispose()


def test_rows_of_one_request_are_outcomes_with_puids_of_their_own(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store, predictions = EvidenceStore(database), PredictionClient()
    arms = tuple(Predictor(name, f"models:/m-{name}", traffic=share) for name, share in (("a", 100), ("b", 0)))
    with SeldonStub({"a": 100, "b": 0}) as stub:
        engine = MemoryEngine(stub.url)
        engine.apply(Deployment("seldon", "wine", arms), note=ChangeNote("ada", "a test"))
        status = engine.get("seldon", "wine")
        one, *_ = send_rows(engine, predictions, store, status, [[5.0]], ["x"])
        two, *_ = send_rows(engine, predictions, store, status, [[1.0], [2.0]], arm="b")
        stub.bad_values = {9.0}
        with pytest.raises(Rejected):
            send_rows(engine, predictions, store, status, [[9.0]], arm="b")
    outcomes = store.outcomes("seldon", "wine")
    assert {o.puid for o in outcomes if o.predictor == "a"} == {one.puid}
    assert {o.puid for o in outcomes if o.status is OutcomeStatus.OK} == {one.puid, f"{two.puid}-0", f"{two.puid}-1"}
    (failed,) = [o for o in outcomes if o.status is OutcomeStatus.PREDICTION_FAILED]
    assert failed.predictor == "b" and "not allowed" in failed.error and failed.segment == "pinned:b"
    assert {(o.segment, o.routed) for o in outcomes} == {("a=100,b=0", True), ("pinned:b", False)}
    database.dispose()
