"""The evidence behind a decision as data: what goes into decision.json, the tags and the history. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from services.domain.text import count, percent
from services.verdict import figures, words
from services.verdict.model import Assessment, MetricRow, Strand

FORMAT = 1
"""Of decision.json: goes up when a key changes its meaning; new keys do not change it."""

_LONG = {"curve", "disagreements", "slices", "marks"}
"""Parts of an assessment that the report shows and the data leaves out."""


def plain(value: object) -> Any:
    """What JSON can hold: dataclasses by field, enums by value, times in ISO 8601, odd floats as text."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name not in _LONG}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)


def evidence(assessment: Assessment) -> dict[str, Any]:
    """The assessment without its curves and rows: test and rule, verdict, checks, strands, table."""
    return {"format": FORMAT, **plain(assessment), "decidable": assessment.decidable}


def primary(assessment: Assessment) -> tuple[Strand | None, MetricRow | None]:
    """The strand that decides, else what else there is, and its line of the table."""
    strand = assessment.deciding or assessment.paired or assessment.live
    if strand is None:
        return None, None
    rows = [row for row in assessment.table if row.primary and row.source is strand.source]
    return strand, rows[0] if rows else None


def summary(assessment: Assessment) -> str:
    """The evidence in one sentence, short enough for a tag and a line of the history."""
    strand, row = primary(assessment)
    called = assessment.call.value
    if strand is None:
        return f"{called}; no evidence yet"
    label = row.label if row is not None else "Reward"
    n = f"{count(strand.n)} {words.UNITS[strand.source]} of {words.SOURCES[strand.source]}"
    if strand.interval is None:
        return f"{called}; {label} withheld, {n}"
    unit, interval = row.unit if row is not None else "", strand.interval
    moved = figures.middle(interval, unit)
    return f"{called}; {label} B − A {moved} ({percent(interval.level)}: {figures.bounds(interval, unit)}), {n}"
