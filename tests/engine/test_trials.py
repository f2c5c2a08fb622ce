"""One row by hand: what is kept of it when its feedback does not arrive."""

from __future__ import annotations

from pathlib import Path

from services.deployments.engine import ChangeNote
from services.domain import Deployment, OutcomeStatus, Predictor
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.traffic.client import PredictionClient
from services.traffic.rewards import Reward, RewardKind
from services.trials import Trial, try_row
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
