"""Rewards on Seldon Core land at the arm that earned them, though its ingress would divide them anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.domain import V2, ChangeNote, Deployment, Endpoint, OutcomeStatus, Predictor, Split
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.traffic.attribution import UNKNOWN_ARM
from services.traffic.client import PredictionClient
from services.traffic.preview import preview
from services.traffic.replay import Progress, ReplayPlan, ReplayRow, StopSignal
from services.traffic.replayer import run_replay
from services.traffic.rewards import Reward, RewardKind
from services.trials import Trial, send_rows, try_row
from services.truths.attaching import attach_truths
from tests.support.replay_ledger import EngineLedger
from tests.support.seldon_arms import SeldonArms, SeldonEngine

NOTE = ChangeNote("ada", "a test")
BOUNDED = Reward(RewardKind.BOUNDED)
SAME = {"a": "wines-classifier", "b": "wines-classifier"}
ROWS = 1000


def deployed(engine: SeldonEngine, protocol: str = "seldon") -> SeldonEngine:
    arms = tuple(
        Predictor(arm.name, f"s3://m/{arm.name}", share, node=arm.node)
        for arm, share in zip(engine.seldon.arms.values(), (80, 20), strict=True)
    )
    engine.apply(Deployment("seldon", "wine", arms, protocol=protocol), note=NOTE)
    return engine


def ledger_of(engine: SeldonEngine, on_save: Callable[[Progress], None] = lambda _: None) -> EngineLedger:
    return EngineLedger(engine, "seldon", "wine", on_save)


def replayed(ledger: EngineLedger, rows: int = ROWS, **values: Any) -> Progress:
    made = [ReplayRow(i, (float(i), "red"), float(i)) for i in range(rows)]
    plan = ReplayPlan(7, "seldon", "wine", ("x", "colour"), made, BOUNDED, **({"patience_s": 10.0} | values))
    return asyncio.run(run_replay(plan, ledger, StopSignal()))


def likely(count: int, n: int = ROWS, share: float = 0.2) -> bool:
    """Within five standard deviations: one run in two million is not."""
    return abs(count - n * share) < 5 * (n * share * (1 - share)) ** 0.5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


def test_feedback_of_live_rows_goes_to_the_arm_that_answered_where_an_ingress_would_scatter_it() -> None:
    with SeldonArms() as arms:
        ledger = ledger_of(deployed(SeldonEngine(arms)))
        end = replayed(ledger)
        assert {o.status for o in ledger.outcomes.values()} == {OutcomeStatus.OK} and end.done == ROWS
        assert all(o.routed and o.segment == "a=80,b=20" for o in ledger.outcomes.values())
        assert arms.fed() == ledger.by_arm() == {name: len(arm.predicted) for name, arm in arms.arms.items()}
        assert arms.strayed() == 0 and likely(arms.fed()["b"])
        assert {o.reward for o in ledger.outcomes.values() if o.predictor == "a"} == {1.0}
        assert {o.reward for o in ledger.outcomes.values() if o.predictor == "b"} == {0.5}

    with SeldonArms() as arms:  # the tutorial's way: feedback through the ingress, like the prediction
        naive, client = Endpoint(f"{arms.ingress}/seldon/seldon/wine"), PredictionClient()
        for i in range(ROWS):
            _, request, response = client.predict(naive, [[float(i)]], ["x"], puid=f"n{i}")
            client.feedback(naive, request, response, 1.0)
        client.close()
        assert sum(arms.fed().values()) == ROWS
        assert likely(arms.strayed(), share=2 * 0.8 * 0.2), "a third of all rewards"


@pytest.mark.parametrize(("nodes", "ingress"), [(SAME, True), (None, False)], ids=["one node name", "no ingress"])
def test_where_answers_do_not_tell_decant_draws_the_arm_by_the_split(
    nodes: dict[str, str] | None, ingress: bool
) -> None:
    with SeldonArms(nodes) as arms:
        ledger = ledger_of(deployed(SeldonEngine(arms, ingress=ingress)))
        replayed(ledger)
        assert all(o.routed and o.segment == "a=80,b=20" for o in ledger.outcomes.values())
        assert arms.fed() == ledger.by_arm() and arms.strayed() == 0
        assert likely(ledger.by_arm()["b"])


def test_a_row_that_decant_draws_is_of_the_split_that_its_arm_was_drawn_by() -> None:
    with SeldonArms(SAME) as arms:
        engine = deployed(SeldonEngine(arms))
        engine.set_traffic("seldon", "wine", Split.of({"a": 100, "b": 0}), note=NOTE)

        def move(progress: Progress) -> None:
            if progress.done > 100 and engine.get("seldon", "wine").requested["b"] == 0:
                engine.set_traffic("seldon", "wine", Split.of({"a": 0, "b": 100}), note=NOTE)

        ledger = ledger_of(engine, move)
        replayed(ledger, rate=400)
        found = Counter((o.segment, o.predictor) for o in ledger.outcomes.values())
        assert set(found) == {("a=100,b=0", "a"), ("a=0,b=100", "b")}
        assert arms.fed() == ledger.by_arm()


def test_an_answer_whose_arm_cannot_be_told_gets_no_reward_and_says_why(store: EvidenceStore) -> None:
    class Blind(SeldonEngine):
        """Its arms have nodes of different names, and the answers name neither."""

        def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
            found = super().endpoint(namespace, name, predictor)
            return replace(found, arms=tuple(replace(arm, node=f"{arm.node}-2") for arm in found.arms))

    with SeldonArms() as arms:
        engine = deployed(Blind(arms))
        ledger = ledger_of(engine)
        end = replayed(ledger, 20)
        assert arms.fed() == {"a": 0, "b": 0}
        assert {(o.predictor, o.status, o.error) for o in ledger.outcomes.values()} == {
            ("", OutcomeStatus.OK, UNKNOWN_ARM)
        }
        assert any(UNKNOWN_ARM in error for error in end.errors)

        trial = Trial("seldon", "wine", (5.0,), ("x",), truth=5.0, reward=BOUNDED)
        (answer,) = try_row(engine, PredictionClient(), store, trial)
        assert answer.feedback_error is not None and UNKNOWN_ARM in str(answer.feedback_error)
        assert arms.fed() == {"a": 0, "b": 0} and not answer.fed
    (kept,) = store.outcomes("seldon", "wine")
    assert (kept.predictor, kept.status) == ("", OutcomeStatus.OK)
    assert store.ledger.unfed() == [], "there is no arm that it could be sent to later"


@pytest.mark.parametrize("nodes", [None, SAME], ids=["by the ingress", "drawn"])
def test_single_requests_and_late_truths_reach_the_arms_own_service(
    nodes: dict[str, str] | None, store: EvidenceStore
) -> None:
    with SeldonArms(nodes) as arms:
        engine, client = deployed(SeldonEngine(arms)), PredictionClient()
        trial = Trial("seldon", "wine", (5.0,), ("x",), truth=5.0, reward=BOUNDED)
        answers = try_row(engine, client, store, trial, [None] * 40)
        assert arms.strayed() == 0 and sum(arms.fed().values()) == 40
        assert {answer.predictor for answer in answers} == {"a", "b"}
        assert all(answer.fed for answer in answers)

        # Without a running test, late rewards count from the last change on.
        late = [send_rows(engine, client, store, engine.get("seldon", "wine"), [[5.0]], ["x"])[0] for _ in range(20)]
        lines = ["puid,reward", *(f"{found.puid},0.25" for found in late)]
        report = attach_truths(engine, client, store, lines, who="ada")
        assert (report.fed, report.unfed) == (20, 0)
        assert arms.strayed() == 0 and sum(arms.fed().values()) == 60
    outcomes = store.outcomes("seldon", "wine")
    assert {(o.segment, o.routed) for o in outcomes} == {("a=80,b=20", True)}


@pytest.mark.parametrize("nodes", [None, SAME], ids=["by the ingress", "drawn"])
def test_rewards_of_v2_deployments_live_in_the_ledger(nodes: dict[str, str] | None, store: EvidenceStore) -> None:
    with SeldonArms(nodes) as arms:
        engine, client = deployed(SeldonEngine(arms), V2), PredictionClient()
        ledger = ledger_of(engine)
        end = replayed(ledger, 300)
        assert {o.status for o in ledger.outcomes.values()} == {OutcomeStatus.OK} and not end.errors
        assert ledger.by_arm() == {name: len(arm.predicted) for name, arm in arms.arms.items()}
        assert {(o.predictor, o.reward) for o in ledger.outcomes.values()} == {("a", 1.0), ("b", 0.5)}

        trial = Trial("seldon", "wine", (5.0, "red"), ("x", "colour"), truth=5.0, reward=BOUNDED)
        (answer,) = try_row(engine, client, store, trial)
        assert answer.reward in (1.0, 0.5) and not answer.fed and answer.feedback_error is None
        assert answer.request["inputs"][0]["datatype"] == "FP64"

        found, *_ = send_rows(engine, client, store, engine.get("seldon", "wine"), [[5.0, "red"]], ["x", "colour"])
        report = attach_truths(engine, client, store, ["puid,reward", f"{found.puid},0.25"], who="ada")
        assert (report.fed, report.unfed) == (0, 0)
        assert report.aside_sentences == [
            "1 stays in the ledger alone: the Open Inference Protocol of its deployment has no feedback"
        ]
        assert arms.fed() == {"a": 0, "b": 0}
        assert store.ledger.unfed() == []


def test_a_preview_of_a_v2_deployment_asks_its_arms() -> None:
    with SeldonArms() as arms:
        engine = deployed(SeldonEngine(arms), V2)
        ends = {name: engine.endpoint("seldon", "wine", name) for name in ("a", "b")}
        rows = [ReplayRow(i, (float(i), "red"), float(i)) for i in range(10)]
        seen = asyncio.run(preview(ends, rows, ("x", "colour"), 5.0))
        assert seen.predictions == {
            "a": tuple(float(i) for i in range(10)),
            "b": tuple(float(i) + 1 for i in range(10)),
        }
        bad = [ReplayRow(0, ("seven", "red"), 1.0)]
        seen = asyncio.run(preview(ends, bad, ("x", "colour"), 5.0))
        assert seen.errors["a"] == "x: “seven” is not a number, and the model wants FP64"
