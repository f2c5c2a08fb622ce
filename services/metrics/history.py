"""What every counter of a deployment grew by, interval by interval: the raw material of live evidence.

Rates extrapolate and lose the edges; statistics need whole counts that belong together. So the counters are read as
they are at both ends of the time and on a grid between them, and their growth is taken per series (one replica) before
anything is added up: a fall means that the replica began again at 0. Feedback count and reward sum of a series come
from the same scrape, so a restart is decided from the count and applied to both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from services.metrics import queries, split_queries
from services.metrics.door import PrometheusDoor
from services.metrics.growth import (
    Counts,
    choose_grid_s,
    grid,
    growth,
    identity,
    read_series,
    stretch,
    target,
    unknown_at,
)
from services.metrics.queries import Selection

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
    step_s = choose_grid_s(start, end, scrape_s)
    edges = grid(start.timestamp(), max(start, end).timestamp(), step_s)
    asked = {
        _COUNT: queries.feedback_counter(selection),
        _REWARD: queries.reward_counter(selection),
        _ROUTED: split_queries.router_counter(selection),
    }
    rows = {name: read_series(door, promql, edges, step_s) for name, promql in asked.items()}
    late = [labels for name in (_COUNT, _ROUTED) for labels, counts in rows[name] if np.isnan(counts[0])]
    unknown = unknown_at(door, late, start, selection.labels)
    since = edges[:-1].copy()
    feedback: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    rewards: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    routed: dict[str, Counts] = defaultdict(lambda: np.zeros(len(edges) - 1))
    sums = {identity(labels): totals for labels, totals in rows[_REWARD]}
    for labels, counts in rows[_COUNT]:
        totals = sums.get(identity(labels), np.zeros_like(counts))
        arm = labels.get("predictor_name", "")
        grown_n, grown_s = growth(counts, totals, newborn=target(labels) not in unknown)
        feedback[arm] += grown_n
        rewards[arm] += grown_s
        stretch(since, counts, grown_n, edges)
    for labels, counts in rows[_ROUTED]:
        grown, _ = growth(counts, np.zeros_like(counts), newborn=target(labels) not in unknown)
        routed[labels[queries.GATEWAY_CLUSTER].rpartition("|")[2]] += grown
        stretch(since, counts, grown, edges)
    return CounterHistory(edges, since, dict(feedback), dict(rewards), dict(routed), step_s, "\n".join(asked.values()))
