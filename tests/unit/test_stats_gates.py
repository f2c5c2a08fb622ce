"""Gates and tail flags on rewards that deserve them and on rewards that do not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import pareto

from services.stats import gates
from services.stats.sums import Sums

RNG = np.random.default_rng(8)
BOUNDED = 1 / (1 + RNG.normal(0, 0.75, 1000) ** 2)
TUTORIAL = 1 / RNG.normal(0, 0.75, 1000) ** 2


def hits(k: int, n: int) -> Sums:
    return Sums.of([1.0] * k + [0.0] * (n - k))


def test_enough():
    assert gates.enough(Sums.of(BOUNDED), Sums.of(BOUNDED[:100])) == []
    assert gates.enough(Sums.of(BOUNDED), Sums.of(BOUNDED[:37])) == ["B has 37 of 100 rewards"]
    assert gates.enough(Sums(), Sums()) == ["A has 0 of 100 rewards", "B has 0 of 100 rewards"]


def test_few_hits_are_not_enough_however_many_rewards():
    assert gates.enough(hits(30, 5000), hits(30, 5000)) == []
    assert gates.enough(hits(29, 5000), hits(30, 5000)) == [
        f"{name}’s rewards weigh as much as 29 equal ones, 30 are needed" for name in "AB"
    ]


def test_an_arm_is_judged_by_the_hits_that_are_due():
    """160 hits at 80/20 leave 32 to B if the arms are equal. Then none is a finding, and so is one."""
    for seen in (0, 1, 32):
        assert gates.enough(hits(160 - seen, 800), hits(seen, 200)) == []
    # With 15 due, none at all is no finding, though B's variance is 0.
    (words,) = gates.enough(hits(76, 800), hits(0, 200))
    assert words.startswith("B")
    assert "15" in words


def test_without_any_reward_nothing_is_known():
    assert gates.enough(hits(0, 500), hits(0, 500)) == ["every reward so far is 0"]


def test_enough_pairs():
    rare = np.zeros(400)
    rare[:19] = 1
    assert gates.enough_pairs(Sums.of(np.zeros(100))) == []
    assert gates.enough_pairs(Sums.of(BOUNDED[:99])) == ["99 of 100 rows have been answered by both arms"]
    assert "19" in gates.enough_pairs(Sums.of(rare))[0]
    rare[19] = -1
    rare[20:40] = -1
    assert gates.enough_pairs(Sums.of(rare)) == []


def test_counters_need_intervals_with_feedback_for_both():
    n, s = np.full(40, 10.0), np.full(40, 6.0)
    assert gates.enough_batches(n, s, n, s) == []
    sparse = np.where(np.arange(40) < 19, n, 0.0)
    assert gates.enough_batches(n, s, sparse, 0.6 * sparse, bound=1.0) == ["19 of 20 intervals hold feedback for B"]


def test_counters_of_a_bounded_reward_need_a_sum():
    """Of 100 hits, 20 are due to an arm with a fifth of the feedback, whoever had them."""
    n_a, n_b, s_a = np.full(400, 8.0), np.full(400, 2.0), np.zeros(400)
    s_a[::4] = 1.0
    (words,) = gates.enough_batches(n_a, s_a, n_b, 0 * s_a, bound=1.0)
    assert words.startswith("B")
    assert "20" in words
    assert gates.enough_batches(n_a, 2 * s_a, n_b, 0 * s_a, bound=1.0) == []
    assert gates.enough_batches(n_a, 2 * s_a, n_b, 0 * s_a, bound=500.0) != []


def test_counters_of_any_reward_need_intervals_that_carry_it():
    n, even, one = np.full(400, 10.0), np.full(400, 6.0), np.zeros(400)
    one[7] = 55.0
    assert gates.enough_batches(n, even, n, even) == []
    assert gates.enough_batches(n, one, n, one) == [f"about 1 of 30 intervals carry {name}’s rewards" for name in "AB"]
    # An arm that earns nothing is judged by the other one.
    assert gates.enough_batches(n, even, n, 0 * even) == []
    assert gates.enough_batches(n, even, 0.05 * n, 0 * even)[0].startswith("about 20 of 30 intervals carry B")
    # With rewards of both signs an interval's sum says nothing of what it carries.
    assert gates.enough_batches(n, even - 6.5, n, even - 5.5) == []


def test_the_tutorials_reward_is_flagged():
    words = gates.tail(Sums.of(TUTORIAL), Sums.of(BOUNDED))
    assert words is not None
    assert f"{TUTORIAL.max() / TUTORIAL.sum():.0%} of A’s total" in words
    assert "bounded" in words


@pytest.mark.parametrize("values", [BOUNDED, -(TUTORIAL**-1), RNG.normal(size=1000), np.exp(RNG.normal(size=1000))])
def test_rewards_with_a_mean_are_not_flagged(values: np.ndarray):
    arm = Sums.of(values)
    assert gates.tail(arm, arm, hill_a=gates.hill(values), hill_b=gates.hill(values)) is None


def test_few_hits_are_no_tail():
    assert hits(3, 1000).top_share > gates.TOP_SHARE
    assert gates.tail(hits(3, 1000), hits(3, 1000)) is None


def test_a_tail_index_without_a_mean_is_flagged_before_one_request_dominates():
    even = Sums.of(np.linspace(1, 3, 1000))
    words = gates.tail(even, even, hill_b=0.5)
    assert words is not None
    assert "0.50" in words


@pytest.mark.parametrize("index", [0.5, 1.5, 3.0])
def test_hill_finds_the_index_of_a_pareto(index: float):
    values = pareto.rvs(index, size=40_000, random_state=9)
    found = gates.hill(values)
    assert found == pytest.approx(index, rel=4 / math.sqrt(2000))
    # The largest values are all it needs.
    assert gates.hill(np.sort(values)[-2500:], 40_000) == found


def test_hill_of_the_tutorials_reward_is_one_half():
    assert gates.hill(1 / np.random.default_rng(2).normal(0, 0.75, 50_000) ** 2) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("values", "index"),
    [
        (lambda rng: 1 / rng.normal(0, 0.75, 1_000_000) ** 2, 0.5),  # the tutorial's
        (lambda rng: rng.pareto(0.9, 1_000_000) + 1, 0.9),
        (lambda rng: rng.pareto(1.2, 1_000_000) + 1, 1.2),
    ],
)
def test_hill_tells_the_index_of_a_million(values: Callable[[np.random.Generator], np.ndarray], index: float):
    every = values(np.random.default_rng(7))
    k = gates.tail_size(len(every))
    assert k == gates.HILL_MOST  # as of 50,000 rewards
    found = gates.hill(every)
    assert found == pytest.approx(index, rel=4 / math.sqrt(k))
    assert gates.hill(np.sort(every)[-k - 1 :], len(every)) == found


@pytest.mark.parametrize("light", ["lognormal", "exponential", "uniform"])
def test_a_million_rewards_with_a_mean_pass(light: str):
    every = getattr(np.random.default_rng(7), light)(size=1_000_000)
    index = gates.hill(every)
    assert index is not None
    assert index > 2


def test_a_heavy_tail_behind_one_reward_in_fifty_is_seen_further_out():
    """Among the largest 5 % of a million most rewards are ordinary, and hide it."""
    rng = np.random.default_rng(11)
    every = np.where(rng.random(1_000_000) < 0.02, rng.pareto(0.9, 1_000_000), rng.normal(5, 1, 1_000_000))
    index = gates.hill(every)
    assert index is not None
    assert index < gates.HILL


@pytest.mark.parametrize(("n", "k"), [(199, 9), (200, 10), (4_898, 244), (50_000, 2_500), (1_000_000, 2_500)])
def test_the_tail_is_a_twentieth_and_at_most_2500(n: int, k: int):
    assert gates.tail_size(n) == k


def test_hill_says_nothing_on_little():
    assert gates.hill(BOUNDED[:199]) is None  # nine values in the tail
    assert gates.hill(BOUNDED[:20], 1000) is None  # the threshold is not among them
    assert gates.hill(-BOUNDED) is None
    assert gates.hill([1.0] * 400) == math.inf


def test_intervals_tell_a_tail():
    n = np.full(40, 5.0)
    s = np.full(40, 4.0)
    assert gates.tail_batches(n, s, "B") is None
    s[11] = 80.0
    words = gates.tail_batches(n, s, "B")
    assert words is not None
    assert f"{80 / 236 - 1 / 40:.0%}" in words
    assert gates.tail_batches(n, s, "B", bound=1.0) is None
    assert gates.tail_batches(n[:29], s[:29], "B") is None
    assert gates.tail_batches(n, s - 20, "B") is None


def test_missing_feedback():
    same = gates.missing_feedback(1000, 900, 400, 360, planned=5000)
    assert same.estimate == pytest.approx(0)
    assert not same.excludes_zero
    worse = gates.missing_feedback(1000, 990, 400, 300, planned=5000)
    assert worse.estimate == pytest.approx(0.25 - 0.01)
    assert worse.excludes_zero
    assert gates.missing_feedback(100, 120, 100, 100, planned=5000).estimate == 0
