"""The classical intervals, for those who expect them: right at one look that was fixed in advance, wrong at many.

Shown beside the always-valid interval and never used to decide.
"""

from __future__ import annotations

import math

from scipy.special import stdtr, stdtrit

from services.stats.difference import Difference
from services.stats.sums import Sums


def welch(a: Sums, b: Sums, alpha: float = 0.05) -> Difference:
    """mean B - mean A of independent samples with Student's t and Welch's degrees of freedom.

    Welch, Biometrika 34 (1947). Unknown (nan, infinite interval, p 1) for fewer than two values in an arm.
    """
    if a.mean is None or b.mean is None or a.variance is None or b.variance is None:
        return student(math.nan, math.inf, 1, a.n + b.n, alpha)
    from_a, from_b = a.variance / a.n, b.variance / b.n
    df = welch_df(from_a, a.n - 1, from_b, b.n - 1)
    return student(b.mean - a.mean, math.sqrt(from_a + from_b), df, a.n + b.n, alpha)


def welch_paired(d: Sums, alpha: float = 0.05) -> Difference:
    """Mean of the differences B - A of n pairs with Student's t, n - 1 degrees of freedom."""
    if d.mean is None or d.variance is None:
        return student(math.nan, math.inf, 1, d.n, alpha)
    return student(d.mean, math.sqrt(d.variance / d.n), d.n - 1, d.n, alpha)


def welch_df(variance_a: float, df_a: float, variance_b: float, df_b: float) -> float:
    """Welch and Satterthwaite's degrees of freedom of the sum of two variances of means."""
    together = variance_a**2 / df_a + variance_b**2 / df_b
    return (variance_a + variance_b) ** 2 / together if together > 0 else df_a + df_b


def student(
    estimate: float, se: float, df: float, n: int, alpha: float = 0.05, intervals: int | None = None
) -> Difference:
    """An estimate with the t interval of `df` degrees of freedom, for one look."""
    if not (math.isfinite(estimate) and math.isfinite(se)):
        return Difference(math.nan, math.inf, n, -math.inf, math.inf, 1.0, 1 - alpha, intervals)
    half = float(stdtrit(df, 1 - alpha / 2)) * se
    t = abs(estimate) / se if se > 0 else math.inf if estimate else 0.0
    p = 2 * float(stdtr(df, -t))
    return Difference(estimate, se, n, estimate - half, estimate + half, p, 1 - alpha, intervals)
