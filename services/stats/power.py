"""How many observations a difference of a given size takes, and how many more from here.

Two rules for each number: fixed (one look, classical interval) and always-valid (any number of looks). With pairs, the
variance of one observation is that of a row's difference; with divided traffic it is `unit_variance`.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

from services.stats.sequence import multiplier

POWER = 0.8
MOST = 1_000_000_000
"""Beyond this many observations a forecast is as good as never."""


def unit_variance(sd_a: float, sd_b: float, share_b: float) -> float:
    """Variance per request of mean B - mean A when B gets `share_b`: s_A^2/(1 - q) + s_B^2/q.

    Raises ValueError unless 0 < share_b < 1.
    """
    if not 0 < share_b < 1:
        raise ValueError(f"share_b={share_b}")
    return sd_a**2 / (1 - share_b) + sd_b**2 / share_b


def needed_fixed(effect: float, variance: float, *, alpha: float = 0.05, power: float = POWER) -> int:
    """Observations for one classical look: (z_(1 - alpha/2) + z_power)^2 variance / effect^2, rounded up.

    Raises ValueError for an effect of 0.
    """
    return _rounded((float(ndtri(1 - alpha / 2)) + float(ndtri(power))) ** 2, effect, variance)


def needed(effect: float, variance: float, *, alpha: float = 0.05, power: float = POWER) -> int:
    """Observations until the always-valid interval excludes 0 with probability of at least `power`.

    (M + z_power)^2 variance / effect^2 with M = 3.04 (alpha .05), the multiplier at n = planned: for a test whose N*
    is set to this very number, as it should be. A sequence also stops earlier, so the true number is smaller, by about
    an eighth in simulation. Raises ValueError for an effect of 0.
    """
    return _rounded((multiplier(1.0, 1.0, alpha) + float(ndtri(power))) ** 2, effect, variance)


def detectable_fixed(se: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Smallest difference that one classical look at this standard error would have found with probability `power`."""
    return (float(ndtri(1 - alpha / 2)) + float(ndtri(power))) * se


def detectable(se: float, n: int, *, planned: float, alpha: float = 0.05, power: float = POWER) -> float:
    """Smallest difference that the always-valid interval would exclude 0 for, now, with probability `power`.

    In the unit of `se`: about 3.9 se near n = planned; infinite at n = 0.
    """
    return (multiplier(float(n), planned, alpha) + float(ndtri(power))) * se if n > 0 else math.inf


def remaining_n(
    difference: float, se: float, n: int, *, planned: float, alpha: float = 0.05, minimum_effect: float = 0.0
) -> int | None:
    """Observations still needed until the interval decides, if the difference stays what it is.

    Decided means: it excludes 0, or (with a `minimum_effect` above 0) it lies wholly below that. A difference above 0
    and below the minimum is decided only by the latter: that B is better at all is not enough then. 0 if it is decided
    already, None if no number within reason would do or nothing is known yet. A forecast from a noisy difference: half
    of the time it takes longer.
    """
    if n <= 0 or not (math.isfinite(difference) and math.isfinite(se)):
        return None
    distances = [] if 0 < difference < minimum_effect else [abs(difference)]
    if minimum_effect > 0:
        distances.append(minimum_effect - difference)
    totals = [_total(distance, se, n, planned, alpha) for distance in distances if distance > 0]
    reached = [total for total in totals if total is not None]
    return min(reached) - n if reached else None


def _total(distance: float, se: float, n: int, planned: float, alpha: float) -> int | None:
    """The smallest total >= n at which the half-width is below `distance`; the standard error falls with 1/sqrt(n)."""

    def decided(total: int) -> bool:
        return se * math.sqrt(n / total) * multiplier(float(total), planned, alpha) < distance

    if decided(n):
        return n
    below, above = n, 2 * n
    while not decided(above):
        if above > MOST:
            return None
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if decided(middle) else (middle, above)
    return above


def _rounded(factor: float, effect: float, variance: float) -> int:
    if effect == 0:
        raise ValueError("no number of observations finds an effect of 0")
    return math.ceil(factor * variance / effect**2)
