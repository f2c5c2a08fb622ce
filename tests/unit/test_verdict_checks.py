"""The trust strip: what makes each light green, amber, red or grey."""

from __future__ import annotations

import pytest

from services.stats.difference import proportions
from services.stats.srm import srm
from services.traffic.rewards import Reward, RewardKind
from services.verdict import checks
from services.verdict.checks import Booked, Surroundings
from services.verdict.model import Light

COLUMNS = (("alcohol", "double"), ("pH", "double"))


def around(requirements=("mlflow==3", "numpy==2"), columns=COLUMNS, python="3.11") -> Surroundings:
    return Surroundings("wine v1", python, tuple(requirements), columns)


@pytest.mark.parametrize(
    ("sent", "counted", "light"),
    [
        ([(80, 40), (20, 9)], [(80, 40), (20, 9)], Light.GREEN),
        ([(80, 40), (20, 9)], [(90, 45), (30, 12)], Light.GREEN),  # other clients reward too
        ([(800, 400), (200, 90)], [(798, 399), (199, 89)], Light.GREEN),  # a few on their way
        ([(800, 400), (200, 90)], [(800, 400), (150, 70)], Light.AMBER),
        ([(800, 400), (200, 90)], [(500, 250), (500, 240)], Light.RED),  # a random arm was rewarded
        ([(0, 0), (0, 0)], [(70, 35), (30, 15)], Light.GREEN),
        ([(0, 0), (0, 0)], [(0, 0), (0, 0)], Light.GREY),
    ],
)
def test_rewards_at_the_right_arm(sent, counted, light):
    found = checks.attribution([Booked(*s) for s in sent], [Booked(*c) for c in counted])
    assert found.light is light
    assert bool(found.advice) == (light in (Light.AMBER, Light.RED))


def test_without_counters_attribution_is_unknown():
    assert checks.attribution([Booked(80, 40), Booked(20, 9)], None).light is Light.GREY


@pytest.mark.parametrize(
    ("b", "light"), [(2000, Light.GREEN), (1850, Light.AMBER), (1500, Light.RED), (2500, Light.RED)]
)
def test_split_as_configured(b: int, light: Light):
    found = checks.split(srm([10_000 - b], [b], [0.2]), 0)
    assert found.light is light, found.sentence
    assert "10,000 requests" in found.sentence


def test_an_unread_split_is_unknown_and_changes_are_told():
    assert checks.split(None, 0).light is Light.GREY
    assert "over 3 splits" in checks.split(srm([80, 50, 50], [20, 50, 50], [0.2, 0.5, 0.5]), 2).sentence


def test_enough_data():
    assert checks.enough(["paired replay, 1,225 pairs"], []).light is Light.GREEN
    collecting = checks.enough([], ["live traffic: B has 37 of 100 rewards"])
    assert collecting.light is Light.AMBER and "37 of 100" in collecting.sentence
    assert "Traffic page" in checks.enough([], []).advice


def test_reward_well_behaved():
    bounded, tutorial = Reward(RewardKind.BOUNDED), Reward(RewardKind.TUTORIAL)
    assert checks.reward(bounded, [], 400).light is Light.GREEN
    assert checks.reward(bounded, [], 0).light is Light.GREY
    assert checks.reward(bounded, ["the largest one makes up 43 %."], 400).light is Light.RED
    assert checks.reward(tutorial, [], 0).light is Light.RED, "known before the first request"


@pytest.mark.parametrize(
    ("lost_b", "light"), [(0, Light.GREEN), (400, Light.AMBER), (3000, Light.RED)], ids=["none", "few", "many"]
)
def test_feedback_complete(lost_b: int, light: Light):
    n = 20_000
    gap = proportions(0, n, lost_b, n, planned=5000)
    assert checks.feedback(gap, (1.0, 1 - lost_b / n)).light is light
    assert checks.feedback(None, None).light is Light.GREY


def test_feedback_that_hardly_comes_back_is_not_complete():
    n = 20_000
    found = checks.feedback(proportions(n, n, n, n, planned=5000), (0.0, 0.0))
    assert found.light is Light.AMBER and "B's: of most" in found.sentence and "nobody knows" in found.sentence
    assert checks.feedback(proportions(0, n, 0, n, planned=5000), (0.9, 0.9)).light is Light.GREEN


def test_ledger_and_counters_that_agree_but_for_a_few_say_for_how_many():
    sent, counted = [Booked(959, 600.0), Booked(242, 150.0)], [Booked(962, 602.0), Booked(240, 149.0)]
    found = checks.attribution(sent, counted)
    assert found.light is Light.GREEN and "A 959, B 242 rewards, but for 5," in found.sentence
    assert checks.attribution(sent, sent).sentence == "Ledger and counters agree on A 959, B 242 rewards."


def test_same_environment():
    assert checks.environment(around(), around()).light is Light.GREEN
    other = checks.environment(around(), around(requirements=("mlflow==3", "numpy==1")))
    assert other.light is Light.AMBER and "numpy==1, numpy==2" in other.sentence
    assert "Python 3.11 and 3.12" in checks.environment(around(), around(python="3.12")).sentence
    columns = checks.environment(around(), around(columns=(("alcohol", "double"),)))
    assert columns.light is Light.AMBER and "pH" in columns.sentence
    assert checks.environment(around(), around(columns=None)).light is Light.AMBER
    assert "MLflow does not answer" in checks.environment(None, None, "MLflow does not answer").sentence


def test_where_the_protocol_has_no_feedback_its_absence_is_no_fault() -> None:
    sent = [checks.Booked(80, 40.0), checks.Booked(20, 10.0)]
    for check in (checks.attribution(sent, None, feeds=False), checks.feedback(None, None, feeds=False)):
        assert check.light is Light.GREY and "Open Inference Protocol has no feedback" in check.sentence
        assert not check.advice
