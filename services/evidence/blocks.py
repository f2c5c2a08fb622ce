"""Blocks: what the ledger knows of some hundred outcomes in a few sums, so that nobody has to read a million rows.

A block holds up to BLOCK_ROWS outcomes of one predictor in one segment of one replay; a pair block as many pairs of a
paired replay. They are written in the transaction that writes the rows (`recording`), so the two never differ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.domain import LATENCY_EDGES_MS, PAIRED, OutcomeStatus
from services.domain.values import hit, real, same, single
from services.evidence.schema import MEASURES
from services.stats.sums import Sums

BLOCK_ROWS = 100
"""Fine enough for a curve over time, coarse enough that a million rows are ten thousand blocks."""

NOISE = 1e-9
"""Relative difference below which two predictions are one."""

Measures = tuple[float | None, ...]
"""One value per name in MEASURES, None where a row has none."""

Row = Mapping[str, Any]
"""A row of the table `outcomes`, by the names of its columns."""


@dataclass(frozen=True, slots=True)
class Block:
    """The sums of consecutive outcomes of one predictor. `replay` is None for single requests.

    `sent` counts all, `failed` those without an answer; latencies are of the answered ones, in ms. `latency_counts`
    says how many took no longer than each of LATENCY_EDGES_MS (and longer than the one before), then how many longer.
    Errors exist where truth and prediction are single numbers; `hits` are 0 or 1 where both are single values.
    """

    replay: int | None
    segment: str
    predictor: str
    first_at: datetime
    last_at: datetime
    sent: int
    failed: int
    feedback_failed: int
    reward: Sums
    squared_error: Sums
    absolute_error: Sums
    hits: Sums
    latency_ms: Sums
    latency_counts: tuple[int, ...]

    @property
    def paired(self) -> bool:
        """Whether these rows went to both arms."""
        return self.segment == PAIRED

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Block:
        """The block of at least one row, all of the same replay, segment and predictor."""
        first, measured = rows[0], [measures(row) for row in rows]
        counts = [0] * (len(LATENCY_EDGES_MS) + 1)
        for *_, latency_ms in measured:
            if latency_ms is not None:
                counts[bisect_left(LATENCY_EDGES_MS, latency_ms)] += 1
        return cls(
            first["replay"],
            first["segment"],
            first["predictor"],
            min(row["at"] for row in rows),
            max(row["at"] for row in rows),
            len(rows),
            sum(row["status"] == OutcomeStatus.PREDICTION_FAILED.value for row in rows),
            sum(row["status"] == OutcomeStatus.FEEDBACK_FAILED.value for row in rows),
            *sums_of(measured),
            tuple(counts),
        )

    def plus(self, other: Block) -> Block:
        """Both together; other belongs to the same replay, segment and predictor."""
        return replace(
            self,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
            sent=self.sent + other.sent,
            failed=self.failed + other.failed,
            feedback_failed=self.feedback_failed + other.feedback_failed,
            latency_counts=tuple(x + y for x, y in zip(self.latency_counts, other.latency_counts, strict=True)),
            **{name: getattr(self, name).plus(getattr(other, name)) for name in MEASURES},
        )


@dataclass(frozen=True, slots=True)
class PairBlock:
    """The sums of the differences b - a over rows that both arms of a paired replay answered.

    `n` counts the pairs, `agree` those with equal predictions, `widest` is the largest gap between two predictions (1
    for two different labels). A sum's own n is smaller where a reward or a truth is missing.
    """

    replay: int
    a: str
    b: str
    first_at: datetime
    last_at: datetime
    n: int
    agree: int
    widest: float
    reward: Sums
    squared_error: Sums
    absolute_error: Sums
    hits: Sums
    latency_ms: Sums

    @classmethod
    def of(cls, pairs: Sequence[tuple[Row, Row]]) -> PairBlock:
        """The block of at least one pair (champion's row, challenger's row) of the same replay."""
        (first_a, first_b), times = pairs[0], [pair_at(pair) for pair in pairs]
        return cls(
            first_a["replay"],
            first_a["predictor"],
            first_b["predictor"],
            min(times),
            max(times),
            len(pairs),
            sum(gap(a["prediction"], b["prediction"]) == 0 for a, b in pairs),
            max(gap(a["prediction"], b["prediction"]) for a, b in pairs),
            *sums_of([differences(pair) for pair in pairs]),
        )

    def plus(self, other: PairBlock) -> PairBlock:
        """Both together; other belongs to the same replay."""
        return replace(
            self,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
            n=self.n + other.n,
            agree=self.agree + other.agree,
            widest=max(self.widest, other.widest),
            **{name: getattr(self, name).plus(getattr(other, name)) for name in MEASURES},
        )


def measures(row: Row) -> Measures:
    """What one outcome adds to the sums, in the order of MEASURES."""
    if row["status"] == OutcomeStatus.PREDICTION_FAILED.value:
        return (None, None, None, None, None)
    truth, prediction = real(row["truth"]), real(row["prediction"])
    error = None if truth is None or prediction is None else abs(truth - prediction)
    right = hit(row["truth"], row["prediction"])
    return (
        row["reward"],
        None if error is None else error * error,
        error,
        None if right is None else float(right),
        row["latency_ms"],
    )


def differences(pair: tuple[Row, Row]) -> Measures:
    """b - a of every measure that both have."""
    both = zip(measures(pair[0]), measures(pair[1]), strict=True)
    return tuple(None if x is None or y is None else _apart(x, y) for x, y in both)


def gap(one: object, other: object) -> float:
    """How far two predictions are apart: |b - a| of numbers, else 1 if they differ."""
    x, y = real(one), real(other)
    if x is not None and y is not None:
        return abs(_apart(x, y))
    return 0.0 if same(single(one), single(other)) else 1.0


def _apart(x: float, y: float) -> float:
    """y - x, and exactly 0 where they differ in the last bits only: predictions merged into one call may."""
    return 0.0 if abs(y - x) <= NOISE * max(1.0, abs(x), abs(y)) else y - x


def same_but_for_noise(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where values differ in the last bits only; arrays of shape (n,)."""
    return np.abs(y - x) <= NOISE * np.maximum(1.0, np.maximum(np.abs(x), np.abs(y)))


def pair_at(pair: tuple[Row, Row]) -> datetime:
    """When a pair was complete."""
    at: datetime = max(pair[0]["at"], pair[1]["at"])
    return at


FiveSums = tuple[Sums, Sums, Sums, Sums, Sums]


def sums_of(measured: Iterable[Measures]) -> FiveSums:
    """One Sums per measure."""
    one, two, three, four, five = (
        Sums.of([value for value in column if value is not None]) for column in zip(*measured, strict=True)
    )
    return one, two, three, four, five


def to_columns(block: Block | PairBlock) -> dict[str, Any]:
    """A block as values of its table's columns."""
    found: dict[str, Any] = {}
    for field in fields(block):
        value = getattr(block, field.name)
        if isinstance(value, Sums):
            kept = (value.n, value.total, value.squares, value.largest)
            found |= zip((f"{field.name}_{part}" for part in ("n", "total", "squares", "largest")), kept, strict=True)
        else:
            found[field.name] = list(value) if field.name == "latency_counts" else value
    return found
