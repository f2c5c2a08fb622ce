"""Sample sizes: textbook numbers, statsmodels-style brute force, and simulation of what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from services.stats import power
from services.stats.sequence import half_width, multiplier


def test_textbook():
    """Two arms of equal size, half a standard deviation, 80 %: 63 an arm by the normal formula."""
    assert power.needed_fixed(0.5, power.unit_variance(1, 1, 0.5)) == 126
    assert (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 == pytest.approx(7.849, abs=1e-3)


def test_an_uneven_split_costs():
    even, uneven = power.unit_variance(1, 1, 0.5), power.unit_variance(1, 1, 0.2)
    assert (even, uneven) == pytest.approx((4, 6.25))
    with pytest.raises(ValueError, match="share_b"):
        power.unit_variance(1, 1, 0)


def test_fixed_power_is_what_it_says():
    effect, n = 0.2, power.needed_fixed(0.2, 1.0)
    rng = np.random.default_rng(1)
    z = (rng.normal(effect, 1, (20_000, n)).mean(axis=1)) * math.sqrt(n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 20_000))


def test_always_valid_power_is_at_least_what_it_says():
    effect = 0.2
    n = power.needed(effect, 1.0)
    rng = np.random.default_rng(2)
    count = np.arange(1, n + 1, dtype=float)
    means = np.cumsum(rng.normal(effect, 1, (4000, n)), axis=1) / count
    found = np.abs(means) > half_width(1 / np.sqrt(count), count, n)
    assert np.mean(found[:, -1]) == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 4000))
    assert 0.8 < np.mean(found[:, 99:].any(axis=1)) < 0.95
    assert power.needed(effect, 1.0) == pytest.approx(1.92 * power.needed_fixed(effect, 1.0), rel=0.01)


def test_detectable_now():
    assert power.detectable_fixed(1.0) == pytest.approx(2.80, abs=0.005)
    assert power.detectable(1.0, 5000, planned=5000) == pytest.approx(3.88, abs=0.005)
    assert power.detectable(1.0, 0, planned=5000) == math.inf


def test_remaining_is_the_first_n_that_decides():
    difference, se, n, planned = 0.1, 0.05, 1000, 5000
    total = n + power.remaining_n(difference, se, n, planned=planned)

    def half(at: int) -> float:
        return se * math.sqrt(n / at) * multiplier(float(at), planned)

    assert half(total) < difference <= half(total - 1)


def test_nothing_remains_once_decided():
    assert power.remaining_n(0.5, 0.05, 1000, planned=5000) == 0
    assert power.remaining_n(-0.5, 0.05, 1000, planned=5000) == 0


def test_no_difference_never_decides_unless_an_effect_must_be_reached():
    assert power.remaining_n(0.0, 0.05, 1000, planned=5000) is None
    assert power.remaining_n(1e-7, 0.05, 1000, planned=5000) is None
    ahead = power.remaining_n(0.0, 0.05, 1000, planned=5000, minimum_effect=0.1)
    assert ahead == power.remaining_n(0.1, 0.05, 1000, planned=5000)
    # B behind by far: what is excluded first is 0, from below.
    assert power.remaining_n(-0.1, 0.05, 1000, planned=5000, minimum_effect=0.1) < ahead


def test_a_difference_that_is_real_but_too_small_waits_for_the_minimum_effect():
    """0 is excluded long since, and still nothing is decided: the interval reaches beyond the minimum effect."""
    left = power.remaining_n(0.3, 0.05, 1000, planned=5000, minimum_effect=0.4)
    assert left == power.remaining_n(0.1, 0.05, 1000, planned=5000) > 0
    assert power.remaining_n(0.3, 0.05, 1000, planned=5000, minimum_effect=0.6) == 0
    assert power.remaining_n(0.4, 0.05, 1000, planned=5000, minimum_effect=0.4) == 0


def test_unknown_stays_unknown():
    assert power.remaining_n(math.nan, math.inf, 0, planned=500) is None
    with pytest.raises(ValueError, match="effect of 0"):
        power.needed(0, 1.0)
