"""Outcomes for tests of the evidence, and the sums they should add up to, made another way than the ledger's."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from services.domain import LATENCY_EDGES_MS, PAIRED, Outcome, OutcomeStatus
from services.errors import InvalidPayload
from services.evidence.store import EvidenceStore
from services.stats.sums import Sums

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
FAILED: dict[str, Any] = {
    "status": OutcomeStatus.PREDICTION_FAILED,
    "reward": None,
    "prediction": None,
    "error": "no",
}


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
    return outcome(row, arm, replay, **({"puid": puid, "segment": PAIRED, "paired": True, "routed": False} | values))


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


def check_sums(store: EvidenceStore, predictor: str) -> None:
    """The sums of one arm are those of its rows, computed from the rows that the store gives back."""
    rows = [o for o in store.outcomes("seldon", "wine", limit=10**6) if o.predictor == predictor]
    found = [b for b in store.ledger.blocks("seldon", "wine") if b.predictor == predictor]
    answered = [o for o in rows if o.status is not OutcomeStatus.PREDICTION_FAILED]
    numbers = [o for o in answered if isinstance(o.truth, int | float) and isinstance(o.prediction, int | float)]
    assert sum(b.sent for b in found) == len(rows)
    assert sum(b.failed for b in found) == len(rows) - len(answered)
    assert sum(b.feedback_failed for b in found) == sum(o.status is OutcomeStatus.FEEDBACK_FAILED for o in rows)
    expected: dict[str, list[float]] = {
        "reward": [o.reward for o in answered if o.reward is not None],
        "squared_error": [(o.truth - o.prediction) ** 2 for o in numbers],  # type: ignore[operator]
        "absolute_error": [abs(o.truth - o.prediction) for o in numbers],  # type: ignore[operator]
        "hits": [float(o.truth == o.prediction) for o in answered if o.truth is not None],
        "latency_ms": [o.latency_ms for o in answered],
    }
    for name, values in expected.items():
        assert agrees(total([getattr(b, name) for b in found]), values), name
    edges = [-np.inf, *LATENCY_EDGES_MS, np.inf]
    counted = [sum(low < ms <= high for ms in expected["latency_ms"]) for low, high in pairwise(edges)]
    assert [sum(block.latency_counts[i] for block in found) for i in range(len(counted))] == counted


def check_pairs(store: EvidenceStore) -> int:
    """The sums of pairs are those of the rows that both arms answered; returns how many pairs there are."""
    rows = [o for o in store.outcomes("seldon", "wine", limit=10**6) if o.paired]
    halves = {(o.predictor, o.pass_, o.row): o for o in rows if o.status is not OutcomeStatus.PREDICTION_FAILED}
    pairs = [(o, halves["b", p, r]) for (arm, p, r), o in halves.items() if arm == "a" and ("b", p, r) in halves]
    found = store.ledger.pair_blocks("seldon", "wine")
    rewards = [b.reward - a.reward for a, b in pairs if a.reward is not None and b.reward is not None]
    numbers = [pair for pair in pairs if all(isinstance(v, int | float) for o in pair for v in (o.truth, o.prediction))]
    squared = [(b.truth - b.prediction) ** 2 - (a.truth - a.prediction) ** 2 for a, b in numbers]  # type: ignore[operator]
    hits = [(b.truth == b.prediction) - (a.truth == a.prediction) for a, b in pairs if None not in (a.truth, b.truth)]
    expected = {"reward": rewards, "squared_error": squared, "hits": hits}
    expected["latency_ms"] = [b.latency_ms - a.latency_ms for a, b in pairs]
    for name, values in expected.items():
        assert agrees(total([getattr(block, name) for block in found]), values), name
    assert sum(block.n for block in found) == len(pairs)
    assert sum(block.agree for block in found) == sum(a.prediction == b.prediction for a, b in pairs)
    return len(pairs)


def some_outcomes(rows: range, seed: int, make: Callable[..., Outcome] = outcome, arms: str = "ab") -> list[Outcome]:
    """Outcomes of every kind."""
    chance = random.Random(seed)
    kinds: list[dict[str, object]] = [
        {},
        {"status": OutcomeStatus.FEEDBACK_FAILED, "error": "no"},
        FAILED,
        {"truth": None, "reward": None},
        {"prediction": 6},
        {"prediction": "white", "truth": "red", "reward": 0.0},
    ]
    return [
        make(row, arm, latency_ms=chance.choice([1, 1.5, 7, 4000, 9000]), **(
            {"reward": chance.random(), "prediction": chance.gauss(5, 1)} | chance.choice(kinds)
        ))
        for row in rows
        for arm in (arms if make is paired else chance.choice(arms))
    ]  # fmt: skip


class NearTruth:
    """The formula of all replays in tests: 1 - |y - f|, never below 0. Single requests have none."""

    def __init__(self, counted: bool = True) -> None:
        self._counted = counted

    def reward(self, truth: object, prediction: object, spec: Mapping[str, Any] | None) -> float | None:
        if spec is None:
            return None
        if not isinstance(truth, int | float) or not isinstance(prediction, int | float):
            raise InvalidPayload("truth", f"“{truth}” is not a number")
        return max(0.0, 1 - abs(truth - prediction))

    def known(self, spec: Mapping[str, Any] | None) -> bool:
        return spec is not None

    def counted(self, spec: Mapping[str, Any] | None) -> bool:
        return self._counted
