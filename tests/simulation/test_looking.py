"""The quick form: 2,000 experiments and more for each claim, each judged with its own chance error.

A claim of "at most 5 %" holds if so few of the experiments fail that the true share is below 5 % with 99 % confidence.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.stats import gates
from services.stats.sums import Sums
from services.verdict.rule import Decides, Rule
from tests.simulation.counting import cover, peek_counters
from tests.simulation.drift import DAYS, live_through, stratify
from tests.simulation.families import FAMILIES, TUTORIAL, Family, bernoulli, bounded, mean_bounded, normal, of_residuals
from tests.simulation.pairs import PAIRS, PLANTED, Pairs, pair_gates_open, replay
from tests.simulation.peeking import ahead, draw_looks, errors, gates_open, peek
from tests.simulation.places import read_live
from tests.simulation.routing import route
from tests.simulation.sources import both_sources, whichever_first

ALPHA = 0.05
RUNS = 2000


@pytest.mark.parametrize("share_b", [0.5, 0.2])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_against_a(family: Family, share_b: float):
    """Looked at a hundred times, at most 5 % of the tests ever name a difference; the classical interval: a quarter."""
    found = peek(family, family, share_b=share_b, runs=RUNS, seed=1)
    assert found.gated.at_most <= ALPHA
    assert found.classical.at_least > 4 * ALPHA
    assert found.shown.value > 0.8  # the gates are open in the end: this is no silence


def test_without_the_gates_rare_hits_are_a_false_alarm():
    found = peek(bernoulli(0.01), bernoulli(0.01), share_b=0.2, runs=RUNS, seed=2)
    assert found.ungated.at_least > ALPHA


def test_the_tutorials_reward_is_never_shown():
    for share_b in (0.5, 0.2):
        found = peek(TUTORIAL, TUTORIAL, share_b=share_b, runs=RUNS, seed=3)
        assert found.shown.at_most < 0.01
        assert found.gated.at_most < 0.01


def test_the_tutorials_reward_favours_the_arm_with_more_traffic():
    """Tail index 1/2: the mean of n rewards is like n times one fixed stable variable, so that of two equal models at
    80/20 A is ahead with probability (2/pi) atan(sqrt(80/20)) = 70.5 %."""
    expected = 2 / math.pi * math.atan(math.sqrt(80 / 20))
    found = ahead(TUTORIAL, 0.2, runs=RUNS, seed=18)
    assert found.at_least < expected < found.at_most
    assert found.at_least > 0.65
    even = ahead(FAMILIES[6], 0.2, runs=RUNS, seed=18)
    assert even.at_least < 0.5 < even.at_most


def test_a_difference_that_is_there_is_found_and_covered():
    """Residuals that grow from .75 to .85: B is worse by .036 in the bounded reward, at 80/20."""
    worse = of_residuals("1/(1 + e²), e of sd .85", bounded, 0.85)
    truth = mean_bounded(0.85) - mean_bounded(0.75)
    found = peek(of_residuals("1/(1 + e²)", bounded), worse, share_b=0.2, runs=RUNS, seed=4, truth=truth)
    assert found.gated.at_most <= ALPHA
    assert found.found.at_least > 0.9
    assert found.once.at_most < 0.07  # the classical interval at one look: about 5 % by construction


def test_a_difference_of_a_normal_reward():
    found = peek(normal(), normal(1.15), share_b=0.5, runs=RUNS, seed=5, truth=0.15)
    assert found.gated.at_most <= ALPHA
    assert found.found.at_least > 0.97


def test_the_simulated_gates_are_the_products():
    rng = np.random.default_rng(6)
    for family in (*FAMILIES, TUTORIAL):
        a, b = draw_looks(family, family, 0.3, 20, 8, 60, rng)
        expected = [
            [not gates.enough(*at) and gates.tail(*at) is None for at in zip(*arms, strict=True)]
            for arms in zip(*([_as_sums(arm, run) for run in range(20)] for arm in (a, b)), strict=True)
        ]
        assert gates_open(a, b).tolist() == expected
    d = rng.choice([0.0, 0.0, 0.0, 1.0, -0.3], size=(30, 400))
    n, total, squares, largest = np.arange(1.0, 401), d.cumsum(1), (d * d).cumsum(1), np.maximum.accumulate(abs(d), 1)
    open_ = pair_gates_open(np.broadcast_to(n, d.shape), total, squares, largest)
    for run in range(30):
        for at in range(20, 400, 37):
            assert open_[run, at] == (not gates.enough_pairs(Sums.of(d[run, : at + 1])))


@pytest.mark.parametrize("pairs", PAIRS[:3], ids=lambda pairs: pairs.name)
def test_paired_replays_of_equal_models(pairs: Pairs):
    assert replay(pairs, runs=RUNS, seed=7).gated.at_most <= ALPHA


def test_a_better_model_is_found_by_a_replay():
    found = replay(PLANTED, runs=RUNS, seed=8)
    assert found.found.at_least > 0.99
    assert found.gated.at_most <= ALPHA


@pytest.mark.parametrize("decides", list(Decides))
def test_the_rule_with_both_sources_of_equal_models(decides: Decides):
    """Whichever source decides, at most 5 % of the tests ever name a winner, over hundreds of thousands of rewards."""
    assert both_sources(Rule(decides=decides), runs=RUNS, seed=31).named.at_most <= ALPHA


def test_taking_whichever_source_speaks_first_at_the_whole_alpha_errs_more_often():
    """So the source is part of the rule, or each of two has half."""
    assert whichever_first(Rule(), runs=4 * RUNS, seed=32).at_least > ALPHA


@pytest.mark.parametrize("decides", list(Decides))
def test_the_rule_with_both_sources_finds_a_better_arm(decides: Decides):
    assert both_sources(Rule(decides=decides), runs=200, seed=33, gain=0.1).named.at_least > 0.95


def test_live_traffic_read_from_the_place_that_the_rule_has_fixed():
    """Counters or ledger, each at the whole alpha: one test relies on one of them."""
    found = read_live(FAMILIES[6], runs=2 * RUNS, seed=34)
    assert found.counters.at_most <= ALPHA
    assert found.ledger.at_most <= ALPHA
    assert found.whichever.value > max(found.counters.value, found.ledger.value), "two places are two chances to err"


@pytest.mark.parametrize("share_b", [0.5, 0.2, 0.1, 0.05])
def test_guardrails_of_equal_models(share_b: float):
    """Rare and frequent errors, without any gate, from the first request on."""
    for rate in (0.001, 0.01, 0.1):
        assert errors(rate, share_b, runs=RUNS, seed=9).at_most <= ALPHA


def test_correct_routing_raises_no_alarm():
    found = route(runs=10_000, seed=10)
    assert found.amber.at_most <= 0.01
    assert found.red.at_most <= 0.002
    assert found.classical.at_least > 0.01  # the classical test at its level of .1 %, looked at each time
    assert found.totals.value == 1  # totals against the last share


def test_lost_requests_are_noticed():
    assert route(runs=RUNS, seed=11, lost_b=0.1).amber.at_least > 0.75
    assert route(runs=RUNS, seed=11, lost_b=0.2).red.at_least > 0.99


def test_a_moved_slider_with_drift():
    """Weighting by the share in force holds its level; the pooled means are wrong every time."""
    falling = DAYS[2]
    found = live_through(falling, runs=RUNS, seed=12)
    assert found.aipw.at_most <= ALPHA
    assert abs(found.aipw_bias) < 0.003
    assert found.pooled.value == 1
    assert found.pooled_bias == pytest.approx(-0.28, abs=0.01)
    # B is better by .1 in truth: found in two of three tests, while the pooled means say "worse" in all of them.
    planted = live_through(falling, runs=1000, seed=13, truth=0.1)
    assert planted.found.at_least > 0.6
    assert planted.wrong.value == 1
    assert planted.aipw.at_most <= ALPHA


def test_a_slider_that_never_rests():
    found = live_through(DAYS[4], runs=RUNS, seed=14)
    assert found.aipw.at_most <= ALPHA
    assert found.pooled.at_least > 0.5


def test_strata_do_not_care_about_drift():
    assert stratify(DAYS[2], runs=1000, seed=15).at_most <= ALPHA


def test_counters_of_equal_models():
    for family in (FAMILIES[6], bernoulli(0.1), FAMILIES[3]):
        assert peek_counters(family, share_b=0.2, runs=RUNS, seed=16, bound=family.bound).at_most <= ALPHA


def test_batches_cover_what_rows_do_not():
    """Rewards that a common shock moves within each interval."""
    found = cover(normal(), intervals=20, runs=RUNS, seed=17, shock_sd=0.3)
    assert found.batches.value == pytest.approx(0.95, abs=0.015)
    assert found.rows.at_most < 0.9


def _as_sums(arm: object, run: int) -> list[Sums]:
    return [
        Sums(int(n), float(total), float(squares), float(largest) if n else None)
        for n, total, squares, largest in zip(
            arm.n[run], arm.total[run], arm.squares[run], arm.largest[run], strict=True
        )
    ]
