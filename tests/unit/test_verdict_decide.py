"""Which of the four calls each kind of evidence leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.verdict.decide import Verdict, decide
from services.verdict.model import Call, Cell, Check, Interval, Light, MetricRow, Strand
from services.verdict.rule import ABTest, Decides, Rule, Source

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


def call(checks=(SOUND,), paired=None, live=None, table=(), minimum=0.0, decides=Decides.PAIRED) -> Verdict:
    test = replace(TEST, rule=Rule(minimum_effect=minimum, decides=decides))
    return decide(test, checks, paired, live, table)


def test_a_clear_lead_ships_and_a_clear_loss_keeps():
    assert call(paired=strand(0.001, 0.005)).call is Call.SHIP
    assert call(paired=strand(-0.005, -0.001)).call is Call.KEEP
    assert call(paired=strand(-0.001, 0.005)).call is Call.RUNNING


AHEAD, BEHIND = strand(0.001, 0.005), strand(-0.005, -0.001)
OPEN = strand(-0.001, 0.005)
LIVE_AHEAD, LIVE_OPEN = strand(0.01, 0.05, Source.LIVE), strand(-0.05, 0.01, Source.LIVE)


@pytest.mark.parametrize("decides", list(Decides))
def test_the_source_that_decides_is_part_of_the_rule(decides: Decides):
    """A test that took whichever source says so first would have two chances to err."""
    of_pairs = Call.RUNNING if decides is Decides.LIVE else Call.SHIP
    of_live = Call.RUNNING if decides is Decides.PAIRED else Call.SHIP
    assert call(paired=AHEAD, decides=decides).call is of_pairs
    assert call(paired=AHEAD, live=LIVE_OPEN, decides=decides).call is of_pairs
    assert call(live=LIVE_AHEAD, decides=decides).call is of_live
    assert call(paired=OPEN, live=LIVE_AHEAD, decides=decides).call is of_live


def test_two_deciding_sources_that_come_to_different_calls_are_not_trusted():
    """No lead that matters in pairs, and a lead that does in live traffic: neither may be hidden behind the other."""
    small, large = strand(-0.002, 0.008), strand(0.012, 0.03, Source.LIVE)
    verdict = call(paired=small, live=large, decides=Decides.EITHER, minimum=0.01)
    assert verdict.call is Call.DISTRUST
    assert "Keep A by one" in verdict.fired and "Ship B by one" in verdict.fired
    assert call(paired=small, live=large, decides=Decides.PAIRED, minimum=0.01).call is Call.KEEP
    assert call(paired=small, live=LIVE_OPEN, decides=Decides.EITHER, minimum=0.01).call is Call.KEEP


@pytest.mark.parametrize("decides", list(Decides))
def test_the_other_source_can_object(decides: Decides):
    verdict = call(paired=BEHIND, live=LIVE_AHEAD, decides=decides)
    assert verdict.call is Call.DISTRUST
    assert "different winners" in verdict.headline


def test_where_the_deciding_source_says_nothing_the_verdict_says_what_to_do():
    verdict = call(live=LIVE_AHEAD)
    assert verdict.headline == (
        "Keep running: this test decides by the paired replay, and none has run. Start one on Traffic."
    )
    assert "Beside it, not deciding, the live traffic (400 rewards): B − A is +0.03" in verdict.fired
    verdict = call(paired=AHEAD, decides=Decides.LIVE)
    assert "decides by the live traffic, and no reward of any has come in" in verdict.headline
    assert "nothing that earned a reward" in call(decides=Decides.EITHER).headline


def test_a_source_that_does_not_decide_is_named_only_if_it_excludes_0():
    assert "Beside it" not in call(paired=AHEAD, live=LIVE_OPEN).fired
    assert "Beside it" in call(paired=AHEAD, live=LIVE_AHEAD).fired
    assert "Beside it" not in call(paired=AHEAD, live=LIVE_AHEAD, decides=Decides.EITHER).fired


def test_either_source_has_half_of_alpha():
    assert {decides: Rule(alpha=0.04, decides=decides).alpha_each for decides in Decides} == {
        Decides.PAIRED: 0.04,
        Decides.LIVE: 0.04,
        Decides.EITHER: 0.02,
    }


def test_a_rule_from_before_it_named_its_source_lets_either_decide_at_half_of_alpha():
    stored = Rule(decides=Decides.LIVE).to_json()
    assert Rule.from_json(stored).decides is Decides.LIVE
    del stored["decides"]
    assert Rule.from_json(stored).decides is Decides.EITHER


def test_a_red_check_forbids_everything_and_says_itself():
    verdict = call(checks=(SOUND, RED), paired=strand(0.001, 0.005))
    assert verdict.call is Call.DISTRUST
    assert verdict.headline == "Do not trust yet: one request makes up 43 % of A's total."
    assert "reward well-behaved" in verdict.fired


def test_an_amber_check_forbids_nothing():
    assert call(checks=(AMBER,), paired=strand(0.001, 0.005)).call is Call.SHIP


@pytest.mark.parametrize(
    ("estimate", "half", "expected"),
    [(0.05, 0.02, Call.KEEP), (0.02, 0.02, Call.RUNNING), (0.005, 0.02, Call.SHIP), (-0.05, 0.02, Call.SHIP)],
)
def test_guardrails(estimate: float, half: float, expected: Call):
    assert call(paired=strand(0.001, 0.005), table=(rail(estimate, half),)).call is expected


def test_a_broken_guardrail_keeps_a_even_before_the_reward_is_known():
    verdict = call(table=(rail(0.05, 0.02),))
    assert verdict.call is Call.KEEP
    assert "its failed predictions are higher by" in verdict.headline
    slow = replace(rail(0.05, 0.02), key="slow", label="Slower than 60 ms")
    assert "its share of predictions slower than 60 ms is higher by" in call(table=(slow,)).headline
    assert "+5\u202fpoints" in verdict.headline and "+1\u202fpoint allowed" in verdict.headline


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
    assert "about 1,200 more rows, about 6\u202fmin at the present rate" in verdict.headline
    assert "no decision is in sight" in call(paired=strand(-0.001, 0.005)).headline


def test_below_the_gates_the_verdict_says_what_is_missing():
    waiting = Strand(Source.PAIRED, 37, 37, 37, None, withheld="B has 37 of 100 rewards.")
    assert call(paired=waiting).headline == "Keep running: B has 37 of 100 rewards."
    assert call().call is Call.RUNNING
    waiting = replace(waiting, source=Source.LIVE)
    assert call(live=waiting).headline != call(live=waiting, decides=Decides.LIVE).headline
