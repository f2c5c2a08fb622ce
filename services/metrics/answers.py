"""How the requests of live traffic were answered, interval by interval: how many, how many failed, how many were slow.

Counted where the split is divided (Decant's gateway, Istio's ingress gateway), so that rows pinned to an arm are not
among them. Where nobody counts there, the arms' own servers stand in, which cannot tell the two apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from services.metrics import queries, split_queries
from services.metrics.door import PrometheusDoor
from services.metrics.growth import (
    Counts,
    Labels,
    choose_grid_s,
    grid,
    growth,
    read_series,
    stretch,
    target,
    unknown_at,
)
from services.metrics.queries import Router, Selection

EVERYTHING = "+Inf"
P95 = 0.95
SAME = 1.001
"""Edges in seconds and in milliseconds are compared as floating-point numbers."""


@dataclass(frozen=True)
class AnswerHistory:
    """Growth per interval and arm, on the edges of the CounterHistory of the same time.

    Attributes:
        edges, since: as there.
        answered: by predictor, requests that were answered, well or not.
        failed: those answered with a status of 5xx.
        timed, slow: requests whose time was taken, and those that took longer than `edge_ms`.
        edge_ms: the bucket's edge nearest to the one that was asked for, in ms; None if no times are kept.
        p95_ms: by predictor, over the whole time.
        divided: whether only requests through the split are counted.
        promql: the queries behind it, one a line.
    """

    edges: Counts
    since: Counts
    answered: Mapping[str, Counts]
    failed: Mapping[str, Counts]
    timed: Mapping[str, Counts]
    slow: Mapping[str, Counts]
    edge_ms: float | None
    p95_ms: Mapping[str, float]
    divided: bool
    promql: str

    def of(self, table: Mapping[str, Counts], predictor: str) -> Counts:
        """The growth of one arm, zeros if nothing was ever counted there."""
        return table.get(predictor, np.zeros(len(self.edges) - 1))


def read_answers(
    door: PrometheusDoor, selection: Selection, start: datetime, end: datetime, scrape_s: int, slow_ms: float
) -> AnswerHistory:
    """Read a deployment's answers from `start` to `end`; `slow_ms` is the limit. Raises what the door raises."""
    step_s = choose_grid_s(start, end, scrape_s)
    edges = grid(start.timestamp(), max(start, end).timestamp(), step_s)
    counted = split_queries.split_answers(selection)
    found = read_series(door, counted, edges, step_s)
    chosen = _nearest(door, selection, slow_ms, end)
    timed = split_queries.split_times(selection, *([] if chosen is None else [_either(chosen[0])]))
    times = read_series(door, timed, edges, step_s) if chosen is not None else []
    unknown = unknown_at(
        door, [labels for labels, values in (*found, *times) if np.isnan(values[0])], start, selection.labels
    )
    since = edges[:-1].copy()
    tables: dict[str, dict[str, Counts]] = {
        name: defaultdict(lambda: np.zeros(len(edges) - 1)) for name in ("answered", "failed", "timed", "slow")
    }
    for labels, values in found:
        grown, _ = growth(values, np.zeros_like(values), newborn=target(labels) not in unknown)
        stretch(since, values, grown, edges)
        tables["answered"][_arm(labels)] += grown
        if _class(labels) == "5":
            tables["failed"][_arm(labels)] += grown
    for labels, values in times:
        grown, _ = growth(values, np.zeros_like(values), newborn=target(labels) not in unknown)
        every = labels["le"] == EVERYTHING
        if every:
            stretch(since, values, grown, edges)
            tables["timed"][_arm(labels)] += grown
        tables["slow"][_arm(labels)] += grown if every else -grown
    span_s = max(math.ceil((end - start).total_seconds()), queries.MIN_SCRAPES * scrape_s)
    quantile = split_queries.split_quantile_ms(selection, span_s, P95)
    p95 = _values(door.instant(quantile, end)) if chosen is not None else {}
    return AnswerHistory(
        edges,
        since,
        tables["answered"],
        tables["failed"],
        tables["timed"],
        tables["slow"],
        None if chosen is None else chosen[1],
        p95,
        selection.labels.router is not Router.NONE,
        f"{counted}\n{timed}",
    )


def _nearest(door: PrometheusDoor, selection: Selection, slow_ms: float, end: datetime) -> tuple[str, float] | None:
    """The text of the bucket edge nearest to `slow_ms`, by their ratio, and its value in ms; None without buckets."""
    scale = split_queries.split_time_unit_ms(selection)
    texts = {row["metric"].get("le", "") for row in door.instant(split_queries.split_edges(selection), end)}
    edges = {text: float(text) * scale for text in texts - {EVERYTHING, ""} if float(text) > 0}
    if not edges:
        return None
    text = min(edges, key=lambda text: (abs(math.log(edges[text] / slow_ms)), edges[text]))
    near = edges[text]
    return text, slow_ms if 1 / SAME < near / slow_ms < SAME else near


def _either(edge: str) -> str:
    """A matcher for a bucket and for all of them."""
    return f"le=~{queries.quote('|'.join(queries.quote_regex(text) for text in (edge, EVERYTHING)))}"


def _arm(labels: Labels) -> str:
    return labels.get("predictor_name") or labels.get(queries.GATEWAY_CLUSTER, "").rpartition("|")[2]


def _class(labels: Labels) -> str:
    named = (labels.get(name) for name in (queries.GATEWAY_CLASS, "response_code", "code"))
    return next((text[:1] for text in named if text), "")


def _values(rows: Iterable[Mapping[str, object]]) -> dict[str, float]:
    """Finite values of an instant query, by arm."""
    found = {}
    for row in rows:
        labels, value = row["metric"], row["value"]
        assert isinstance(labels, dict) and isinstance(value, list | tuple)
        if math.isfinite(float(value[1])):
            found[_arm(labels)] = float(value[1])
    return found
