"""How far an observed share may stray from the requested one by luck alone.

A gateway that sends each request to an arm with probability p gives that arm Binomial(n, p) of n requests. The band is
the central interval of that distribution from its exact quantiles, so it holds for small n and for shares near 0 and 1.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from scipy.special import bdtr

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ShareBand:
    """Counts from `low` to `high` of `n` happen with probability of at least `level` when the share is `share`."""

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


def share_band(n: int, share: float, level: float = LEVEL) -> ShareBand:
    """The central binomial band of an arm's count.

    Args:
        n: requests that were split, 0 or more.
        share: the requested share of the arm, within 0 to 1.
        level: probability that the count falls inside, within 0 to 1 exclusive; at least that, as counts are whole.

    Raises:
        ValueError: for arguments outside these ranges.
    """
    if n < 0 or not 0 <= share <= 1 or not 0 < level < 1:
        raise ValueError(f"n={n}, share={share}, level={level}")
    tail = (1 - level) / 2
    return ShareBand(n, share, level, _quantile(tail, n, share), _quantile(1 - tail, n, share))


def _quantile(q: float, n: int, p: float) -> int:
    """The smallest k with P(X <= k) >= q for X ~ Binomial(n, p)."""
    return bisect_left(range(n), q, key=lambda k: float(bdtr(k, n, p)))
