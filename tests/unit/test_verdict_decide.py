"""Which of the four calls each kind of evidence leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.verdict.decide import Verdict, decide
from services.verdict.model import Call, Cell, Check, Interval, Light, MetricRow, Strand
from services.verdict.rule import ABTest, Rule, Source

TEST = ABTest(1, "seldon", "wine", Rule(), "models:/a", "models:/b", "ann", datetime(2026, 3, 1, tzinfo=UTC))
SOUND = Check("split", "Split as configured", Light.GREEN, "4 of 5 requests went to A.")
AMBER = Check("environment", "Same environment", Light.AMBER, "numpy differs.", "Look.")
RED = Check("reward", "Reward well-behaved", Light.RED, "one request makes up 43 % of A's total.", "Use a bounded one.")


def strand(low: float, high: float, source: Source = Source.PAIRED, **more: object) -> Strand:
    return Strand(source, 400, 400, 400, Interval((low + high) / 2, low, high, 0.95), **more)


def rail(estimate: float, half: float, limit: float = 0.01) -> MetricRow:
    difference = Interval(estimate, estimate - half, estimate + half, 0.95)
    cells = (Cell(0.0, 400), Cell(estimate, 400))
    return MetricRow("errors", "Failed predictions", Source.PAIRED, *cells, difference, False, "share", limit=limit)


def call(checks=(SOUND,), paired=None, live=None, table=(), minimum=0.0) -> Verdict:
    test = replace(TEST, rule=Rule(minimum_effect=minimum))
    return decide(test, checks, paired, live, table)


def test_a_clear_lead_ships_and_a_clear_loss_keeps():
    assert call(paired=strand(0.001, 0.005)).call is Call.SHIP
    assert call(paired=strand(-0.005, -0.001)).call is Call.KEEP
    assert call(paired=strand(-0.001, 0.005)).call is Call.RUNNING


def test_live_traffic_decides_where_there_is_no_replay():
    assert call(live=strand(0.001, 0.005, Source.LIVE)).call is Call.SHIP
    assert "live traffic" in call(live=strand(0.001, 0.005, Source.LIVE)).fired


def test_a_red_check_forbids_everything_and_says_itself():
    verdict = call(checks=(SOUND, RED), paired=strand(0.001, 0.005))
    assert verdict.call is Call.DISTRUST
    assert verdict.headline == "Do not trust yet: one request makes up 43 % of A's total."
    assert "reward well-behaved" in verdict.fired


def test_an_amber_check_forbids_nothing():
    assert call(checks=(AMBER,), paired=strand(0.001, 0.005)).call is Call.SHIP


def test_two_sources_that_contradict_each_other_are_not_to_be_trusted():
    verdict = call(paired=strand(0.001, 0.005), live=strand(-0.05, -0.01, Source.LIVE))
    assert verdict.call is Call.DISTRUST
    assert "different winners" in verdict.headline


def test_undecided_live_traffic_does_not_stop_a_decided_replay():
    assert call(paired=strand(0.001, 0.005), live=strand(-0.05, 0.01, Source.LIVE)).call is Call.SHIP


def test_live_traffic_beside_a_replay_does_not_decide_alone():
    """Two chances to find something would double the error level."""
    assert call(paired=strand(-0.001, 0.005), live=strand(0.01, 0.05, Source.LIVE)).call is Call.RUNNING


@pytest.mark.parametrize(
    ("estimate", "half", "expected"),
    [(0.05, 0.02, Call.KEEP), (0.02, 0.02, Call.RUNNING), (0.005, 0.02, Call.SHIP), (-0.05, 0.02, Call.SHIP)],
)
def test_guardrails(estimate: float, half: float, expected: Call):
    assert call(paired=strand(0.001, 0.005), table=(rail(estimate, half),)).call is expected


def test_a_broken_guardrail_keeps_a_even_before_the_reward_is_known():
    verdict = call(table=(rail(0.05, 0.02),))
    assert verdict.call is Call.KEEP
    assert "5 points" in verdict.headline and "1 points" in verdict.headline


def test_a_lead_below_the_minimum_effect_is_not_shipped():
    assert call(paired=strand(0.001, 0.005), minimum=0.01).call is Call.KEEP  # it cannot be as large as that
    assert call(paired=strand(0.001, 0.015), minimum=0.01).call is Call.RUNNING
    assert call(paired=strand(0.009, 0.015), minimum=0.01).call is Call.SHIP


def test_models_that_never_differ_keep_a():
    verdict = call(paired=replace(strand(0, 0), n=500))
    assert verdict.call is Call.KEEP
    assert "exactly the same" in verdict.headline


def test_models_that_have_not_differed_yet_are_given_the_planned_rows():
    verdict = call(paired=replace(strand(0, 0), n=400))
    assert verdict.call is Call.RUNNING
    assert "100 more rows" in verdict.headline


def test_keep_running_says_how_much_longer():
    verdict = call(paired=strand(-0.001, 0.005, remaining_n=1234, remaining_s=400.0))
    assert "about 1,200 more rows, about 7 minutes at the current rate" in verdict.headline
    assert "no decision is in sight" in call(paired=strand(-0.001, 0.005)).headline


def test_below_the_gates_the_verdict_says_what_is_missing():
    waiting = Strand(Source.PAIRED, 37, 37, 37, None, withheld="B has 37 of 100 rewards.")
    assert call(paired=waiting).headline == "Keep running: B has 37 of 100 rewards."
    assert call().call is Call.RUNNING
