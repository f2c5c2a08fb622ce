"""Exact arithmetic on raw counter samples. Pure.

`increase()` extrapolates to the edges of its window, loses the first value of a series that is born inside it and so
returns fractions of requests. Whoever counts or divides needs whole numbers: these functions take samples as they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence

Samples = Sequence[tuple[float, float]]
"""(unix time in seconds, counter value), oldest first."""


def gained(values: Sequence[float], baseline: float) -> float:
    """How much a counter grew from `baseline` through `values`. A fall means a restart: counting began again at 0."""
    total, last = 0.0, baseline
    for value in values:
        total += value - last if value >= last else value
        last = value
    return total


def gained_since(samples: Samples, start: float, *, newborn: bool = True) -> float:
    """Growth after `start`. A series without a sample at or before `start` was born later, and began at 0.

    `newborn` False: nobody looked before its first sample, so what it had counted by then is left out.
    """
    if not newborn and samples:
        start = max(start, samples[0][0])
    first_after = bisect_left(samples, start, key=lambda sample: sample[0])
    if first_after < len(samples) and samples[first_after][0] == start:
        first_after += 1
    baseline = samples[first_after - 1][1] if first_after else 0.0
    return gained([value for _, value in samples[first_after:]], baseline)


def born_watched(first: float, step_s: float, own: Mapping[float, float], anything: Collection[float]) -> bool:
    """Whether a series whose first sample is at `first` began at 0, as far as anybody can tell.

    `own` is its target's `up` by time, `anything` the times at which any target was watched, both on the same grid.
    Two steps before, because the targets of one Prometheus are not scraped at the same moment: if its target was
    scraped then, the series is new; if the target could not be scraped, its past is unknown; if there was no such
    target while others were watched, the target is new; and if nothing was watched, there was an outage.
    """
    before = first - 2 * step_s
    return own[before] > 0 if before in own else before in anything


def most_by_class(*counters: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Counts by (arm, class of status), each from the counter that saw most of them: see `queries`."""
    keys = dict.fromkeys(key for counter in counters for key in counter)
    return {key: max(counter.get(key, 0.0) for counter in counters) for key in keys}


def common_start(series: Sequence[Samples], start: float) -> float | None:
    """The first scrape at or after `start` among series of one target; None when there is none yet.

    Counting every series from the same scrape keeps their proportions unbiased: a sample before a change of split
    would mix in traffic of the old one.
    """
    times = [t for samples in series for t, _ in samples if t >= start]
    return min(times) if times else None
