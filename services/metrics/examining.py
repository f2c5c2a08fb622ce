"""Asks Prometheus what it holds of one deployment's metrics, for the faults that `symptoms` recognises."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.metrics import queries
from services.metrics.door import PrometheusDoor
from services.metrics.queries import FEEDBACK, FORWARDED, PREDICTIONS, REQUESTS, REWARD, Selection, quote, quote_regex
from services.metrics.symptoms import Found

LOOK_BACK_S = 300
"""Long enough for several scrapes at any usual interval, short enough to read sample by sample."""

RESETS_BACK_S = 3600


def examine(door: PrometheusDoor, selection: Selection, predictors: Sequence[str]) -> Found:
    """What there is, in a handful of instant queries. Raises what the door raises."""
    now = datetime.now(UTC)
    found = Found(
        requests=[
            (row["metric"], [float(at) for at, _ in row["values"]])
            for row in door.instant(f"{queries.request_counter(selection)}[{LOOK_BACK_S}s]", now)
        ],
        down=[row["metric"] for row in door.instant(_down(selection, predictors), now)],
    )
    if not found.requests:
        anywhere = replace(selection, namespace=None)
        watched = door.instant(f"count(up{selection.labels.braces()})", now)
        return replace(
            found,
            elsewhere=[row["metric"] for row in door.instant(queries.request_counter(anywhere), now)],
            others=round(float(watched[0]["value"][1])) if watched else 0,
        )
    return replace(
        found,
        fed=_by_predictor(door, _fed(selection), now),
        counted=_by_predictor(door, f"sum by (predictor_name) ({queries.feedback_counter(selection)})", now),
        reward_resets=_by_predictor(door, _falls(selection), now),
        buckets=_buckets(door, selection, now),
    )


def _fed(selection: Selection) -> str:
    """Feedback requests by predictor, without those that one of Decant's model servers passed on to another: the
    other counts them again."""
    answered = f"sum by (predictor_name) ({queries.fed_counter(selection)})"
    passed_on = f"sum by (predictor_name) ({FORWARDED}{selection.selector()})"
    return f"({answered} - {passed_on}) or {answered}"


def _down(selection: Selection, predictors: Sequence[str]) -> str:
    """Targets of the deployment that cannot be scraped: by Seldon's labels, or by the names of its pods."""
    deployment = selection.deployment or ""
    names = "|".join(quote_regex(f"{deployment}-{name}") for name in predictors)
    pods = replace(selection, deployment=None).selector(f"pod=~{quote(f'({names})-[0-9]+-.+')}")
    return f"up{selection.selector()} == 0 or up{pods} == 0"


def _falls(selection: Selection) -> str:
    """How often a sum of rewards fell and its count did not, by predictor."""
    where, back = selection.selector(), f"[{RESETS_BACK_S}s]"
    return f"sum by (predictor_name) (resets({REWARD}{where}{back}) - resets({FEEDBACK}{where}{back}))"


def _buckets(door: PrometheusDoor, selection: Selection, at: datetime) -> dict[str, dict[float, float]]:
    query = f"sum by (predictor_name, le) ({REQUESTS}_bucket{selection.selector(PREDICTIONS)})"
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for row in door.instant(query, at):
        edge = float(row["metric"].get("le", "nan"))
        if not math.isnan(edge):
            found[row["metric"].get("predictor_name", "")][edge] = float(row["value"][1])
    return dict(found)


def _by_predictor(door: PrometheusDoor, promql: str, at: datetime) -> dict[str, float]:
    return {row["metric"].get("predictor_name", ""): float(row["value"][1]) for row in door.instant(promql, at)}
