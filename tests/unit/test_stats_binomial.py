"""The binomial band: hand-worked numbers, SciPy's distribution as an oracle, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from services.stats.binomial import share_band


def test_hand_worked():
    # X ~ Binomial(4, 1/2): P(X=0) = P(X=4) = 1/16 > 2.5 %, so nothing can be excluded.
    band = share_band(4, 0.5)
    assert (band.low, band.high) == (0, 4)
    # X ~ Binomial(8, 1/2): P(X=0) = 1/256 < 2.5 %, P(X<=1) = 9/256 > 2.5 %.
    band = share_band(8, 0.5)
    assert (band.low, band.high) == (1, 7)


def test_the_example_of_the_deploy_page():
    band = share_band(1204, 0.2)
    assert round(band.low_share * 100, 1) == 17.8
    assert round(band.high_share * 100, 1) == 22.3
    assert band.holds(round(0.192 * 1204))
    assert not band.holds(300)


def test_nothing_sent_excludes_nothing():
    band = share_band(0, 0.2)
    assert (band.low_share, band.high_share) == (0, 1)
    assert band.holds(0)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 500)])
def test_a_sure_share_has_no_width(share: float, count: int):
    band = share_band(500, share)
    assert band.low == band.high == count
    assert not band.holds(1)


@given(st.integers(0, 200_000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_equals_scipy(n: int, share: float, level: float):
    band = share_band(n, share, level)
    tail = (1 - level) / 2
    mass = binom.cdf(band.high, n, share) - binom.cdf(band.low - 1, n, share)
    assert mass >= level - 1e-9
    # Neither end could be moved inwards without cutting more than the tail away.
    assert binom.cdf(band.low, n, share) >= tail - 1e-12
    assert band.high == 0 or binom.cdf(band.high - 1, n, share) < 1 - tail + 1e-12


def test_holds_as_often_as_it_says():
    counts = np.random.default_rng(1).binomial(1000, 0.2, 20_000)
    band = share_band(1000, 0.2)
    inside = np.mean([band.holds(int(c)) for c in counts])
    assert 0.945 < inside < 0.972  # at least 95 %, and not much more: counts are whole numbers


@pytest.mark.parametrize(("n", "share", "level"), [(-1, 0.5, 0.95), (10, 1.5, 0.95), (10, 0.5, 1.0)])
def test_refuses_nonsense(n: int, share: float, level: float):
    with pytest.raises(ValueError, match="share="):
        share_band(n, share, level)
