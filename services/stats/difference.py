"""The difference of two means, B minus A, with an always-valid interval, from sufficient statistics.

Which function for which data: `paired` when both arms answered the same rows, `two_samples` when traffic was divided by
one split that never moved, `stratified` when the split moved and the ledger knows which rewards belong to which split,
`proportions` for shares of bad events. Counters without rows: batches.py and adaptive.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.stats.sequence import AsympCS, Value, multiplier
from services.stats.sums import Sums


@dataclass(frozen=True, slots=True)
class Difference:
    """B - A with its interval. Without enough data for a variance: estimate nan, interval infinite, p 1.

    Attributes:
        estimate: in the unit of the values.
        se: standard error of the estimate.
        n: observations behind it: pairs, or values of both arms together.
        low, high: the interval at confidence `level` (a share of 1).
        p: of "there is no difference", valid in the same way as the interval.
        intervals: batches of time behind it, for estimates from counters; None for rows.
    """

    estimate: float
    se: float
    n: int
    low: float
    high: float
    p: float
    level: float
    intervals: int | None = None

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def always_valid(
    estimate: float,
    se: float,
    n: int,
    *,
    planned: float,
    alpha: float = 0.05,
    stretch: float = 1.0,
    intervals: int | None = None,
) -> Difference:
    """An estimate with its confidence sequence; `stretch` >= 1 widens it where `se` rests on few batches."""
    sequence = AsympCS(planned, alpha)
    if n <= 0 or not (math.isfinite(estimate) and math.isfinite(se)):
        return Difference(math.nan, math.inf, max(0, n), -math.inf, math.inf, 1.0, 1 - alpha, intervals)
    half = sequence.half_width(se * stretch, float(n))
    p = sequence.p_value(estimate, se * stretch, float(n))
    return Difference(estimate, se, n, estimate - half, estimate + half, p, 1 - alpha, intervals)


def two_samples(a: Sums, b: Sums, *, planned: float, alpha: float = 0.05) -> Difference:
    """mean B - mean A of two independent samples; se^2 = s_A^2/n_A + s_B^2/n_B.

    Assumes one split all the time. If the share of B changed while the rewards drifted, this number can have the wrong
    sign with certainty (Simpson's paradox): use `stratified` or adaptive.aipw then.
    """
    if a.mean is None or b.mean is None or a.variance is None or b.variance is None:
        return always_valid(math.nan, math.inf, a.n + b.n, planned=planned, alpha=alpha)
    se = math.sqrt(a.variance / a.n + b.variance / b.n)
    return always_valid(b.mean - a.mean, se, a.n + b.n, planned=planned, alpha=alpha)


def paired(d: Sums, *, planned: float, alpha: float = 0.05) -> Difference:
    """Mean of the differences B - A over rows that both arms answered; se^2 = s_d^2/n; n counts pairs.

    Rows are taken as a random sample of those the decision is about. If no row differs, the interval is 0 to 0: both
    arms earned the same on these rows, which is not a statement about other rows.
    """
    if d.mean is None or d.variance is None:
        return always_valid(math.nan, math.inf, d.n, planned=planned, alpha=alpha)
    return always_valid(d.mean, math.sqrt(d.variance / d.n), d.n, planned=planned, alpha=alpha)


def stratified(strata: Sequence[tuple[Sums, Sums]], *, planned: float, alpha: float = 0.05) -> Difference:
    """Weighted mean of the differences within strata, each a stretch of traffic (A's rewards, B's) under one split.

    d = sum_k w_k (mean_Bk - mean_Ak) with w_k = N_k/N; se^2 = sum_k w_k^2 (s_A^2/n_Ak + s_B^2/n_Bk), s^2 of each arm
    pooled within strata. Comparing like with like removes what a drift common to both arms does to a pooled mean.
    Strata with fewer than two rewards in an arm carry no comparison and are left out; `n` counts what is used.

    Source: post-stratification, e.g. Cochran, Sampling Techniques (1977), 5A.9.
    """
    used = [(a, b) for a, b in strata if min(a.n, b.n) >= 2]
    n = sum(a.n + b.n for a, b in used)
    if not used:
        return always_valid(math.nan, math.inf, 0, planned=planned, alpha=alpha)
    variance_a = sum(a.spread for a, _ in used) / sum(a.n - 1 for a, _ in used)
    variance_b = sum(b.spread for _, b in used) / sum(b.n - 1 for _, b in used)
    estimate = squared = 0.0
    for a, b in used:
        weight = (a.n + b.n) / n
        estimate += weight * (b.total / b.n - a.total / a.n)
        squared += weight**2 * (variance_a / a.n + variance_b / b.n)
    return always_valid(estimate, math.sqrt(squared), n, planned=planned, alpha=alpha)


def proportions(bad_a: int, n_a: int, bad_b: int, n_b: int, *, planned: float, alpha: float = 0.05) -> Difference:
    """Share of bad events in B minus that in A: errors, requests slower than an objective, feedback that never came.

    The variance of a share is p (1 - p)/n, no batches needed. With 0 bad of n in both arms that is 0, and the interval
    would claim that neither arm can ever fail; with few bad in the smaller arm it is too small and raises false alarms.
    So the variance, not the estimate, is taken at p = (bad + k)/(n + 2k): k events of each kind are added to each arm,
    with k = M^2/4 for the multiplier M at n = planned, 2.3 at alpha .05. That is the correction of Agresti and Caffo
    (The American Statistician 54, 2000), whose k is z^2/4 = 1 for an interval of z = 1.96 standard errors. 0 of 1,000
    against 0 of 1,000 then gives -0.7 % to +0.7 %. With k = 1 there were up to 5.2 % false alarms under continuous
    looking at shares of 5 %; with this k at most 3 % (docs/statistics.md).

    Raises:
        ValueError: unless 0 <= bad <= n in both arms.
    """
    if not (0 <= bad_a <= n_a and 0 <= bad_b <= n_b):
        raise ValueError(f"bad_a={bad_a}, n_a={n_a}, bad_b={bad_b}, n_b={n_b}")
    if not n_a or not n_b:
        return always_valid(math.nan, math.inf, n_a + n_b, planned=planned, alpha=alpha)
    se = math.sqrt(share_variance(bad_a, n_a, alpha) + share_variance(bad_b, n_b, alpha))
    return always_valid(bad_b / n_b - bad_a / n_a, se, n_a + n_b, planned=planned, alpha=alpha)


def stratified_proportions(
    strata: Sequence[tuple[int, int, int, int]], *, planned: float, alpha: float = 0.05
) -> Difference:
    """`proportions` under a split that moved: (bad_a, n_a, bad_b, n_b) per split, weighted by its n as in `stratified`.

    A busy hour with many slow requests, most of B's traffic in it, makes B look slow when pooled. Strata without
    requests in an arm carry no comparison and are left out. Raises ValueError as `proportions` does.
    """
    used = [s for s in strata if s[1] and s[3]]
    if len(used) <= 1:
        return proportions(*(used[0] if used else (0, 0, 0, 0)), planned=planned, alpha=alpha)
    parts = [proportions(*stratum, planned=planned, alpha=alpha) for stratum in used]
    n = sum(part.n for part in parts)
    estimate = sum(part.n / n * part.estimate for part in parts)
    return always_valid(
        estimate, math.sqrt(sum((part.n / n * part.se) ** 2 for part in parts)), n, planned=planned, alpha=alpha
    )


def share_variance(bad: Value, n: Value, alpha: float = 0.05) -> Value:
    """Variance of bad/n for n >= 1, never 0: p (1 - p)/n at p = (bad + k)/(n + 2k); `proportions` says why."""
    added = multiplier(1.0, 1.0, alpha) ** 2 / 4
    p = (bad + added) / (n + 2 * added)
    return p * (1 - p) / n
