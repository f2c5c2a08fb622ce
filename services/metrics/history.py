"""What every counter of a deployment grew by, interval by interval: the raw material of live evidence.

Rates extrapolate and lose the edges; statistics need whole counts that belong together. So the counters are read as
they are at both ends of the time and on a grid between them, and their growth is taken per series (one replica) before
anything is added up: a fall means that the replica began again at 0. Feedback count and reward sum of a series come
from the same scrape, so a restart is decided from the count and applied to both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from services.metrics import queries
from services.metrics.door import PrometheusDoor
from services.metrics.queries import Selection

MOST_INTERVALS = 2000
Counts = NDArray[np.float64]
"""Shape (m,): one entry per interval."""

Labels = Mapping[str, str]

_COUNT, _REWARD, _ROUTED = "count", "reward", "routed"


@dataclass(frozen=True)
class CounterHistory:
    """Growth per interval and arm.

    Attributes:
        edges: m + 1 unix times in seconds; interval i is (edges[i], edges[i + 1]]. The first and the last are the ends
            of the time that was asked for, those between are multiples of step_s: only the intervals at both ends are
            shorter than a step.
        since: m unix times: since when interval i really counts. Earlier than edges[i] where samples are missing
            (growth over a gap lands in the interval in which it was seen), but never before edges[0].
        feedback, rewards: by predictor, the number of feedbacks and the sum of their rewards.
        routed: by predictor, requests that the gateway sent through the split.
        step_s: length of the intervals between both ends, in seconds.
        promql: the queries behind it, one a line.
    """

    edges: Counts
    since: Counts
    feedback: Mapping[str, Counts]
    rewards: Mapping[str, Counts]
    routed: Mapping[str, Counts]
    step_s: int
    promql: str

    @property
    def intervals(self) -> int:
        return max(0, len(self.edges) - 1)

    def of(self, table: Mapping[str, Counts], predictor: str) -> Counts:
        """The growth of one arm, zeros if nothing was ever counted there."""
        return table.get(predictor, np.zeros(self.intervals))


def read_history(
    door: PrometheusDoor, selection: Selection, start: datetime, end: datetime, scrape_s: int
) -> CounterHistory:
    """Read all counters of a deployment from `start` to `end`. Raises what the door raises."""
    span_s = max((end - start).total_seconds(), scrape_s)
    wanted = max(span_s / MOST_INTERVALS, scrape_s)
    step_s = next((step for step in queries.STEPS_S if step >= wanted), math.ceil(wanted))
    edges = _edges(start.timestamp(), max(start, end).timestamp(), step_s)
    asked = {
        _COUNT: queries.feedback_counter(selection),
        _REWARD: queries.reward_counter(selection),
        _ROUTED: queries.router_counter(selection),
    }
    rows = {name: _read(door, promql, edges, step_s) for name, promql in asked.items()}
    late = [labels for name in (_COUNT, _ROUTED) for labels, counts in rows[name] if np.isnan(counts[0])]
    unknown = _unknown_at(door, late, start, selection.labels)
    since = edges[:-1].copy()
    feedback: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    rewards: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    routed: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    sums = {_identity(labels): totals for labels, totals in rows[_REWARD]}
    for labels, counts in rows[_COUNT]:
        totals = sums.get(_identity(labels), np.zeros_like(counts))
        arm = labels.get("predictor_name", "")
        grown_n, grown_s = _growth(counts, totals, newborn=_target(labels) not in unknown)
        feedback[arm] += grown_n
        rewards[arm] += grown_s
        _stretch(since, counts, grown_n, edges)
    for labels, counts in rows[_ROUTED]:
        grown, _ = _growth(counts, np.zeros_like(counts), newborn=_target(labels) not in unknown)
        routed[labels[queries.GATEWAY_CLUSTER].rpartition("|")[2]] += grown
        _stretch(since, counts, grown, edges)
    return CounterHistory(edges, since, dict(feedback), dict(rewards), dict(routed), step_s, "\n".join(asked.values()))


def _edges(start: float, end: float, step_s: int) -> Counts:
    """`start`, the multiples of `step_s` strictly between, `end`: shape (m + 1,) with m >= 1."""
    grid = np.arange(math.floor(start / step_s) + 1, math.ceil(end / step_s), dtype=np.float64) * step_s
    return np.concatenate(([start], grid, [end]))


def _read(door: PrometheusDoor, promql: str, edges: Counts, step_s: int) -> list[tuple[Labels, Counts]]:
    """Labels and values at the edges, shape (m + 1,), of each series; nan where it has no sample.

    A range query cannot hit both ends as well as the grid, and what happened between an end and the grid must count.
    """
    found: dict[tuple[tuple[str, str], ...], tuple[Labels, Counts]] = {}

    def put(labels: Labels, place: int, text: str) -> None:
        found.setdefault(_identity(labels), (labels, np.full(len(edges), np.nan)))[1][place] = float(text)

    last = len(edges) - 1
    if last > 1:
        for row in door.range(promql, _time(edges[1]), _time(edges[last - 1]), step_s):
            for at, text in row["values"]:
                put(row["metric"], round((float(at) - edges[1]) / step_s) + 1, text)
    for place in (0, last):
        for row in door.instant(promql, _time(edges[place])):
            put(row["metric"], place, row["value"][1])
    return list(found.values())


def _unknown_at(
    door: PrometheusDoor, late: Sequence[Labels], start: datetime, known_by: queries.Labels
) -> set[tuple[str, str]]:
    """Targets of `late` whose counters may have been at anything at `start`, though none of them was seen.

    `late` are the labels of series without a sample at `start`. They were not there yet if their target was watched
    then without them, or not watched while others were. If it could not be scraped, or nothing was watched at all, they
    may be old; but a Prometheus that had never watched anything started with what it watches.
    """
    if not late:
        return set()
    targets = {_target(labels) for labels in late}
    watch = door.instant(queries.alive([instance for _, instance in targets], known_by), start)
    if not watch:
        return targets if door.instant(queries.watched_before(known_by), start) else set()
    return {_target(row["metric"]) for row in watch if float(row["value"][1]) == 0} & targets


def _target(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def _identity(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in labels.items() if key != "__name__"))


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _growth(counts: Counts, sums: Counts, *, newborn: bool) -> tuple[Counts, Counts]:
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


def _stretch(since: Counts, counts: Counts, grown: Counts, edges: Counts) -> None:
    """Move `since` back for growth that was seen only after a gap in the samples."""
    for interval in np.flatnonzero(grown):
        earlier = np.flatnonzero(~np.isnan(counts[: interval + 1]))
        if len(earlier):
            since[interval] = min(since[interval], edges[earlier[-1]])
