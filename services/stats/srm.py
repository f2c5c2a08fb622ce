"""Sample-ratio mismatch: did the gateway divide the traffic as it was told?

If B gets 15 % where 20 % was asked for, requests are lost or misrouted, and which ones is rarely chance: no comparison
of the arms can be trusted. The classical chi-squared test of the totals is for one look at the end; the test here may
be looked at after every request, and follows a split that moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from services.stats.sequence import Floats, mixture_rate

AMBER = 0.01
RED = 0.001
STANDARD = "a sequential test of the split, valid at every look: amber below p 0.01, red below p 0.001"
"""The one standard for an observed split, as it is said wherever one is shown."""

PLANNED_VARIANCE = 500.0
"""Where the test is most sensitive, in units of sum n p (1 - p): about 2,000 requests at 50 %, 3,100 at 80/20."""


@dataclass(frozen=True, slots=True)
class SrmResult:
    """What was counted and how surprising it is.

    Attributes:
        p: always-valid, the smallest over all intervals so far; below AMBER look into it, below RED trust nothing.
        z: standardised excess of B at the last interval; for one look only.
        n: requests counted.
        expected_b, observed_b: requests to B as configured, and as counted.
    """

    p: float
    z: float
    n: int
    expected_b: float
    observed_b: int


def srm(
    count_a: ArrayLike, count_b: ArrayLike, share_b: ArrayLike, *, planned_variance: float = PLANNED_VARIANCE
) -> SrmResult:
    """Test counts of the gateway against the split in force.

    Args:
        count_a, count_b: requests per interval, shape (m,), oldest first; all that were routed by the split, failed
            ones too, none that were pinned to an arm.
        share_b: configured share of B in each interval, shape (m,), within 0 to 1. Leave intervals out in which it
            changed.
        planned_variance: see PLANNED_VARIANCE; fixed in advance.

    With M = sum (B_t - N_t p_t), a martingale under correct routing, and V = sum N_t p_t (1 - p_t), Robbins' normal
    mixture gives p = min over t of sqrt(1 + r V) exp(-r M^2 / (2 (1 + r V))). Robbins, Annals of Mathematical
    Statistics 41 (1970); the rate r is that of sequence.mixture_rate at RED. The idea of a sequential test: Lindon and
    Malek, NeurIPS 2022.

    Raises:
        ValueError: for shapes that differ, negative counts, or a share outside 0 to 1.
    """
    a, b, share = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (count_a, count_b, share_b))
    if not a.shape == b.shape == share.shape or a.ndim != 1:
        raise ValueError(f"shapes {a.shape}, {b.shape}, {share.shape}")
    if np.any(a < 0) or np.any(b < 0) or not np.all((share >= 0) & (share <= 1)):
        raise ValueError("counts must be 0 or more, shares within 0 to 1")
    n = a + b
    if not n.sum():
        return SrmResult(1.0, 0.0, 0, 0.0, 0)
    excess, variance = np.cumsum(b - n * share), np.cumsum(n * share * (1 - share))
    p = float(sequential_p(excess, variance, planned_variance).min())
    gap = float(excess[-1])
    z = gap / math.sqrt(variance[-1]) if variance[-1] > 0 else math.copysign(math.inf, gap) if gap else 0.0
    return SrmResult(p, z, round(float(n.sum())), float((n * share).sum()), round(float(b.sum())))


def sequential_p(excess: Floats, variance: Floats, planned_variance: float = PLANNED_VARIANCE) -> Floats:
    """p at each interval from cumulated excess M and variance V, shapes (..., m); not yet the running minimum."""
    rate = mixture_rate(planned_variance, RED)
    x = rate * variance
    log_p = 0.5 * np.log1p(x) - rate * excess**2 / (2 * (1 + x))
    return np.asarray(np.exp(np.minimum(0.0, log_p)))


@dataclass(frozen=True, slots=True)
class SplitBand:
    """Counts from `low` to `high` of `n` leave the test's p at `level` or above when the arm's share is `share`."""

    n: int
    share: float
    level: float
    low: int
    high: int

    @property
    def low_share(self) -> float:
        """Lower end as a share of 1; 0 without requests, when anything is possible."""
        return self.low / self.n if self.n else 0.0

    @property
    def high_share(self) -> float:
        """Upper end as a share of 1; 1 without requests."""
        return self.high / self.n if self.n else 1.0

    def holds(self, count: int) -> bool:
        """Whether `count` of the n requests is within the band."""
        return self.low <= count <= self.high


def split_band(n: int, share: float, level: float = AMBER, *, planned_variance: float = PLANNED_VARIANCE) -> SplitBand:
    """Where the test sees nothing amiss in an arm's count, while one split is in force; it holds at every look.

    p < level exactly where M^2 > 2 (1 + r V) / r * (ln(1 + r V) / 2 - ln level), with V = n p (1 - p). A share of 0 or
    1 leaves nothing to chance: there the band is the one count that is possible.

    Args:
        n: requests that were split, 0 or more.
        share: the configured share of the arm, within 0 to 1.
        level: AMBER, RED, or what is left of them for each of several arms.

    Raises:
        ValueError: for arguments outside these ranges.
    """
    if n < 0 or not 0 <= share <= 1 or not 0 < level < 1:
        raise ValueError(f"n={n}, share={share}, level={level}")
    expected, variance = n * share, n * share * (1 - share)
    if not variance:
        return SplitBand(n, share, level, round(expected), round(expected))
    rate = mixture_rate(planned_variance, RED)
    x = rate * variance
    reach = math.sqrt(2 * (1 + x) / rate * (0.5 * math.log1p(x) - math.log(level)))
    return SplitBand(n, share, level, max(0, math.ceil(expected - reach)), min(n, math.floor(expected + reach)))
