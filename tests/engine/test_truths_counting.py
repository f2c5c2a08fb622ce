"""Late truths that the counters should not hear of: of another model, another split, another test, another reward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.domain import ChangeNote, Deployment, OutcomeStatus, Predictor, Split
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.traffic.client import PredictionClient
from services.traffic.rewards import Reward, RewardKind
from services.truths.attaching import attach_truths, resend
from services.truths.report import Report
from services.verdict.rule import Rule
from tests.support.memory_engine import MemoryEngine
from tests.support.outcomes import check_sums, new_replay, outcome
from tests.support.seldon_stub import SeldonStub

NOTE = ChangeNote("ann", "a test")
BOUNDED, HIT = Reward(RewardKind.BOUNDED), Reward(RewardKind.HIT)
SPLIT_WORDS = "stay in the ledger alone: their split is no longer in force"


@dataclass
class World:
    gateway: SeldonStub
    engine: MemoryEngine
    predictions: PredictionClient
    store: EvidenceStore

    def deploy(self, **models: str) -> None:
        arms = [Predictor(arm, f"models:/{models.get(arm, arm)}", traffic=n) for arm, n in (("a", 80), ("b", 20))]
        self.engine.apply(Deployment("seldon", "wine", tuple(arms)), note=NOTE)

    def split(self, a: int, b: int) -> None:
        self.engine.set_traffic("seldon", "wine", Split.of([("a", a), ("b", b)]), note=NOTE)

    def begin(self, reward: Reward = BOUNDED) -> None:
        self.store.tests.start(
            "seldon", "wine", Rule("a", "b", reward).to_json(), "models:/a", "models:/b", "ann", "a test"
        )

    def sent(self, *rows: int, replay: int = 1) -> None:
        """Rows that b answered with 5 just now, under the usual split."""
        now = datetime.now(UTC)
        bare: dict[str, Any] = {"prediction": 5.0, "truth": None, "reward": None, "at": now}
        self.store.ledger.record([outcome(n, "b", replay, **bare) for n in rows])

    def attach(self, text: str, **options: Any) -> Report:
        parts = self.engine, self.predictions, self.store
        return attach_truths(*parts, text.splitlines(keepends=True), who="ann", **options)

    def resend(self) -> Report:
        return resend(self.engine, self.predictions, self.store)

    def ledger(self) -> dict[str, tuple[float | None, OutcomeStatus]]:
        return {o.puid: (o.reward, o.status) for o in self.store.outcomes("seldon", "wine", limit=1000)}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    predictions = PredictionClient()
    with SeldonStub() as gateway:
        made = World(gateway, MemoryEngine(gateway.url), predictions, EvidenceStore(database))
        made.deploy()
        new_replay(made.store, reward=BOUNDED.to_json())
        new_replay(made.store, reward=HIT.to_json())
        yield made
    predictions.close()
    database.dispose()


def test_what_the_old_model_earned_is_not_the_new_ones(world: World) -> None:
    world.sent(1)
    world.deploy(b="better")
    world.sent(2)
    report = world.attach("puid,truth\nr1-0-1,6\nr1-0-2,6\n")
    assert (report.attached, report.fed, report.unfed) == (2, 1, 0)
    assert world.gateway.feedback == [("r1-0-2", "b", 0.5)]
    assert world.ledger() == {"r1-0-1": (0.5, "ok"), "r1-0-2": (0.5, "ok")}
    assert report.aside_sentences == ["1 stays in the ledger alone: it was sent before the deployment last changed"]
    assert world.resend().fed == 0
    check_sums(world.store, "b")


def test_a_test_counts_from_its_beginning(world: World) -> None:
    world.sent(1, 2)
    world.begin()
    world.sent(3)
    report = world.attach("puid,truth\nr1-0-1,6\nr1-0-2,6\nr1-0-3,6\n")
    assert world.gateway.feedback == [("r1-0-3", "b", 0.5)]
    assert report.aside_sentences == ["2 stay in the ledger alone: they were sent before the A/B test began"]


def test_another_split_is_not_counted_and_the_same_one_again_is(world: World) -> None:
    world.begin()
    world.sent(*range(12))
    world.split(50, 50)
    report = world.attach("puid,truth\n" + "".join(f"r1-0-{n},6\n" for n in range(11)))
    assert (report.attached, report.fed, world.gateway.feedback) == (11, 0, [])
    assert report.aside_sentences == [f"11 {SPLIT_WORDS}"]
    world.split(80, 20)
    assert world.attach("puid,truth\nr1-0-11,6\n").fed == 1
    check_sums(world.store, "b")


def test_only_the_reward_of_the_test_is_counted(world: World) -> None:
    world.begin(BOUNDED)
    world.sent(1, 2, 3, replay=2)  # a replay whose truths earn hit or miss
    by_replay = world.attach("puid,truth\nr2-0-1,5\n")
    assert (by_replay.fed, by_replay.aside_sentences) == (
        0, ["1 stays in the ledger alone: the A/B test goes by another reward"],
    )  # fmt: skip
    assert world.attach("puid,truth\nr2-0-2,6\n", reward=BOUNDED).fed == 1
    assert world.attach("puid,truth,reward\nr2-0-3,6,0.25\n").fed == 1
    assert world.gateway.feedback == [("r2-0-2", "b", 0.5), ("r2-0-3", "b", 0.25)]
    assert world.ledger()["r2-0-1"] == (1.0, "ok")


def test_a_test_whose_model_was_replaced_no_longer_speaks_for_its_arm(world: World) -> None:
    world.begin()
    world.sent(1)
    world.deploy(b="better")
    report = world.attach("puid,truth\nr1-0-1,6\n")
    assert (report.attached, world.gateway.feedback, sum(report.aside.values())) == (1, [], 1)


def test_what_waited_too_long_waits_no_more(world: World) -> None:
    world.begin()
    world.sent(1, 2)
    world.gateway.dead_for_feedback = {"b"}
    assert world.attach("puid,truth\nr1-0-1,6\nr1-0-2,6\n").unfed == 2
    world.gateway.dead_for_feedback = set()
    world.split(50, 50)
    report = world.resend()
    assert (report.fed, report.unfed, world.gateway.feedback) == (0, 0, [])
    assert report.aside_sentences == [f"2 {SPLIT_WORDS}"]
    assert world.ledger() == {"r1-0-1": (0.5, "ok"), "r1-0-2": (0.5, "ok")}
    assert world.resend().aside == {}
    check_sums(world.store, "b")


def test_a_waiting_reward_that_is_replaced_by_another_formula_waits_no_more(world: World) -> None:
    world.begin()
    world.sent(1)
    world.gateway.dead_for_feedback = {"b"}
    assert world.attach("puid,truth\nr1-0-1,6\n").unfed == 1
    report = world.attach("puid,truth\nr1-0-1,5.5\n", reward=HIT, overwrite=True)
    assert (report.replaced, report.unfed, sum(report.aside.values())) == (1, 0, 1)
    assert world.ledger() == {"r1-0-1": (0.0, "ok")}
    check_sums(world.store, "b")


def test_while_the_engine_is_silent_rewards_wait(world: World) -> None:
    world.sent(1)
    world.engine.down = "The controller"
    assert world.attach("puid,truth\nr1-0-1,6\n").unfed == 1
    world.engine.down = ""
    assert world.resend().fed == 1


def test_a_dry_run_says_what_would_stay(world: World) -> None:
    world.sent(1)
    world.split(50, 50)
    report = world.attach("puid,truth\nr1-0-1,6\n", dry_run=True)
    assert report.aside_sentences == ["1 stays in the ledger alone: its split is no longer in force"]
    assert world.ledger() == {"r1-0-1": (None, "ok")}


class TestFitting:
    """What cannot be true of its row is refused with its line, and changes nothing."""

    @pytest.mark.parametrize("replace", [False, True])
    def test_rewards_that_the_running_test_cannot_pay(self, world: World, replace: bool) -> None:
        world.begin()
        world.sent(1, 2, 3)
        world.attach("puid,reward\nr1-0-1,0.5\n")
        file = "puid,reward\nr1-0-1,400\nr1-0-2,-3\nr1-0-3,1\n"
        report = world.attach(file, overwrite=replace, dry_run=replace)
        assert (report.bad, report.attached, report.replaced) == (2, 1, 0)
        first, second = report.bad_lines
        assert first.line == 2 and first.words.startswith(
            "the reward 400 is not within 0 to 1, which is what A/B test 1"
        )
        assert second.line == 3 and "the reward −3 is not within 0 to 1" in second.words
        assert world.ledger()["r1-0-1"][0] == 0.5
        check_sums(world.store, "b")

    def test_rewards_outside_of_the_test_may_be_anything(self, world: World) -> None:
        world.sent(1, replay=2)
        assert world.attach("puid,reward\nr2-0-1,400\n").attached == 1
        world.sent(2, replay=2)
        world.begin()
        world.sent(3, replay=2)
        report = world.attach("puid,reward\nr2-0-2,400\nr2-0-3,400\n")
        assert (report.attached, report.bad) == (2, 0), "one before the test, one of a replay by another reward"

    @pytest.mark.parametrize("replay", [1, 2], ids=["bounded", "hit"])
    def test_a_truth_that_is_no_number_where_the_target_is_one(self, world: World, replay: int) -> None:
        world.sent(1, 2, replay=replay)
        world.attach(f"puid,truth\nr{replay}-0-1,6\n")
        report = world.attach(f"puid,truth\nr{replay}-0-1,abc\nr{replay}-0-2,abc\n", overwrite=True)
        assert [bad.line for bad in report.bad_lines] == [2, 3] and report.replaced == report.attached == 0
        assert all(bad.words.startswith("the truth “abc” is not a number, and") for bad in report.bad_lines)

    def test_the_test_says_what_the_target_is_where_no_replay_does(self, world: World) -> None:
        world.begin()
        now = datetime.now(UTC)
        world.store.ledger.record([outcome(1, "b", None, puid="p1", prediction=5.0, truth=None, reward=None, at=now)])
        assert world.attach("puid,truth\np1,abc\n").bad == 1
        assert world.attach("puid,truth\np1,6\n").attached == 1

    def test_labels_of_classes_and_of_a_formula_are_none_of_its_business(self, world: World) -> None:
        formula = Reward(RewardKind.FORMULA, expression="y_pred if y == 'good' else 0")
        assert new_replay(world.store, reward=formula.to_json()) == 3
        world.sent(1, replay=3)
        assert world.attach("puid,truth\nr3-0-1,good\n").attached == 1
        label = outcome(1, "b", 2, prediction="good", truth=None, reward=None, at=datetime.now(UTC))
        world.store.ledger.record([label])
        assert world.attach("puid,truth\nr2-0-1,bad\n").attached == 1


def test_what_contradicts_the_ledger_is_counted_and_listed_as_that(world: World) -> None:
    world.sent(*range(15))
    world.attach("puid,truth\n" + "".join(f"r1-0-{n},6\n" for n in range(15)))
    report = world.attach("puid,truth\nr1-0-0,6\n" + "".join(f"r1-0-{n},9\n" for n in range(1, 15)))
    assert (report.kept, report.contradicts, len(report.contradictions)) == (1, 14, 10)
    assert (report.contradictions[0].line, report.contradictions[0].words) == (
        3,
        "the truth stored for r1-0-1 is 6, the file says 9",
    )
