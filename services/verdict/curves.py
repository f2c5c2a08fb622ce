"""The difference over time as an SVG: for reports, which must be readable without a script and on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC
from html import escape

from services.domain.text import aware, count, number
from services.verdict.model import CurvePoint, Mark, Strand
from services.verdict.rule import Source

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 70, 12, 12, 34
SETTLED = 0.2
"""Of the points, those after this share of all n set the height of the axis: the first intervals are very wide."""
TICKS = 4
MINUTES_ALONE_S = 600
"""A shorter axis says seconds too, so that its ends do not read the same."""


def curve_svg(strand: Strand, color: str, *, minimum: float = 0.0, marks: Sequence[Mark] = ()) -> str:
    """Band, line, zero line, minimum effect and changes; an empty text where there are not two looks to draw."""
    curve = strand.curve
    if len(curve) < 2:
        return ""
    plot = _Plot(strand, minimum)
    band = " ".join(
        f"{plot.x(p):.1f},{plot.y(end):.1f}"
        for points, high in ((curve, True), (tuple(reversed(curve)), False))
        for p in points
        for end in [p.interval.high if high else p.interval.low]
    )
    line = " ".join(f"{plot.x(p):.1f},{plot.y(p.interval.estimate):.1f}" for p in curve)
    said = f"Difference B minus A after {count(curve[-1].n)}: {number(curve[-1].interval.estimate, 4)}"
    parts = [
        *(_gridline(plot, v) for v in plot.ticks),
        f'<polygon points="{band}" fill="{color}" fill-opacity=".25"/>',
        _level(plot, 0.0, "", "stroke-width:1.5"),
        _level(plot, minimum, f"minimum effect {number(minimum, 4)}", "stroke-dasharray:6 4") if minimum else "",
        *(_mark(plot, m) for m in marks if plot.first <= aware(m.at) <= plot.last),
        f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2.5"/>',
        _last(plot, color),
        *plot.ends(),
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


class _Plot:
    """Where numbers stand in the picture."""

    def __init__(self, strand: Strand, minimum: float) -> None:
        curve = strand.curve
        self.live = strand.source is Source.LIVE
        self.curve = curve
        self.first, self.last = aware(curve[0].at), aware(curve[-1].at)
        settled = [p.interval for p in curve if p.n >= SETTLED * curve[-1].n]
        values = [0.0, minimum, *(i.low for i in settled), *(i.high for i in settled)]
        low, high = min(values), max(values)
        pad = 0.08 * (high - low or 1.0)
        self.low, self.high = low - pad, high + pad

    def x(self, point: CurvePoint) -> float:
        if self.live:
            return self._across((aware(point.at) - self.first).total_seconds(), self._seconds)
        return self._across(point.n, self.curve[-1].n)

    def x_of(self, mark: Mark) -> float:
        if self.live:
            return self._across((aware(mark.at) - self.first).total_seconds(), self._seconds)
        return self._across(max(p.n for p in self.curve if aware(p.at) <= aware(mark.at)), self.curve[-1].n)

    def y(self, value: float) -> float:
        """Kept inside the picture: the first intervals reach beyond it."""
        inside = min(max(value, self.low), self.high)
        return TOP + (self.high - inside) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    @property
    def ticks(self) -> list[float]:
        """Round numbers inside the picture, 0 among them."""
        rough = (self.high - self.low) / TICKS
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * s for s in (1, 2, 5, 10) if size * s >= rough * 0.9999)
        return [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    @property
    def _seconds(self) -> float:
        return max((self.last - self.first).total_seconds(), 1e-9)

    def _across(self, part: float, whole: float) -> float:
        return LEFT + part / whole * (WIDTH - LEFT - RIGHT)

    def ends(self) -> list[str]:
        """What stands below the axis."""
        if self.live:
            form = "%-d %b %H:%M" if self._seconds >= MINUTES_ALONE_S else "%-d %b %H:%M:%S"
            first, last = (f"{at.astimezone(UTC):{form}} UTC" for at in (self.first, self.last))
        else:
            first, last = "0 rows", f"{count(self.curve[-1].n)} rows"
        y = HEIGHT - 10
        return [
            f'<text x="{LEFT}" y="{y}" class="tick">{first}</text>',
            f'<text x="{WIDTH - RIGHT}" y="{y}" class="tick" text-anchor="end">{last}</text>',
        ]


def _last(plot: _Plot, color: str) -> str:
    """The newest interval."""
    point = plot.curve[-1]
    x, i = plot.x(point), point.interval
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{plot.y(i.low):.1f}" y2="{plot.y(i.high):.1f}" stroke="{color}"/>'
        f'<circle cx="{x:.1f}" cy="{plot.y(i.estimate):.1f}" r="4" fill="{color}"/>'
    )


def _gridline(plot: _Plot, value: float) -> str:
    y = plot.y(value)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="tick" text-anchor="end">{number(value)}</text>'
    )


def _level(plot: _Plot, value: float, said: str, style: str) -> str:
    y = plot.y(value)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="level" style="{style}"/>'
        f'<text x="{WIDTH - RIGHT - 2}" y="{y - 5:.1f}" class="tick" text-anchor="end">{escape(said)}</text>'
    )


def _mark(plot: _Plot, mark: Mark) -> str:
    x = plot.x_of(mark)
    said = f"{aware(mark.at).astimezone(UTC):%-d %b %H:%M} UTC, {mark.who}: {mark.what}"
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="mark">'
        f"<title>{escape(said)}</title></line>"
    )
