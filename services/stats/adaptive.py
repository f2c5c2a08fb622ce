"""The difference from counters while the split moves and the rewards drift: augmented inverse probability weighting.

When the slider goes from 5 % to 50 % on a bad day, B's pooled mean holds more of the bad day than A's, and the pooled
difference is wrong with certainty. Here each interval of time is weighed by the share that was in force in it, so that
what both arms suffer together cancels, however often the split moves and whoever moves it (a person, a bandit).

Source: Hadad, Hirshberg, Zhan, Wager, Athey, "Confidence intervals for policy evaluation in adaptive experiments",
PNAS 118 (2021), with intervals as units and constant weights. Variance between intervals, so that it is right for
rewards that are correlated within one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from services.stats.curve import Curve, always_valid_curve
from services.stats.difference import Difference, always_valid
from services.stats.sequence import Floats

HALF_LIFE = 25
"""Intervals after which a past reward counts half in the centres."""
SHRINKAGE = 5.0
"""Rewards' worth of the common mean in each arm's centre: an arm with little past leans on both."""


def aipw(
    n_a: ArrayLike,
    s_a: ArrayLike,
    n_b: ArrayLike,
    s_b: ArrayLike,
    share_b: ArrayLike,
    *,
    planned: float,
    alpha: float = 0.05,
    half_life: float = HALF_LIFE,
) -> Difference:
    """Mean reward of B minus that of A, always-valid, from growth of the counters per interval.

    Args:
        n_a, s_a, n_b, s_b: feedbacks and sum of their rewards per interval and arm, shape (m,), oldest first.
        share_b: configured share of B when the requests of the interval were sent, shape (m,), within 0 to 1. Leave
            intervals out in which it changed. Intervals at 0 or 1 carry no comparison and are skipped here.
        planned: feedbacks of both arms at which the interval is tightest.
        half_life: see HALF_LIFE.

    With a_t, b_t the arms' means over past intervals (exponentially weighted, shrunk to their common mean):
    Psi_t = n_t (b_t - a_t) + (s_Bt - n_Bt b_t)/p_t - (s_At - n_At a_t)/(1 - p_t), whose expectation given the past is
    the interval's n_t times the difference; d = sum Psi_t / N, se^2 = m/(m-1) sum (Psi_t - d n_t)^2 / N^2. The
    half-width is widened by t/z at the smaller arm's number of intervals with feedback.

    Returns:
        `n` counts feedbacks used, `intervals` the intervals used.

    Raises:
        ValueError: for shapes that differ or a share outside 0 to 1.
    """
    looks = _looks(n_a, s_a, n_b, s_b, share_b, half_life, alpha)
    estimate, se, n, stretch, intervals = (float(v[-1]) if v.size else 0.0 for v in looks)
    return always_valid(
        estimate, se, round(n), planned=planned, alpha=alpha, stretch=stretch, intervals=round(intervals)
    )


def aipw_curve(
    n_a: ArrayLike,
    s_a: ArrayLike,
    n_b: ArrayLike,
    s_b: ArrayLike,
    share_b: ArrayLike,
    *,
    planned: float,
    alpha: float = 0.05,
    half_life: float = HALF_LIFE,
) -> Curve:
    """`aipw` after each interval: arguments as there, of shape (m,) or (experiments, m); the curve has that shape."""
    estimate, se, n, stretch, _ = _looks(n_a, s_a, n_b, s_b, share_b, half_life, alpha)
    return always_valid_curve(estimate, se, n, planned=planned, alpha=alpha, stretch=stretch)


def _looks(
    n_a: ArrayLike, s_a: ArrayLike, n_b: ArrayLike, s_b: ArrayLike, share_b: ArrayLike, half_life: float, alpha: float
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Estimate, standard error, feedbacks, stretch and intervals used after each interval, shapes (..., m)."""
    given = [np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (n_a, s_a, n_b, s_b, share_b)]
    if len({v.shape for v in given}) != 1:
        raise ValueError(f"shapes {[v.shape for v in given]}")
    share = given[4]
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError("shares must lie within 0 to 1")
    used = (given[0] + given[2] > 0) & (share > 0) & (share < 1)
    n_a, s_a, n_b, s_b = (np.where(used, v, 0.0) for v in given[:4])
    n = n_a + n_b
    psi = _contributions(n_a, s_a, n_b, s_b, np.where(used, share, 0.5), used, half_life)
    m, total = np.cumsum(used, axis=-1, dtype=np.float64), np.cumsum(n, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.cumsum(psi, axis=-1) / total
        # sum (psi - d n)^2, from sums, so that every look is there at once
        spread = (
            np.cumsum(psi * psi, axis=-1)
            - 2 * estimate * np.cumsum(psi * n, axis=-1)
            + estimate**2 * np.cumsum(n * n, axis=-1)
        )
        se = np.where(m > 1, np.sqrt(m / (m - 1) * np.maximum(spread, 0.0)) / total, np.inf)
    fed = np.minimum(np.cumsum(n_a > 0, axis=-1), np.cumsum(n_b > 0, axis=-1))
    return estimate, se, total, small_batch_stretch(fed, alpha), m


def _contributions(
    n_a: Floats, s_a: Floats, n_b: Floats, s_b: Floats, share: Floats, used: np.ndarray, half_life: float
) -> Floats:
    """Psi per interval, shape (..., m); 0 where not used. The centres of an interval know only intervals before it."""
    decay = 0.5 ** (1 / half_life)
    sum_a, count_a, sum_b, count_b = (np.zeros(n_a.shape[:-1]) for _ in range(4))
    psi = np.zeros_like(n_a)
    for t in range(n_a.shape[-1]):
        now_n_a, now_s_a, now_n_b, now_s_b, p = (v[..., t] for v in (n_a, s_a, n_b, s_b, share))
        past, n = count_a + count_b, now_n_a + now_n_b
        # Without a past, any centre is right on average; that of the interval itself has the smallest variance.
        common = np.where(
            past > 0, (sum_a + sum_b) / np.where(past > 0, past, 1), (now_s_a + now_s_b) / np.where(n > 0, n, 1)
        )
        a = (sum_a + SHRINKAGE * common) / (count_a + SHRINKAGE)
        b = (sum_b + SHRINKAGE * common) / (count_b + SHRINKAGE)
        psi[..., t] = n * (b - a) + (now_s_b - now_n_b * b) / p - (now_s_a - now_n_a * a) / (1 - p)
        fade = np.where(used[..., t], decay, 1.0)
        sum_a, count_a = fade * sum_a + now_s_a, fade * count_a + now_n_a
        sum_b, count_b = fade * sum_b + now_s_b, fade * count_b + now_n_b
    return psi


def small_batch_stretch(batches: ArrayLike, alpha: float = 0.05) -> Floats:
    """By how much an interval grows because its variance rests on few batches: t quantile over normal quantile."""
    df = np.maximum(np.asarray(batches, dtype=np.float64) - 1, 1.0)
    return np.asarray(stdtrit(df, 1 - alpha / 2) / ndtri(1 - alpha / 2), dtype=np.float64)
