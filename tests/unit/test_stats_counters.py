"""Differences from counters: restarts, batch means, and weighting by the share in force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from services.stats import batches
from services.stats.adaptive import HALF_LIFE, SHRINKAGE, aipw, aipw_curve, small_batch_stretch
from services.stats.batches import Batches, batch_mean
from services.stats.sequence import multiplier


def test_batch_mean_hand_worked():
    """Three intervals of 2, 4 and 4 feedbacks with 1, 3 and 4: r = .8, deviations -.6, -.2, .8."""
    found = batch_mean([2, 4, 0, 4], [1, 3, 0, 4])
    assert found.mean == pytest.approx(0.8)
    assert found.variance == pytest.approx(3 / 2 * (0.36 + 0.04 + 0.64) / 100)
    assert found.intervals == 3


def test_batch_variance_is_that_of_the_mean():
    """Rewards that share a shock within their interval: brute force over 3,000 experiments."""
    rng = np.random.default_rng(2)
    means, variances, rowwise = [], [], []
    for _ in range(3000):
        n = rng.poisson(12, 40)
        rows = rng.normal(1, 1, int(n.sum())) + np.repeat(rng.normal(0, 0.5, 40), n)
        s = np.array([part.sum() for part in np.split(rows, np.cumsum(n)[:-1])])
        found = batch_mean(n, s)
        means.append(found.mean)
        variances.append(found.variance)
        rowwise.append(rows.var(ddof=1) / len(rows))
    truth = np.var(means)
    assert np.mean(variances) == pytest.approx(truth, rel=0.1)
    assert np.mean(rowwise) < 0.5 * truth  # what treating the rewards as independent would claim


def test_batch_difference():
    rng = np.random.default_rng(3)
    n_a, n_b = rng.poisson(40, 30), rng.poisson(10, 30)
    n_b[:6] = 0
    s_a, s_b = rng.normal(n_a, np.sqrt(n_a)), rng.normal(1.2 * n_b, np.sqrt(n_b))
    a, b = batch_mean(n_a, s_a), batch_mean(n_b, s_b)
    found = batches.fixed(Batches.of(n_a, s_a, n_b, s_b))
    assert (found.n, found.intervals) == (int(n_a.sum() + n_b.sum()), 24)
    assert found.estimate == pytest.approx(b.mean - a.mean)
    df = (a.variance + b.variance) ** 2 / (a.variance**2 / 29 + b.variance**2 / 23)  # Welch and Satterthwaite
    half = math.sqrt(a.variance + b.variance) * student_t.ppf(0.975, df)
    assert found.high - found.estimate == pytest.approx(half, rel=1e-6)


def test_batch_difference_without_data():
    for found in (batches.fixed(Batches.of([], [], [], [])), batches.fixed(Batches.of([4], [2.0], [0], [0.0]))):
        assert math.isnan(found.estimate)
        assert found.p == 1


def brute_force_aipw(
    n_a: list[float], s_a: list[float], n_b: list[float], s_b: list[float], share: list[float]
) -> tuple[float, float]:
    """Interval by interval from the definition: every centre anew from all intervals before."""
    psi, n = [], []
    for t in range(len(n_a)):
        weight = [0.5 ** ((t - 1 - i) / HALF_LIFE) for i in range(t)]
        past = {k: sum(w * v for w, v in zip(weight, x, strict=False)) for k, x in zip(
            ("na", "sa", "nb", "sb"), (n_a, s_a, n_b, s_b), strict=True)}  # fmt: skip
        if past["na"] + past["nb"]:
            common = (past["sa"] + past["sb"]) / (past["na"] + past["nb"])
        else:
            common = (s_a[t] + s_b[t]) / (n_a[t] + n_b[t])
        a = (past["sa"] + SHRINKAGE * common) / (past["na"] + SHRINKAGE)
        b = (past["sb"] + SHRINKAGE * common) / (past["nb"] + SHRINKAGE)
        total = n_a[t] + n_b[t]
        psi.append(total * (b - a) + (s_b[t] - n_b[t] * b) / share[t] - (s_a[t] - n_a[t] * a) / (1 - share[t]))
        n.append(total)
    d = sum(psi) / sum(n)
    m = len(psi)
    return d, math.sqrt(m / (m - 1) * sum((x - d * y) ** 2 for x, y in zip(psi, n, strict=True))) / sum(n)


def counters(m: int, seed: int = 4) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    share = np.repeat(rng.uniform(0.1, 0.6, -(-m // 5)), 5)[:m]
    total = rng.poisson(20, m) + 1
    n_b = rng.binomial(total, share)
    n_a = total - n_b
    return n_a, rng.normal(n_a, np.sqrt(n_a)), n_b, rng.normal(1.1 * n_b, np.sqrt(n_b)), share


def test_aipw_equals_its_definition():
    given = counters(60)
    d, se = brute_force_aipw(*(v.tolist() for v in given))
    found = aipw(*given, planned=5000)
    assert (found.estimate, found.se) == pytest.approx((d, se))
    total = int(given[0].sum() + given[2].sum())
    assert (found.n, found.intervals) == (total, 60)
    fed = min(np.count_nonzero(given[0]), np.count_nonzero(given[2]))
    half = se * multiplier(float(total), 5000) * float(small_batch_stretch(fed))
    assert (found.low, found.high) == pytest.approx((d - half, d + half))


def test_the_curve_is_aipw_at_every_look():
    given = counters(40)
    curve = aipw_curve(*given, planned=5000)
    smallest = 1.0
    for look in (2, 9, 25, 40):
        found = aipw(*(v[:look] for v in given), planned=5000)
        at = look - 1
        assert (curve.estimate[at], curve.low[at], curve.high[at]) == pytest.approx(
            (found.estimate, found.low, found.high)
        )
        assert curve.p[at] <= found.p + 1e-12
        assert curve.p[at] <= smallest
        smallest = curve.p[at]
    several = aipw_curve(*(np.stack([v, v[::-1]]) for v in given), planned=5000)
    np.testing.assert_allclose(several.low[0], curve.low)


def test_intervals_without_a_comparison_change_nothing():
    """All traffic on one arm, or none at all, in between."""
    given = counters(30)
    put = [(0, 50.0, 30.0, 0.0, 0.0, 0.0), (17, 0.0, 0.0, 0.0, 0.0, 0.3), (30, 0.0, 0.0, 9.0, 99.0, 1.0)]
    more = given
    for at, *values in reversed(put):
        more = tuple(np.insert(v.astype(float), at, x) for v, x in zip(more, values, strict=True))
    one, other = aipw(*more, planned=5000), aipw(*given, planned=5000)
    assert (one.estimate, one.se, one.n, one.intervals) == pytest.approx(
        (other.estimate, other.se, other.n, other.intervals)
    )


def test_a_moved_split_with_a_drift_does_not_fool_it():
    """Simpson's example as a stream: B is ahead by .1 all the time, and pooling says -.35."""
    rng = np.random.default_rng(5)
    share = np.repeat([0.05, 0.5], 100)
    level = np.repeat([3.0, 2.2], 100)
    n = np.full(200, 100)
    n_b = rng.binomial(n, share)
    n_a = n - n_b
    s_a, s_b = rng.normal(level * n_a, np.sqrt(n_a)), rng.normal((level + 0.1) * n_b, np.sqrt(n_b))
    found = aipw(n_a, s_a, n_b, s_b, share, planned=5000)
    assert found.low < 0.1 < found.high
    assert found.estimate == pytest.approx(0.1, abs=4 * found.se)
    pooled = batches.fixed(Batches.of(n_a, s_a, n_b, s_b))
    assert pooled.high < -0.2


def test_too_few_intervals_tell_nothing():
    none = aipw([], [], [], [], [], planned=5000)
    one = aipw([5], [3.0], [4], [2.0], [0.5], planned=5000)
    assert (none.p, one.p) == (1, 1)
    assert math.isnan(one.estimate)
    assert (none.intervals, one.intervals) == (0, 1)
    assert aipw_curve([5], [3.0], [4], [2.0], [0.5], planned=5000).high.tolist() == [math.inf]


def test_refuses_nonsense():
    with pytest.raises(ValueError, match="shapes"):
        aipw([1, 2], [1], [1], [1], [0.5], planned=500)
    with pytest.raises(ValueError, match="shares"):
        aipw([1], [1], [1], [1], [1.5], planned=500)
    with pytest.raises(ValueError, match="shapes"):
        Batches.of([1], [1], [1], [1, 2])
