"""The difference over time with its confidence sequence, as a figure: pairs along the axis of a replay, time live."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from app import format as fmt
from app import theme
from app.components.chart_parts import MARKS_AXIS, change_marks, label_text, local_time, time_axis
from app.components.live_chart import live_chart
from services.verdict import figures, words
from services.verdict.model import Assessment, CurvePoint, Mark, Strand
from services.verdict.rule import Source

HEIGHT_PX = 280
SETTLED = 0.2
"""Of the points, those after this share of all n set the height of the axis: the first intervals are very wide."""


def draw_difference(assessment: Assessment, strand: Strand, zone: tzinfo, *, key: str) -> None:
    live_chart(
        difference_figure(assessment, strand, zone),
        key=f"difference-{key}-{strand.source}",
        alt=f"Difference of the mean reward, B minus A, {words.SOURCES[strand.source]}, with its interval",
    )


def difference_figure(assessment: Assessment, strand: Strand, zone: tzinfo) -> dict[str, Any]:
    """The figure of two looks or more as Plotly takes it; an empty one says why. Pure."""
    minimum = assessment.test.rule.minimum_effect
    if not strand.curve:
        return {
            "data": [],
            "layout": _layout(strand, (0.0, 1.0), (-1.0, 1.0), strand.withheld or "Nothing to draw yet."),
        }
    live = strand.source is Source.LIVE
    x: list[Any] = [local_time(p.at, zone) if live else p.n for p in strand.curve]
    color, dark = theme.arm_color(1, dark=False), theme.arm_color(1, dark=True)
    texts = [
        f"{figures.middle(p.interval, '')} ({figures.bounds(p.interval, '')}), "
        f"n {fmt.count(p.n)}, {fmt.clock(p.at, zone, assessment.as_of)}"
        for p in strand.curve
    ]
    edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    traces: list[dict[str, Any]] = [
        {**edge, "y": [p.interval.high for p in strand.curve]},
        {
            **edge,
            "y": [p.interval.low for p in strand.curve],
            "fill": "tonexty",
            "fillcolor": theme.faint(color, 0.28),
            "name": f"{figures.level(strand.curve[-1].interval.level)} always-valid",
            "showlegend": True,
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "B − A",
            "x": x,
            "y": [p.interval.estimate for p in strand.curve],
            "text": texts,
            "line": {"color": color, "width": 2.5},
            "meta": {"dark": dark},
            "hovertemplate": "%{text}<extra></extra>",
        },
    ]
    ends = _ends(strand, zone)
    traces.append(_level(ends, 0.0, "no difference", "solid", 2))
    if minimum:
        traces.append(_level(ends, minimum, f"minimum effect {fmt.number(minimum, 4)}", "6px,4px", 1.5))
    marks = [m for m in ((_mark_x(mark, strand, zone), mark) for mark in assessment.marks) if m[0] is not None]
    if marks:
        changes = [(x, mark.who, mark.what, mark.why) for x, mark in marks]
        dashes = {"color": theme.TOTAL_LIGHT, "width": 1.5, "dash": "2px,3px"}  # unlike the minimum effect's
        traces.append({**change_marks(changes), "line": dashes})
    return {"data": traces, "layout": _layout(strand, ends, _heights(strand.curve, minimum))}


def _ends(strand: Strand, zone: tzinfo) -> tuple[Any, Any]:
    """Where the axis begins and ends."""
    first, last = strand.curve[0], strand.curve[-1]
    if strand.source is Source.PAIRED:
        return 0, last.n
    return local_time(first.at, zone), local_time(last.at, zone)


def _level(ends: Sequence[Any], y: float, name: str, dash: str, width: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "showlegend": bool(y),
        "x": list(ends),
        "y": [y, y],
        "line": {"color": theme.TOTAL_LIGHT, "width": width, "dash": dash},
        "meta": {"dark": theme.TOTAL_DARK},
        "hoverinfo": "skip",
    }


def _mark_x(mark: Mark, strand: Strand, zone: tzinfo) -> Any:
    """Where a change stands: at its time, or at the n that the replay had reached; None outside the curve."""
    first, last = strand.curve[0].at, strand.curve[-1].at
    if not fmt.aware(first) <= fmt.aware(mark.at) <= fmt.aware(last):
        return None
    if strand.source is Source.LIVE:
        return local_time(mark.at, zone)
    return max(p.n for p in strand.curve if fmt.aware(p.at) <= fmt.aware(mark.at))


def _heights(curve: Sequence[CurvePoint], minimum: float) -> tuple[float, float]:
    settled = [p.interval for p in curve if p.n >= SETTLED * curve[-1].n]
    values = [0.0, minimum, *(i.low for i in settled), *(i.high for i in settled)]
    pad = 0.08 * (max(values) - min(values) or 1.0)
    return min(values) - pad, max(values) + pad


def _layout(strand: Strand, x: tuple[Any, Any], y: tuple[float, float], empty: str = "") -> dict[str, Any]:
    live = strand.source is Source.LIVE and bool(strand.curve)
    layout: dict[str, Any] = {
        "height": HEIGHT_PX,
        "margin": {"l": 64, "r": 8, "t": 32, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 13},
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"},
        "showlegend": not empty,
        "uirevision": f"{strand.source}-{bool(strand.curve)}",
        "xaxis": {
            **(
                time_axis(*x)
                if live
                else {"type": "linear", "range": list(x), "showgrid": False, "nticks": 7, "tickformat": ",d"}
            ),
            "title": {"text": "time" if live else "rows sent to both arms", "standoff": 6, "font": {"size": 13}},
        },
        "yaxis": {"range": list(y), "zeroline": False, "nticks": 5, "tickformat": "~g"},
        "yaxis2": MARKS_AXIS,
    }
    if empty:
        text = "<br>".join(textwrap.wrap(label_text(empty), 46))
        layout["annotations"] = [
            {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "opacity": 0.85}
        ]
        layout["xaxis"]["visible"] = layout["yaxis"]["visible"] = False
    return layout
