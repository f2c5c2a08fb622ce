"""The charts of live traffic as Plotly figures: one colour per arm, gaps left open, a mark at every change.

Figures are plain dictionaries: a Plotly object validates every property, which costs more than everything else on the
page together. A test validates them instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import streamlit as st

from app import format as fmt
from app import theme
from app.components.chart_parts import AROUND_WORDS, MARKS_AXIS, WHOLE, change_marks, local_time, time_axis
from app.components.history import describe
from app.components.live_chart import live_chart
from services.domain import Change
from services.metrics.model import Chart, ChartData, Series

HEIGHT_PX = 300
TITLES = {
    Chart.RPS: "Requests per second",
    Chart.REWARD: "Mean reward",
    Chart.LATENCY: "Latency",
    Chart.ERRORS: "Errors per second",
}
NO_DATA = {
    Chart.RPS: "No traffic in this window.<br>Send some on the Traffic page.",
    Chart.REWARD: "No feedback in this window.<br>A replay on the Traffic page sends some.",
    Chart.LATENCY: "No traffic in this window.<br>Send some on the Traffic page.",
    Chart.ERRORS: "No traffic in this window,<br>so no errors either.",
}
COUNTED = {Chart.RPS: "requests", Chart.REWARD: "rewards", Chart.LATENCY: "requests", Chart.ERRORS: "errors"}
DASHES = {"": "solid", "p50": "solid", "p75": "5px,2px", "p90": "8px,3px", "p95": "dash", "p99": "dot"}
DASHES |= {"4xx": "dot", "5xx": "solid"}


def figure(
    data: ChartData,
    predictors: Sequence[str],
    marks: Sequence[Change] = (),
    zone: tzinfo | None = None,
    since: datetime | None = None,
    counted: int = 0,
) -> dict[str, Any]:
    """`data` as a figure. `predictors` in the deployment's order give the colours; times are drawn in `zone`.

    For the text of an empty chart: `since` is when anything was last measured, and `counted` how much there was in the
    window all the same.
    """
    lines = sorted(data.series, key=lambda s: (_position(s.predictor, predictors), s.detail))
    names = fmt.short_arms([*predictors, *(s.predictor for s in lines if s.predictor)])
    times: dict[tuple[datetime, ...], list[str]] = {}  # the lines of a chart share one grid
    traces = []
    for series in lines:
        if series.times not in times:
            times[series.times] = [local_time(t, zone) for t in series.times]
        traces.append(_line(series, times[series.times], predictors, data.unit, names))
    marks_inside = [m for m in marks if data.start <= fmt.aware(m.at) <= data.end]
    if marks_inside:
        found = [(local_time(m.at, zone), m.who, describe(m), m.reason) for m in marks_inside]
        traces.append({**change_marks(found, AROUND_WORDS if data.empty else WHOLE), "showlegend": False})
    return {"data": traces, "layout": _layout(data, zone, since, counted)}


def draw(
    data: ChartData,
    predictors: Sequence[str],
    marks: Sequence[Change] = (),
    zone: tzinfo | None = None,
    since: datetime | None = None,
    counted: int = 0,
    *,
    key: str,
) -> None:
    """The chart under its title, with how each point was measured and the query to copy."""
    st.markdown(f"**{TITLES[data.chart]}**" + (" &nbsp; :gray[ms]" if data.chart is Chart.LATENCY else ""))
    live_chart(
        figure(data, predictors, marks, zone, since, counted),
        key=f"chart-{key}-{data.chart}",
        alt=f"{TITLES[data.chart]} by predictor",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"each point: last {fmt.duration(data.window_s)}, every {fmt.duration(data.step_s)}")
        with st.popover("PromQL", type="tertiary", key=f"promql-{key}-{data.chart}"):
            st.caption(
                f"Range query from {fmt.clock(data.start, zone or UTC)} to {fmt.clock(data.end, zone or UTC)}, "
                f"step {data.step_s} s, window {data.window_s} s."
            )
            st.code(data.promql, language="promql", wrap_lines=True)


def _line(
    series: Series, times: list[str], predictors: Sequence[str], unit: str, names: dict[str, str]
) -> dict[str, Any]:
    position = _position(series.predictor, predictors)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{names.get(series.predictor or '', series.label)} {series.detail}".strip(),
        "x": times,
        "y": list(series.values),
        "connectgaps": False,
        "line": {
            "color": theme.arm_color(position, dark=False),
            "width": 2.5,
            "dash": DASHES.get(series.detail, "solid"),
        },
        "meta": {"dark": theme.arm_color(position, dark=True)},
        "hovertemplate": f"%{{y:,.4~g}} {unit}",
    }


def _layout(data: ChartData, zone: tzinfo | None, since: datetime | None, counted: int) -> dict[str, Any]:
    bottom, top = _rewards_range(data) if data.chart is Chart.REWARD else (0.0, _ceiling(data))
    layout: dict[str, Any] = {
        "height": HEIGHT_PX,
        "margin": {"l": 48, "r": 8, "t": 32, "b": 28},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 13},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"},
        "showlegend": True,
        # The same revision for the same view: Plotly then keeps zoom and hidden lines when the data moves on.
        "uirevision": f"{data.chart}-{data.step_s}",
        "xaxis": time_axis(local_time(data.start, zone), local_time(data.end, zone)),
        "yaxis": {"range": [bottom, top], "zeroline": False, "nticks": 5, "tickformat": "~s" if top > 1000 else "~g"},
        "yaxis2": MARKS_AXIS,
    }
    if data.empty:
        text = NO_DATA[data.chart]
        if counted:  # a burst so soon after the start that no scrape came before it: a rate needs two
            what = f"{fmt.count(counted)} {COUNTED[data.chart]}"
            text = (
                f"Prometheus first looked after {what},<br>so there is no rate to draw.<br>The table below counts them."
            )
        elif data.chart is not Chart.REWARD and since is not None and fmt.aware(since) < data.start:
            text = f"No data since {fmt.clock(since, zone or UTC)}"
        layout["annotations"] = [
            {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "opacity": 0.75}
        ]
        layout["yaxis"]["showticklabels"] = False
    return layout


def _ceiling(data: ChartData) -> float:
    """A round top of the axis just above the data, so that a refresh rarely moves it."""
    top = max((v for s in data.series for v in s.values if v is not None), default=0) * 1.05
    if top <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(top))
    return float(next(size * step for step in (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= top * 0.9999))


def _rewards_range(data: ChartData) -> tuple[float, float]:
    """Round bounds around the rewards, which need not begin at zero: steps so coarse that a refresh rarely moves them.

    A reward within 0 to 1, as the bounded one is, keeps its axis within that.
    """
    values = [v for s in data.series for v in s.values if v is not None]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    spread = max(high - low, 0.05 * max(abs(low), abs(high)), 1e-6)
    size = 10.0 ** math.floor(math.log10(spread))
    step = next(size * s for s in (1, 2, 5, 10) if size * s >= spread * 0.9999)
    bottom, top = math.floor(low / step - 0.1) * step, math.ceil(high / step + 0.1) * step
    if low >= 0:
        bottom = max(bottom, 0.0)
    if high <= 1 < top:
        top = 1.0
    return round(bottom, 12), round(top, 12)


def _position(predictor: str | None, predictors: Sequence[str]) -> int:
    """Arms that the deployment no longer has come after those it has."""
    return next((i for i, name in enumerate(predictors) if name == predictor), len(predictors))
