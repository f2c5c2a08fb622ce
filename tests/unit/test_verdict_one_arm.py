"""Rows that a replay sent to one arm: no feedback, so nothing of them in the counters; and how older ones are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.errors import NotFound
from services.stats.sums import Sums
from services.traffic.replay import ReplayMode, ReplaySpec
from services.verdict.ledger_side import fed_past_split
from services.verdict.model import Light
from services.verdict.rule import Decides, Rule
from tests.support.verdict_world import BOUNDED, NEGATIVE, VerdictWorld, check_of, open_world


@pytest.fixture
def world(tmp_path: Path) -> VerdictWorld:
    made = open_world(tmp_path)
    made.begin(Rule(reward=BOUNDED, decides=Decides.LIVE))
    made.live()
    return made


def test_late_truths_of_a_replay_to_one_arm_leave_the_checks_green(world: VerdictWorld) -> None:
    number = world.one_arm(feedback=False)
    assert check_of(world.assess(), "attribution").light is Light.GREEN
    world.attach(number)
    found = world.assess()
    assert check_of(found, "attribution").light is Light.GREEN, check_of(found, "attribution").sentence
    assert check_of(found, "feedback").light is Light.GREEN
    assert found.live is not None and found.live.n == 1000, "and its time is compared like any other"


def test_an_older_replay_to_one_arm_makes_the_checks_grey_and_leaves_its_time_out(world: VerdictWorld) -> None:
    number = world.one_arm()
    world.counters.count("b", Sums.of(np.full(100, 0.8)))  # what it sent then
    world.attach(number)
    found = world.assess()
    for key in ("attribution", "feedback"):
        check = check_of(found, key)
        assert check.light is Light.GREY and "replay to one arm" in check.sentence and check.advice
    assert found.live is not None and found.live.n < 1000


def test_rows_sent_again_silence_what_rewards_tell_and_not_the_split(world: VerdictWorld) -> None:
    world.live()
    found = world.assess()
    for key in ("attribution", "feedback"):
        check = check_of(found, key)
        assert check.light is Light.GREY and "more than once" in check.sentence
        assert "Prometheus" not in check.sentence + check.advice, "which answers"
    split = check_of(found, "split")
    assert split.light is Light.GREEN and "2,000 requests" in split.sentence


def test_without_a_test_a_deployment_that_is_not_there_is_named_first(tmp_path: Path) -> None:
    made = open_world(tmp_path)
    for name, words in (("wine", "A/B test of the deployment"), ("beer", "There is no deployment")):
        with pytest.raises(NotFound) as caught:
            made.verdicts.assess("seldon", name)
        assert words in caught.value.sentence
    made.engine.down = "The controller"
    with pytest.raises(NotFound, match="A/B test of the deployment"):
        made.verdicts.assess("seldon", "beer")


def test_a_replay_says_in_its_record_whether_it_sends_feedback(world: VerdictWorld) -> None:
    def fed(**spec: object) -> bool:
        return fed_past_split(world.store.replays.add("seldon", "wine", spec, 1, "done", "ann"))

    bounded, negative = BOUNDED.to_json(), NEGATIVE.to_json()
    assert fed(mode="pinned", reward=bounded)
    assert not fed(mode="pinned", reward=negative), "no counter takes it"
    assert not fed(mode="pinned", reward=bounded, feedback=False)
    assert not fed(mode="live", reward=bounded) and not fed(mode="paired", reward=bounded)


@pytest.mark.parametrize("mode", list(ReplayMode))
def test_only_rows_that_the_split_divides_are_for_the_counters(mode: ReplayMode) -> None:
    assert ReplaySpec("seldon", "wine", "wine-quality", "quality", BOUNDED, mode=mode).feedback is (
        mode is ReplayMode.LIVE
    )
    assert not ReplaySpec("seldon", "wine", "wine-quality", "quality", NEGATIVE, mode=mode).feedback
