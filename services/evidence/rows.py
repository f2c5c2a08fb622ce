"""Outcomes as rows of their table, and back."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from services.domain import Outcome, OutcomeStatus
from services.evidence.door import plain

_KEPT_ASIDE = {"id", "pass", "status", "arm", "block", "pair"}


def row_of(outcome: Outcome) -> dict[str, Any]:
    """The columns of an outcome; which blocks it is in is for `recording` to say."""
    reward = outcome.reward
    return {
        "puid": outcome.puid,
        "namespace": outcome.namespace,
        "deployment": outcome.deployment,
        "predictor": outcome.predictor,
        "segment": outcome.segment,
        "replay": outcome.replay,
        "row": outcome.row,
        "pass": outcome.pass_,
        "arm": outcome.predictor if outcome.paired else "",
        "digest": outcome.digest,
        "routed": outcome.routed and not outcome.paired,
        "prediction": plain(outcome.prediction),
        "truth": plain(outcome.truth),
        "reward": None if reward is None or not math.isfinite(reward) else float(reward),
        "latency_ms": float(outcome.latency_ms),
        "status": outcome.status.value,
        "error": outcome.error,
        "at": outcome.at,
    }


def outcome_of(row: sa.RowMapping) -> Outcome:
    """The row as an outcome."""
    values = {key: row[key] for key in row if key not in _KEPT_ASIDE}
    return Outcome(**values, pass_=row["pass"], status=OutcomeStatus(row["status"]), paired=bool(row["arm"]))
