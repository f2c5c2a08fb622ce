"""What every counter of a deployment grew by, interval by interval: the raw material of live evidence.

Rates extrapolate and lose the edges; statistics need whole counts that belong together. So the counters are read as
they are on a grid of times, and their growth is taken per series (one replica) before anything is added up: a fall
means that the replica began again at 0. Feedback count and reward sum of a series come from the same scrape, so a
restart is decided from the count and applied to both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.metrics import queries
from services.metrics.door import PrometheusDoor
from services.metrics.queries import Selection

MOST_INTERVALS = 2000
Counts = NDArray[np.float64]
"""Shape (m,): one entry per interval."""

_COUNT, _REWARD, _ROUTED = "count", "reward", "routed"


@dataclass(frozen=True)
class CounterHistory:
    """Growth per interval and arm.

    Attributes:
        edges: m + 1 unix times in seconds; interval i is (edges[i], edges[i + 1]].
        since: m unix times: since when interval i really counts. Later than nothing, and earlier than edges[i] where
            samples are missing: growth over a gap lands in the interval in which it was seen.
        feedback, rewards: by predictor, the number of feedbacks and the sum of their rewards.
        routed: by predictor, requests that the gateway sent through the split.
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
    door: PrometheusDoor, namespace: str, deployment: str, start: datetime, end: datetime, scrape_s: int
) -> CounterHistory:
    """Read all counters of a deployment from `start` to `end`. Raises what the door raises."""
    selection = Selection(namespace, deployment)
    span_s = max((end - start).total_seconds(), scrape_s)
    wanted = max(span_s / MOST_INTERVALS, scrape_s)
    step_s = next((step for step in queries.STEPS_S if step >= wanted), math.ceil(wanted))
    last = end.timestamp() // step_s * step_s
    first = math.ceil(start.timestamp() / step_s) * step_s
    edges = np.arange(first, last + step_s / 2, step_s)
    if len(edges) < 2:
        edges = np.array([first, first + step_s], dtype=float)
    asked = {
        _COUNT: queries.feedback_counter(selection),
        _REWARD: queries.reward_counter(selection),
        _ROUTED: queries.router_counter(namespace, deployment),
    }
    bounds = datetime.fromtimestamp(edges[0], UTC), datetime.fromtimestamp(edges[-1], UTC)
    # One step before the first edge tells a counter that was already there from one that was born inside.
    before = bounds[0] - timedelta(seconds=step_s)
    rows = {name: door.range(promql, before, bounds[1], step_s) for name, promql in asked.items()}
    since = edges[:-1].astype(float).copy()
    feedback: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    rewards: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    routed: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    sums = {_identity(row["metric"]): _on_grid(row, edges, step_s) for row in rows[_REWARD]}
    for row in rows[_COUNT]:
        counts = _on_grid(row, edges, step_s)
        totals = sums.get(_identity(row["metric"]))
        arm = row["metric"].get("predictor_name", "")
        grown_n, grown_s = _growth(counts, totals if totals is not None else np.zeros_like(counts))
        feedback[arm] += grown_n
        rewards[arm] += grown_s
        _stretch(since, counts, grown_n, edges)
    for row in rows[_ROUTED]:
        counts = _on_grid(row, edges, step_s)
        grown, _ = _growth(counts, np.zeros_like(counts))
        routed[row["metric"][queries.GATEWAY_CLUSTER].rpartition("|")[2]] += grown
        _stretch(since, counts, grown, edges)
    return CounterHistory(edges, since, dict(feedback), dict(rewards), dict(routed), step_s, "\n".join(asked.values()))


def _identity(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in labels.items() if key != "__name__"))


def _on_grid(row: Mapping[str, Any], edges: Counts, step_s: int) -> Counts:
    """Values at one step before the first edge and at each edge, shape (m + 2,); nan where there is no sample."""
    found = np.full(len(edges) + 1, np.nan)
    for at, value in row["values"]:
        place = round((float(at) - edges[0]) / step_s) + 1
        if 0 <= place < len(found):
            found[place] = float(value)
    return found


def _growth(counts: Counts, sums: Counts) -> tuple[Counts, Counts]:
    """Growth of a count and of its sum per interval, shapes (m,). The first value of a newborn series is growth."""
    n, s = np.zeros(len(counts) - 2), np.zeros(len(counts) - 2)
    known = np.flatnonzero(~np.isnan(counts))
    last_n, last_s = 0.0, 0.0
    for place in known:
        count, total = counts[place], 0.0 if np.isnan(sums[place]) else sums[place]
        if place >= 2:
            restarted = count < last_n
            n[place - 2] = count if restarted else count - last_n
            s[place - 2] = total if restarted else total - last_s
        last_n, last_s = count, total
    return n, s


def _stretch(since: Counts, counts: Counts, grown: Counts, edges: Counts) -> None:
    """Move `since` back for growth that was seen only after a gap in the samples."""
    step_s = edges[1] - edges[0]
    for interval in np.flatnonzero(grown):
        place = interval + 2
        earlier = np.flatnonzero(~np.isnan(counts[:place]))
        if len(earlier):
            since[interval] = min(since[interval], edges[0] + (earlier[-1] - 1) * step_s)
