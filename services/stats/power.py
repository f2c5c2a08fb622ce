"""How large a difference can be seen by now, and how many more observations a decision takes."""

from __future__ import annotations

import math

from scipy.special import ndtri

from services.stats.sequence import multiplier

POWER = 0.8
MOST = 1_000_000_000
"""Beyond this many observations a forecast is as good as never."""


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
