"""Differences of means: hand-worked numbers, SciPy as an oracle, and brute force over the values themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind

from services.stats.difference import paired, proportions, stratified, two_samples
from services.stats.sequence import multiplier
from services.stats.sums import Sums
from services.stats.welch import welch, welch_paired

VALUES = st.lists(st.integers(-1000, 1000).map(lambda value: value / 8), min_size=2, max_size=40)


def spread_around(mean: float, n: int) -> Sums:
    """n values with that mean and a sample variance of 1."""
    return Sums(n, mean * n, mean**2 * n + (n - 1))


@given(VALUES, VALUES)
def test_sums_of_parts_are_the_sums_of_the_whole(left: list[float], right: list[float]):
    whole, parts = Sums.of(left + right), Sums.of(left).plus(Sums.of(right))
    assert (whole.n, whole.largest) == (parts.n, parts.largest)
    assert parts.total == pytest.approx(whole.total, abs=1e-6)
    assert whole.mean == pytest.approx(np.mean(left + right), abs=1e-9)
    assert whole.variance == pytest.approx(np.var(left + right, ddof=1), rel=1e-6, abs=1e-6)
    assert Sums.merge([Sums(), Sums.of(left), Sums.of(right)]) == parts
    # What is only bounded for values of both signs is bounded on the safe side.
    values = np.array(left + right)
    if np.any(values):
        assert whole.kish <= np.abs(values).sum() ** 2 / (values @ values) * (1 + 1e-9)
        assert whole.top_share >= np.abs(values).max() / np.abs(values).sum() * (1 - 1e-9)


@pytest.mark.parametrize("largest", [3.0, 0.0, None])
def test_merging_is_adding_one_after_the_other(largest: float | None):
    parts = [Sums(2, 0.1, 0.7, 0.4), Sums(), Sums(3, -0.2, 9.3, largest), Sums(1, 0.3, 0.09, 0.3)]
    added = Sums()
    for part in parts:
        added = added.plus(part)
    assert Sums.merge(parts) == added
    assert (added.largest is None) == (largest is None)
    assert Sums.merge([]) == Sums.merge([Sums(), Sums()]) == Sums()


def test_sums_hand_worked():
    found = Sums.of([1, 2, math.nan, 5])
    assert found == Sums(3, 8.0, 30.0, 5.0)
    assert found.mean == pytest.approx(8 / 3)
    assert found.variance == pytest.approx(13 / 3)
    assert found.top_share == pytest.approx(5 / 8)
    assert found.kish == pytest.approx(64 / 30)
    assert Sums.of([0] * 97 + [1] * 3).kish == pytest.approx(3)
    assert Sums.of([-2] * 7).kish == pytest.approx(7)


def test_nothing_is_known_of_nothing():
    none, one = Sums(), Sums.of([3.0])
    assert (none.mean, none.variance, none.top_share, none.kish) == (None, None, None, 0)
    assert (one.variance, one.sd) == (None, None)
    assert Sums(2, 3.0, 5.0).plus(one).largest is None  # what one part does not know, the whole does not
    for found in (two_samples(none, one, planned=500), paired(one, planned=500), welch(one, one), welch_paired(none)):
        assert math.isnan(found.estimate)
        assert (found.low, found.high, found.p, found.excludes_zero) == (-math.inf, math.inf, 1, False)


@given(VALUES, VALUES)
def test_welch_equals_scipy(a: list[float], b: list[float]):
    if np.var(a) + np.var(b) < 1e-3:
        return
    oracle = ttest_ind(b, a, equal_var=False)
    found, interval = welch(Sums.of(a), Sums.of(b)), oracle.confidence_interval(0.95)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-4, abs=1e-9)
    assert found.low == pytest.approx(interval.low, rel=1e-4, abs=1e-3)
    assert found.high == pytest.approx(interval.high, rel=1e-4, abs=1e-3)


def test_paired_t_equals_scipy():
    d = np.random.default_rng(3).normal(0.1, 1, 60)
    oracle = ttest_1samp(d, 0)
    found = welch_paired(Sums.of(d), alpha=0.1)
    interval = oracle.confidence_interval(0.9)
    assert (found.p, found.low, found.high) == pytest.approx((oracle.pvalue, interval.low, interval.high))
    assert found.level == pytest.approx(0.9)


def test_paired_is_the_mean_and_its_error_times_the_multiplier():
    d = np.random.default_rng(4).normal(0.2, 1, 400)
    found = paired(Sums.of(d), planned=500)
    half = d.std(ddof=1) / 20 * multiplier(400.0, 500)
    assert (found.estimate, found.low, found.high) == pytest.approx((d.mean(), d.mean() - half, d.mean() + half))
    assert found.n == 400


def test_copies_of_a_model_differ_by_exactly_nothing():
    found = paired(Sums.of(np.zeros(300)), planned=500)
    assert (found.low, found.high, found.p, found.excludes_zero) == (0, 0, 1, False)


def test_a_moved_split_reverses_the_pooled_difference():
    """Simpson: 1000 requests at 5 % (A 3.0, B 3.1), then 1000 at 50 % (2.2, 2.3): B is ahead by .1 in both halves."""
    strata = [(spread_around(3.0, 950), spread_around(3.1, 50)), (spread_around(2.2, 500), spread_around(2.3, 500))]
    pooled = two_samples(Sums.merge(a for a, _ in strata), Sums.merge(b for _, b in strata), planned=5000)
    assert pooled.estimate == pytest.approx((155 + 1150) / 550 - (2850 + 1100) / 1450)
    assert round(pooled.estimate, 3) == -0.351
    found = stratified(strata, planned=5000)
    assert found.estimate == pytest.approx(0.1)
    assert found.se == pytest.approx(math.sqrt(0.25 * (1 / 950 + 1 / 50) + 0.25 * (2 / 500)))
    assert found.n == 2000


def test_one_stratum_is_no_stratification():
    rng = np.random.default_rng(6)
    a, b = Sums.of(rng.normal(size=300)), Sums.of(rng.normal(size=90))
    assert stratified([(a, b)], planned=900) == two_samples(a, b, planned=900)


def test_strata_without_a_comparison_are_left_out():
    pair = (spread_around(1.0, 50), spread_around(2.0, 50))
    lonely = (spread_around(9.0, 400), Sums.of([1.0]))
    assert stratified([pair, lonely], planned=900) == stratified([pair], planned=900)
    assert stratified([lonely], planned=900).p == 1


def test_a_share_without_bad_events_is_not_certain():
    found = proportions(0, 1000, 0, 1000, planned=5000)
    assert found.estimate == 0
    assert 3 / 1000 < found.high < 7 / 1000  # beyond the rule of three, which is for one look at one arm
    assert found.low == -found.high


def test_shares_use_the_binomial_variance():
    found = proportions(30, 1000, 50, 400, planned=5000)
    assert found.estimate == pytest.approx(50 / 400 - 30 / 1000)
    # Events added to each arm: a quarter of the squared multiplier, as Agresti and Caffo add 1.96^2/4.
    k = 3.0352**2 / 4
    a, b = (30 + k) / (1000 + 2 * k), (50 + k) / (400 + 2 * k)
    assert found.se == pytest.approx(math.sqrt(a * (1 - a) / 1000 + b * (1 - b) / 400), rel=1e-4)
    assert found.excludes_zero


def test_with_many_events_the_added_ones_do_not_matter():
    found = proportions(20_000, 100_000, 21_000, 100_000, planned=5000)
    assert found.se == pytest.approx(math.sqrt((0.2 * 0.8 + 0.21 * 0.79) / 100_000), rel=1e-3)


def test_shares_of_nothing_and_nonsense():
    assert proportions(0, 0, 1, 5, planned=500).p == 1
    with pytest.raises(ValueError, match="bad_a=3"):
        proportions(3, 2, 0, 5, planned=500)
