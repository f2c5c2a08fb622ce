"""How much counters grew per interval, from their samples at both ends of a time and on a grid between.

Growth is taken per series (one replica) before anything is added up: a fall means that the replica began again at 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from services.metrics import queries
from services.metrics.beginnings import watched_before
from services.metrics.door import PrometheusDoor

MOST_INTERVALS = 2000
Counts = NDArray[np.float64]
"""Shape (m,): one entry per interval."""

Labels = Mapping[str, str]


def choose_grid_s(start: datetime, end: datetime, scrape_s: int) -> int:
    """Seconds between two points of the grid, so that there are at most MOST_INTERVALS."""
    span_s = max((end - start).total_seconds(), scrape_s)
    wanted = max(span_s / MOST_INTERVALS, scrape_s)
    return next((step for step in queries.STEPS_S if step >= wanted), math.ceil(wanted))


def grid(start: float, end: float, step_s: int) -> Counts:
    """`start`, the multiples of `step_s` strictly between, `end`: shape (m + 1,) with m >= 1."""
    inner = np.arange(math.floor(start / step_s) + 1, math.ceil(end / step_s), dtype=np.float64) * step_s
    return np.concatenate(([start], inner, [end]))


def read_series(door: PrometheusDoor, promql: str, edges: Counts, step_s: int) -> list[tuple[Labels, Counts]]:
    """Labels and values at the edges, shape (m + 1,), of each series; nan where it has no sample.

    A range query cannot hit both ends as well as the grid, and what happened between an end and the grid must count.
    """
    found: dict[tuple[tuple[str, str], ...], tuple[Labels, Counts]] = {}

    def put(labels: Labels, place: int, text: str) -> None:
        found.setdefault(identity(labels), (labels, np.full(len(edges), np.nan)))[1][place] = float(text)

    last = len(edges) - 1
    if last > 1:
        for row in door.range(promql, _time(edges[1]), _time(edges[last - 1]), step_s):
            for at, text in row["values"]:
                put(row["metric"], round((float(at) - edges[1]) / step_s) + 1, text)
    for place in (0, last):
        for row in door.instant(promql, _time(edges[place])):
            put(row["metric"], place, row["value"][1])
    return list(found.values())


def unknown_at(
    door: PrometheusDoor, late: Sequence[Labels], start: datetime, known_by: queries.Labels
) -> set[tuple[str, str]]:
    """Targets of `late` whose counters may have been at anything at `start`, though none of them was seen.

    `late` are the labels of series without a sample at `start`. They were not there yet if their target was watched
    then without them, or not watched while others were. If it could not be scraped, or nothing was watched at all, they
    may be old; but a Prometheus that had never watched anything started with what it watches.
    """
    if not late:
        return set()
    targets = {target(labels) for labels in late}
    watch = door.instant(queries.alive([instance for _, instance in targets], known_by), start)
    if not watch:
        return targets if watched_before(door, known_by, start) else set()
    return {target(row["metric"]) for row in watch if float(row["value"][1]) == 0} & targets


def target(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def identity(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in labels.items() if key != "__name__"))


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def growth(counts: Counts, sums: Counts, *, newborn: bool) -> tuple[Counts, Counts]:
    """Growth of a count and of its sum per interval, shapes (m,), from their values at the m + 1 edges.

    Without a value at the first edge, the first one is growth if the series is `newborn`, and a baseline if not.
    """
    n, s = np.zeros(len(counts) - 1), np.zeros(len(counts) - 1)
    last_n, last_s, based = 0.0, 0.0, newborn
    for place in np.flatnonzero(~np.isnan(counts)):
        count, total = counts[place], 0.0 if np.isnan(sums[place]) else sums[place]
        if place >= 1 and based:
            restarted = count < last_n
            n[place - 1] = count if restarted else count - last_n
            s[place - 1] = total if restarted else total - last_s
        last_n, last_s, based = count, total, True
    return n, s


def stretch(since: Counts, counts: Counts, grown: Counts, edges: Counts) -> None:
    """Move `since` back for growth that was seen only after a gap in the samples."""
    for interval in np.flatnonzero(grown):
        earlier = np.flatnonzero(~np.isnan(counts[: interval + 1]))
        if len(earlier):
            since[interval] = min(since[interval], edges[earlier[-1]])
