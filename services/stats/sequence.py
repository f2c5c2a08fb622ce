"""The asymptotic confidence sequence: an interval that may be looked at as often as one likes.

A classical 95 % interval misses the truth in 5 % of all experiments at one look that was fixed in advance; looked at a
hundred times, it misses at some look in about 40 %. The sequence here misses at any look, ever, in at most 5 %
(asymptotically; services/stats/gates.py holds the conditions under which simulation confirms it).

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 52 (2024), arXiv:2103.06476: Robbins' normal mixture with rho chosen so that the
interval is tightest at n = planned. `planned` must be fixed before the first look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Value = TypeVar("Value", float, Floats)
"""One number, or an array of them: functions of a look work on every look at once."""


def mixture_rate(planned: float, alpha: float) -> float:
    """rho^2 of the mixture, per observation: (-2 ln alpha + ln(1 - 2 ln alpha)) / planned.

    Raises:
        ValueError: unless planned > 0 and 0 < alpha < 1.
    """
    if not (planned > 0 and 0 < alpha < 1):
        raise ValueError(f"planned={planned}, alpha={alpha}")
    strictness = -2 * math.log(alpha)
    return (strictness + math.log1p(strictness)) / planned


def multiplier(n: Value, planned: float, alpha: float = 0.05) -> Value:
    """By how many standard errors the interval reaches to each side after n observations.

    M(n) = sqrt((1 + 1/x) ln((x + 1)/alpha^2)) with x = n rho^2. A classical 95 % interval has 1.96 here. Infinite at
    n = 0. Raises ValueError as mixture_rate does.
    """
    x = np.asarray(n, dtype=np.float64) * mixture_rate(planned, alpha)
    with np.errstate(divide="ignore"):
        reach = np.sqrt((1 + 1 / x) * np.log((x + 1) / alpha**2))
    return reach if reach.ndim else float(reach)  # type: ignore[return-value]


def half_width(se: Value, n: Value, planned: float, alpha: float = 0.05) -> Value:
    """Half of the interval's width, in the unit of the standard error `se`: se * M(n); infinite at n = 0."""
    reach = np.asarray(multiplier(n, planned, alpha), dtype=np.float64)
    width = np.where(np.isinf(reach), np.inf, np.asarray(se, dtype=np.float64) * np.where(np.isinf(reach), 1, reach))
    return width if width.ndim else float(width)  # type: ignore[return-value]


def p_value(difference: Value, se: Value, n: Value, planned: float, alpha: float = 0.05) -> Value:
    """Always-valid p of "there is no difference" at this look: below alpha exactly if the interval excludes 0.

    p = min(1, sqrt(1 + x) exp(-(difference/se)^2 x / (2 (1 + x)))), x = n rho^2. With se = 0 it is 1 for a difference
    of 0 and else 0. Over several looks the smallest p holds.
    """
    x = np.asarray(n, dtype=np.float64) * mixture_rate(planned, alpha)
    gap, error = np.asarray(difference, dtype=np.float64), np.asarray(se, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = np.where(gap == 0, 0.0, gap / error)
        log_p = 0.5 * np.log1p(x) - 0.5 * z * z * x / (1 + x)
    p = np.where(np.isnan(log_p), 1.0, np.exp(np.minimum(0.0, np.nan_to_num(log_p, nan=0.0, neginf=-np.inf))))
    return p if p.ndim else float(p)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class AsympCS:
    """The sequence of one test: `planned` observations (where it is tightest) and error level `alpha`, both frozen."""

    planned: float
    alpha: float = 0.05

    def multiplier(self, n: Value) -> Value:
        return multiplier(n, self.planned, self.alpha)

    def half_width(self, se: Value, n: Value) -> Value:
        return half_width(se, n, self.planned, self.alpha)

    def p_value(self, difference: Value, se: Value, n: Value) -> Value:
        return p_value(difference, se, n, self.planned, self.alpha)
