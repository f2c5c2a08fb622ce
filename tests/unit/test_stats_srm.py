"""Sample-ratio mismatch: hand-worked numbers and how often it cries wolf."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stats.srm import AMBER, RED, SplitBand, sequential_p, split_band, srm


def test_hand_worked():
    """100 requests at .2 with 26 to B, then 200 at .5 with 104: M = 6 + 4, V = 16 + 50."""
    found = srm([74, 96], [26, 104], [0.2, 0.5])
    assert found.z == pytest.approx(10 / math.sqrt(66))
    assert (found.n, found.expected_b, found.observed_b) == (300, 120, 130)
    strict = -2 * math.log(0.001)
    rate = (strict + math.log(1 + strict)) / 500
    assert rate == pytest.approx(16.51 / 500, rel=1e-3)
    looks = [math.sqrt(1 + rate * v) * math.exp(-rate * m**2 / (2 * (1 + rate * v))) for m, v in ((6, 16), (10, 66))]
    assert found.p == pytest.approx(min(1, *looks))


def test_the_totals_are_never_compared_with_the_last_share():
    """Exactly as configured in both halves, though B has 26 % of all and 50 % was configured last."""
    found = srm([950, 500], [50, 500], [0.05, 0.5])
    assert (found.p, found.z) == (1, 0)


def test_a_lost_tenth_of_b_is_found():
    found = srm(np.full(50, 160 + 4), np.full(50, 36), np.full(50, 0.2))
    assert found.p < RED
    assert found.observed_b < found.expected_b


def test_the_past_is_not_forgotten():
    """p is the smallest so far: 120 of 200 at a share of .2 stay a mismatch however well it goes later."""
    early = srm([80], [120], [0.2])
    later = srm([80, *[800] * 50], [120, *[200] * 50], [0.2] * 51)
    assert early.p < RED
    assert later.p == early.p


def test_no_requests_no_surprise():
    assert srm([], [], []).p == 1
    assert srm([0, 0], [0, 0], [0.2, 0.2]).p == 1


def test_requests_to_an_arm_without_a_share_count_against_it():
    assert srm([100], [0], [0.0]).p == 1
    assert srm([60], [40], [0.0]).p < RED


@pytest.mark.parametrize(
    ("a", "b", "share"), [([1], [1, 2], [0.5]), ([-1], [1], [0.5]), ([1], [1], [1.5]), ([[1]], [[1]], [[0.5]])]
)
def test_refuses_nonsense(a: list[object], b: list[object], share: list[object]):
    with pytest.raises(ValueError, match=r"shape|counts"):
        srm(a, b, share)


def test_levels_are_in_order():
    assert RED < AMBER


@given(st.integers(1, 200_000), st.floats(0.001, 0.999), st.sampled_from([AMBER, RED]))
def test_the_band_is_where_the_test_sees_nothing(n: int, share: float, level: float):
    band = split_band(n, share, level)

    def p(count: int) -> float:
        return float(srm([n - count], [count], [share]).p)

    assert p(band.low) >= level * (1 - 1e-6) or band.low == band.high
    assert p(band.high) >= level * (1 - 1e-6) or band.low == band.high
    assert band.low == 0 or p(band.low - 1) < level * (1 + 1e-6)
    assert band.high == n or p(band.high + 1) < level * (1 + 1e-6)


def test_the_example_of_the_deploy_page():
    band = split_band(1204, 0.2)
    assert (round(band.low_share * 100, 1), round(band.high_share * 100, 1)) == (15.9, 24.1)
    assert band.holds(231)
    assert not band.holds(291)


def test_nothing_sent_excludes_nothing():
    band = split_band(0, 0.2)
    assert (band.low_share, band.high_share) == (0, 1)
    assert band.holds(0)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 500)])
def test_a_sure_share_has_no_width(share: float, count: int):
    assert split_band(500, share) == SplitBand(500, share, AMBER, count, count)


def test_a_correct_gateway_stays_in_the_band_at_every_look():
    """200 looks at 10,000 requests, 2,000 times: an alarm in at most one of a hundred."""
    looks = np.arange(50, 10_001, 50)
    counts = np.cumsum(np.random.default_rng(7).binomial(50, 0.2, (2000, len(looks))), axis=1)
    bands = [split_band(int(n), 0.2) for n in looks]
    low, high = (np.array([getattr(band, end) for band in bands]) for end in ("low", "high"))
    alarms = ((counts < low) | (counts > high)).any(axis=1)
    assert alarms.mean() <= AMBER
    assert (sequential_p(counts - looks * 0.2, looks * 0.16) < AMBER).any(axis=1).mean() == alarms.mean()


@pytest.mark.parametrize(("n", "share", "level"), [(-1, 0.5, 0.01), (10, 1.5, 0.01), (10, 0.5, 1.0)])
def test_a_band_of_nonsense_is_refused(n: int, share: float, level: float):
    with pytest.raises(ValueError, match="share="):
        split_band(n, share, level)
