"""Intervals as bars of plain HTML: a page and a printed report show them alike, at any width, without a script.

Everything is placed in percent of the bar's width. Colours come from the caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.verdict.model import Interval, MetricRow

MARGIN = 0.06
"""Of the axis, on both sides: no bar touches the edge."""
ZERO_LINE, DASHED = "2px solid rgba(128,128,128,.65)", "2px dashed #8A8180"


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of numbers with 0 in it."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> Axis:
        """The axis on which all finite `values` and 0 find a place."""
        known = [v for v in values if math.isfinite(v)]
        low, high = min([0.0, *known]), max([0.0, *known])
        if low == high:
            low, high = -1.0, 1.0
        pad = (high - low) * MARGIN
        return cls(low - pad, high + pad)

    def place(self, value: float) -> float:
        """Where `value` stands, in percent from the left, kept within 0 to 100."""
        return 100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def shared_axis(rows: Sequence[MetricRow], extra: Iterable[float] = ()) -> Axis:
    """One axis for all rows of a metric, so that replay and live traffic can be compared by eye."""
    ends = [x for row in rows if row.difference for x in (row.difference.low, row.difference.high)]
    limits = [row.limit for row in rows if row.limit is not None]
    return Axis.over([*ends, *limits, *extra])


def by_metric(table: Iterable[MetricRow]) -> list[list[MetricRow]]:
    """The rows of what can be compared together, in the order in which each first appears."""
    found: dict[str, list[MetricRow]] = {}
    for row in table:
        found.setdefault(row.measure, []).append(row)
    return list(found.values())


def interval_bar(
    interval: Interval | None, axis: Axis, color: str, *, line: float | None = None, said: str = ""
) -> str:
    """The interval on its axis: a line at 0, a bar from low to high, a dot at the estimate, a dashed line at `line`.

    `said` is for those who cannot see it; it must be escaped already.
    """
    parts = [upright(axis.place(0), ZERO_LINE)]
    if line is not None:
        parts.append(upright(axis.place(line), DASHED))
    if interval is not None:
        left, right = axis.place(interval.low), axis.place(interval.high)
        parts.append(
            f'<div style="position:absolute;top:7px;height:10px;left:{left:.2f}%;width:max(3px,{right - left:.2f}%);'
            f'border-radius:5px;background:{color};opacity:.45"></div>'
            f'<div style="position:absolute;top:6px;width:12px;height:12px;border-radius:50%;'
            f'left:calc({axis.place(interval.estimate):.2f}% - 6px);background:{color}"></div>'
        )
    return (
        f'<div role="img" aria-label="{said}" style="position:relative;height:24px;min-width:6rem;'
        f'print-color-adjust:exact;-webkit-print-color-adjust:exact">{"".join(parts)}</div>'
    )


def upright(at: float, style: str) -> str:
    """A vertical line at `at` percent; `style` as a CSS border."""
    return (
        f'<div style="position:absolute;top:0;bottom:0;left:calc({at:.2f}% - 1px);width:0;border-left:{style}"></div>'
    )
