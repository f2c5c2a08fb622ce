"""Sample sizes: textbook numbers, statsmodels-style brute force, and simulation of what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.stats import power
from services.stats.sequence import half_width, multiplier


def test_what_can_be_detected_is_detected_as_often_as_it_says():
    """A difference of just that size is found in 80 % of the tests at that very look, whatever came before."""
    n, planned = 300, 500
    effect = power.detectable(1 / math.sqrt(n), n, planned=planned)
    rng = np.random.default_rng(2)
    means = rng.normal(effect, 1, (4000, n)).mean(axis=1)
    found = np.abs(means) > half_width(1 / np.sqrt(n), float(n), planned)
    assert np.mean(found) == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 4000))


def test_detectable_now():
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
