"""The confidence sequence: published numbers, its own definition, and what it promises under continuous looking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from services.stats.difference import two_samples
from services.stats.sequence import AsympCS, half_width, multiplier, p_value
from services.stats.sums import Sums


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (5000, {200: 5.10, 500: 3.86, 1000: 3.36, 2000: 3.12, 5000: 3.04, 10_000: 3.06, 50_000: 3.24}),
        (1000, {200: 3.36, 1000: 3.04, 5000: 3.15, 50_000: 3.47}),
    ],
)
def test_multipliers(planned: int, expected: dict[int, float]):
    assert {n: round(multiplier(float(n), planned), 2) for n in expected} == expected


@pytest.mark.parametrize(
    ("planned", "half", "p"),
    [(5000, 0.105821246698708, 0.004737412924453), (500, 0.113021273258793, 0.006900863060454)],
)
def test_equals_growthbooks_engine(planned: int, half: float, p: float):
    """Half-width and p of gbstats 0.8.0 for the same data, to fifteen digits."""
    rng = np.random.default_rng(0)
    a, b = Sums.of(rng.normal(1, 1, 4000)), Sums.of(rng.normal(1.08, 1, 1000))
    found = two_samples(a, b, planned=planned)
    assert (found.high - found.low) / 2 == pytest.approx(half, abs=2e-15)
    assert found.p == pytest.approx(p, abs=2e-15)
    assert found.n == 5000


def test_tightest_where_it_was_planned():
    """Width is se * M(n) with se ~ 1/sqrt(n); the free choice rho is meant to make M(n) smallest near n = planned."""
    by_rho = minimize_scalar(lambda log_n: multiplier(math.exp(log_n), 700.0), bounds=(2, 12), method="bounded")
    assert 700 < math.exp(by_rho.x) < 1.5 * 700  # the paper's rho is a close approximation, not the exact minimum


@given(
    st.floats(-5, 5),
    st.floats(0.01, 2),
    st.integers(1, 10**6),
    st.integers(100, 10**5),
    st.sampled_from([0.01, 0.05, 0.1]),
)
def test_p_and_interval_agree(difference: float, se: float, n: int, planned: int, alpha: float):
    p, half = p_value(difference, se, float(n), planned, alpha), half_width(se, float(n), planned, alpha)
    if abs(abs(difference) - half) > 1e-9 * half:
        assert (p < alpha) == (abs(difference) > half)


def test_robbins_mixture_by_integration():
    """p is one over the likelihood ratio of N(theta, 1) against N(0, 1), theta mixed over N(0, rho^2)."""
    n, planned, z = 400, 900, 2.7
    log = -2 * math.log(0.05)
    rho2 = (log + math.log(1 + log)) / planned
    theta = np.linspace(-2, 2, 400_001)
    density = np.exp(-(theta**2) / (2 * rho2)) / math.sqrt(2 * math.pi * rho2)
    ratio = np.trapezoid(np.exp(theta * z * math.sqrt(n) - n * theta**2 / 2) * density, theta)
    assert p_value(z * 0.3, 0.3, float(n), planned) == pytest.approx(1 / ratio, rel=1e-6)


def test_arrays_and_numbers_give_the_same():
    n, sequence = np.array([0.0, 50.0, 900.0]), AsympCS(500, 0.05)
    assert sequence.multiplier(n).tolist() == [sequence.multiplier(float(v)) for v in n]
    se, gap = np.array([1.0, 0.2, 0.05]), np.array([0.3, 0.5, 0.0])
    assert sequence.half_width(se, n).tolist() == [
        sequence.half_width(s, v) for s, v in zip(se.tolist(), n.tolist(), strict=True)
    ]
    assert sequence.p_value(gap, se, n).tolist() == [
        sequence.p_value(*v) for v in zip(gap.tolist(), se.tolist(), n.tolist(), strict=True)
    ]


def test_ends_of_the_range():
    assert multiplier(0.0, 500) == math.inf
    assert half_width(0.0, 0.0, 500) == math.inf
    assert half_width(0.0, 10.0, 500) == 0
    assert p_value(0.0, 0.0, 10.0, 500) == 1
    assert p_value(0.1, 0.0, 10.0, 500) == 0
    assert p_value(9.0, 1e-9, 10.0, 500) == 0
    assert p_value(9.0, 1.0, 0.0, 500) == 1


@pytest.mark.parametrize(("planned", "alpha"), [(0, 0.05), (-5, 0.05), (500, 0), (500, 1)])
def test_refuses_nonsense(planned: float, alpha: float):
    with pytest.raises(ValueError, match="planned="):
        multiplier(10.0, planned, alpha)


def test_holds_for_every_look_at_once():
    """A random walk of 2,000 steps, looked at after each of the last 1,900; a fixed interval fails in a third."""
    rng = np.random.default_rng(5)
    n = np.arange(1, 2001, dtype=float)
    means = np.cumsum(rng.normal(size=(1000, 2000)), axis=1) / n
    late = n >= 100
    se = 1 / np.sqrt(n)
    sequence = np.mean(np.any(np.abs(means) > half_width(se, n, 1000), axis=1, where=late))
    fixed = np.mean(np.any(np.abs(means) > 1.96 * se, axis=1, where=late))
    assert sequence < 0.05 - 2 * math.sqrt(0.05 * 0.95 / 1000)
    assert fixed > 0.3
