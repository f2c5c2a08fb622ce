"""Late truths with a gateway that answers: into the ledger, and to the arm that earned the reward, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.domain import ChangeNote, Deployment, OutcomeStatus, Predictor
from services.evidence.database import open_database
from services.evidence.feeding import Unfed
from services.evidence.store import EvidenceStore
from services.runtime.model_server.feedback import read_feedback
from services.traffic.client import PredictionClient
from services.traffic.protocol import feedback_body
from services.traffic.rewards import Reward, RewardKind
from services.trials import Trial, try_row
from services.truths import attaching
from services.truths.attaching import SENT_WITHOUT_ROW, answer_of, attach_truths, resend
from services.truths.report import Report
from tests.support.memory_engine import MemoryEngine
from tests.support.outcomes import check_sums, new_replay, outcome, paired, paired_replay
from tests.support.seldon_stub import SeldonStub

BOUNDED = Reward(RewardKind.BOUNDED)


def bare() -> dict[str, Any]:
    """What an outcome has that was sent just now, and of which nothing is known yet."""
    return {"truth": None, "reward": None, "at": datetime.now(UTC)}


@dataclass
class World:
    gateway: SeldonStub
    engine: MemoryEngine
    predictions: PredictionClient
    store: EvidenceStore

    def attach(self, text: str, **options: object) -> Report:
        parts = self.engine, self.predictions, self.store
        return attach_truths(*parts, text.splitlines(keepends=True), who="ann", **options)  # type: ignore[arg-type]

    def resend(self) -> Report:
        return resend(self.engine, self.predictions, self.store)

    def status(self, puid: str) -> OutcomeStatus:
        (found,) = [o for o in self.store.outcomes("seldon", "wine", limit=1000) if o.puid == puid]
        return found.status


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    predictions = PredictionClient()
    with SeldonStub() as gateway:
        engine = MemoryEngine(gateway.url)
        arms = tuple(Predictor(name, f"models:/m-{name}", traffic=share) for name, share in (("a", 80), ("b", 20)))
        engine.apply(Deployment("seldon", "wine", arms), note=ChangeNote("ann", "a test"))
        yield World(gateway, engine, predictions, EvidenceStore(database))
    predictions.close()
    database.dispose()


def test_the_truth_of_a_single_request_reaches_the_arm_that_answered(world: World) -> None:
    trial = Trial("seldon", "wine", (5.0,))
    answers = try_row(world.engine, world.predictions, world.store, trial, [None] * 12)
    assert {answer.predictor for answer in answers} == {"a", "b"}
    puids = [answer.prediction.puid for answer in answers if answer.prediction]
    report = world.attach("puid,truth\n" + "".join(f"{puid},6\n" for puid in puids), reward=BOUNDED)
    assert (report.lines, report.attached, report.fed, report.unfed) == (12, 12, 12, 0)
    rewards = {"a": 0.5, "b": 1.0}  # a answers 5, b answers 6
    assert sorted(world.gateway.feedback) == sorted(
        (puid, answer.predictor, rewards[answer.predictor]) for puid, answer in zip(puids, answers, strict=True)
    )
    assert all(sent == said for sent, said in world.gateway.arms_in_responses)
    assert world.gateway.truths == [6] * 12
    assert {world.status(puid) for puid in puids} == {OutcomeStatus.OK}

    again = world.attach("puid,truth\n" + "".join(f"{puid},6\n" for puid in puids), reward=BOUNDED)
    assert (again.kept, again.attached, again.fed, len(world.gateway.feedback)) == (12, 0, 0, 12)
    check_sums(world.store, "a")


def test_the_truth_of_a_request_to_one_arm_stays_in_the_ledger_and_that_is_said(world: World) -> None:
    answers = try_row(world.engine, world.predictions, world.store, Trial("seldon", "wine", (5.0,)), ["a", "b"])
    puids = [answer.prediction.puid for answer in answers if answer.prediction]
    report = world.attach("puid,truth\n" + "".join(f"{puid},6\n" for puid in puids), reward=BOUNDED)
    assert (report.attached, report.fed, report.unfed, world.gateway.feedback) == (2, 0, 0, [])
    assert report.aside_sentences == ["2 stay in the ledger alone: they were sent to an arm past the split"]
    assert {world.status(puid) for puid in puids} == {OutcomeStatus.OK} and world.resend().aside == {}
    check_sums(world.store, "b")


def test_a_replay_says_itself_what_a_truth_earns_and_pairs_are_not_for_the_counters(world: World) -> None:
    new_replay(world.store, reward=BOUNDED.to_json())
    paired_replay(world.store)
    world.store.ledger.record([outcome(1, "b", prediction=5.0, **bare())])
    world.store.ledger.record([paired(1, arm, replay=2, prediction=5.0, **bare()) for arm in "ab"])
    report = world.attach("puid,truth\nr1-0-1,6\nr2-0-1-a,6\nr2-0-1-b,7\n")
    assert (report.attached, report.fed) == (3, 1)

    assert world.gateway.feedback == [("r1-0-1", "b", 0.5)]
    check_sums(world.store, "b")


def test_feedback_that_fails_is_kept_and_sent_again_later(world: World) -> None:
    new_replay(world.store, reward=BOUNDED.to_json())
    world.store.ledger.record([outcome(n, "ab"[n % 2], prediction=5.0, **bare()) for n in range(10)])
    world.gateway.dead_for_feedback = {"b"}
    report = world.attach("puid,truth\n" + "".join(f"r1-0-{n},6\n" for n in range(10)))
    assert (report.attached, report.fed, report.unfed) == (10, 5, 5)
    assert "no healthy upstream" in report.feedback_error
    assert (world.status("r1-0-0"), world.status("r1-0-1")) == ("ok", "feedback_failed")
    check_sums(world.store, "b")

    world.gateway.dead_for_feedback = set()
    assert (world.resend().fed, world.resend().fed) == (5, 0)
    assert world.gateway.reward_sums() == {"a": (5, 2.5), "b": (5, 2.5)}
    assert world.status("r1-0-1") is OutcomeStatus.OK
    check_sums(world.store, "b")


def test_without_a_gateway_everything_is_attached_and_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attaching, "CHUNK", 4)
    new_replay(world.store, reward=BOUNDED.to_json())
    world.store.ledger.record([outcome(n, prediction=5.0, **bare()) for n in range(10)])
    url, world.engine.gateway_url = world.engine.gateway_url, "http://127.0.0.1:1"
    seen: list[int] = []
    report = world.attach(
        "puid,truth\n" + "".join(f"r1-0-{n},6\n" for n in range(10)), progress=lambda r: seen.append(r.lines)
    )
    assert (report.attached, report.fed, report.unfed, seen) == (10, 0, 10, [4, 8, 10])
    assert "The gateway does not answer" in report.feedback_error
    world.engine.gateway_url = url
    assert world.resend().fed == 10
    check_sums(world.store, "a")


def test_the_feedback_of_an_arm_that_is_gone_is_kept(world: World) -> None:
    world.store.ledger.record([outcome(1, "old", replay=None, puid="p", **bare())])
    report = world.attach("puid,reward\np,0.5\n")
    assert (report.attached, report.fed, report.unfed) == (1, 0, 1)
    assert "old" in report.feedback_error


def test_a_dry_run_sends_nothing(world: World) -> None:
    new_replay(world.store, reward=BOUNDED.to_json())
    world.store.ledger.record([outcome(1, **bare())])
    text = "puid,truth\nr1-0-1,6\nwho,6\nr1-0-1,7\n"
    report = world.attach(text, dry_run=True)
    assert (report.attached, report.unknown_puids, [bad.line for bad in report.bad_lines]) == (1, ["who"], [4])
    assert world.gateway.feedback == [] and world.status("r1-0-1") is OutcomeStatus.OK


def test_a_truth_that_the_formula_cannot_use_is_told_by_its_line(world: World) -> None:
    new_replay(world.store, reward=BOUNDED.to_json())
    world.store.ledger.record([outcome(n, **bare()) for n in (1, 2, 3)])
    report = world.attach("puid,truth\nr1-0-1,red\nr1-0-2,6\n,6\nr1-0-3,white\n")
    assert (report.attached, report.bad) == (1, 3)
    assert [(bad.line, bad.words) for bad in report.bad_lines] == [
        (2, "the truth “red” is not a number, and the reward needs one; use hit or miss for classes"),
        (4, "the puid is missing"),
        (5, "the truth “white” is not a number, and the reward needs one; use hit or miss for classes"),
    ]


def test_the_model_server_understands_the_body() -> None:
    one = Unfed(1, "p", "seldon", "wine", "b", 5.0, 6, 0.5, "a=80,b=20", datetime.now(UTC))
    found = read_feedback(orjson.dumps(feedback_body(SENT_WITHOUT_ROW, answer_of(one), one.reward, one.truth)))
    assert (found.reward, found.predictor, found.puid, found.answered) == (0.5, "b", "p", True)
