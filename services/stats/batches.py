"""Means and differences from counters that tell only how many feedbacks there were and what their rewards add up to.

An interval of time is one observation: its feedbacks and the sum of their rewards. The variance between intervals
stands in for that between rewards, which counters do not hold, and is right even where rewards within an interval are
correlated, as they are when one user or one bad minute brings many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from services.stats.difference import Difference
from services.stats.sequence import Floats
from services.stats.welch import student, welch_df


@dataclass(frozen=True)
class Batches:
    """Growth of both arms' counters in m intervals: feedbacks n and sums of rewards s, arrays of shape (m,)."""

    n_a: Floats
    s_a: Floats
    n_b: Floats
    s_b: Floats

    @classmethod
    def of(cls, n_a: ArrayLike, s_a: ArrayLike, n_b: ArrayLike, s_b: ArrayLike) -> Batches:
        """From anything array-like. Raises ValueError for shapes that differ."""
        arrays = [np.asarray(v, dtype=np.float64) for v in (n_a, s_a, n_b, s_b)]
        if len({v.shape for v in arrays}) != 1 or arrays[0].ndim != 1:
            raise ValueError(f"shapes {[v.shape for v in arrays]}")
        return cls(*arrays)

    @property
    def total_n(self) -> int:
        return round(float(self.n_a.sum() + self.n_b.sum()))


@dataclass(frozen=True, slots=True)
class BatchMean:
    """Mean reward of an arm, the variance of that mean, and the intervals with feedback it rests on."""

    mean: float
    variance: float
    intervals: int


def batch_mean(n: ArrayLike, s: ArrayLike) -> BatchMean:
    """Ratio of sums r = S/N with variance m/(m-1) sum (s_t - r n_t)^2 / N^2 over the m intervals with feedback.

    The delta method for a ratio, e.g. Cochran, Sampling Techniques (1977), 6.4. Never a mean of the intervals' means,
    which weighs a quiet minute like a busy one. Mean nan without feedback; variance inf below two intervals.
    """
    counts, sums = np.asarray(n, dtype=np.float64), np.asarray(s, dtype=np.float64)
    fed = counts > 0
    m, total = int(fed.sum()), float(counts.sum())
    if not m:
        return BatchMean(math.nan, math.inf, 0)
    mean = float(sums[fed].sum()) / total
    if m < 2:
        return BatchMean(mean, math.inf, m)
    spread = float(((sums - mean * counts)[fed] ** 2).sum())
    return BatchMean(mean, m / (m - 1) * spread / total**2, m)


def fixed(batches: Batches, alpha: float = 0.05) -> Difference:
    """mean B - mean A under one split that never moved, with Welch's t interval: for one look, fixed in advance.

    What decides is adaptive.aipw, which holds at every look and after a moved split. `intervals` counts those of the
    arm with fewer.
    """
    a, b = batch_mean(batches.n_a, batches.s_a), batch_mean(batches.n_b, batches.s_b)
    fewer = min(a.intervals, b.intervals)
    df = welch_df(a.variance, a.intervals - 1, b.variance, b.intervals - 1) if fewer >= 2 else 1.0
    return student(b.mean - a.mean, math.sqrt(a.variance + b.variance), df, batches.total_n, alpha, fewer)
