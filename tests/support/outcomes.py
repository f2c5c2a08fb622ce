"""Outcomes for tests of the evidence, and the sums they should add up to, made another way than the ledger's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from services.domain import PAIRED, Outcome, OutcomeStatus
from services.evidence.store import EvidenceStore
from services.stats.sums import Sums

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def outcome(row: int, predictor: str = "a", replay: int | None = 1, **values: Any) -> Outcome:
    """One outcome of `seldon/wine`, sent `row` seconds after AT."""
    standard: dict[str, Any] = {
        "puid": f"r{replay}-0-{row}",
        "segment": "a=80,b=20",
        "prediction": 5.5,
        "truth": 6,
        "reward": 0.8,
        "latency_ms": 2.0,
        "status": OutcomeStatus.OK,
        "at": AT + timedelta(seconds=row),
    }
    return Outcome(
        namespace="seldon", deployment="wine", predictor=predictor, replay=replay, row=row, **(standard | values)
    )


def paired(row: int, arm: str, replay: int = 1, **values: Any) -> Outcome:
    """One of the two answers to a row of a paired replay."""
    puid = f"r{replay}-{values.get('pass_', 0)}-{row}-{arm}"
    return outcome(row, arm, replay, **({"puid": puid, "segment": PAIRED, "paired": True} | values))


def new_replay(store: EvidenceStore, **spec: Any) -> int:
    return store.replays.add("seldon", "wine", {"dataset": "wine-quality", **spec}, 10, "queued", "ann").id


def paired_replay(store: EvidenceStore) -> int:
    return new_replay(store, mode="paired", arms=["a", "b"])


def total(sums: Sequence[Sums]) -> Sums:
    """All of them together."""
    whole = Sums()
    for one in sums:
        whole = whole.plus(one)
    return whole


def agrees(sums: Sums, values: Sequence[float]) -> bool:
    """Whether the sums are those of the values, up to rounding."""
    x = np.array(values, dtype=float)
    largest = None if not len(x) else float(np.abs(x).max())
    return (
        sums.n == len(x)
        and np.isclose(sums.total, x.sum(), rtol=1e-12, atol=1e-9)
        and np.isclose(sums.squares, (x**2).sum(), rtol=1e-12, atol=1e-9)
        and (sums.largest is None if largest is None else np.isclose(sums.largest or np.nan, largest) or largest == 0)
    )
