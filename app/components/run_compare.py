"""Several runs beside each other: what was put in, what came out, where they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import theme
from app.components.run_columns import METRIC, PARAM, as_numbers, available, differs, label, value

if TYPE_CHECKING:
    from services.tracking.runs import Run

CHART_PX = 320


def draw_compare(runs: Sequence[Run], *, only_differences: bool) -> None:
    """Metrics and parameters side by side with differing rows marked, then parallel coordinates."""
    table = side_by_side(runs, only_differences=only_differences)
    if table.empty:
        st.caption("These runs have the same parameters and metrics." if only_differences else "Nothing was logged.")
    else:
        different = {row for row in table.index if table.loc[row, "differs"]}
        shown = table.drop(columns="differs")
        mark = f"background-color: {theme.faint(theme.GOLD, 0.22)}"
        st.dataframe(
            shown.style.apply(lambda row: [mark if row.name in different else ""] * len(row), axis=1),
            hide_index=True,
            column_config={"name": st.column_config.TextColumn("", pinned=True), "kind": "Kind"},
        )
        st.caption(f"Marked: rows in which the {len(runs)} runs differ.")
    chart = parallel_coordinates(runs)
    if chart is not None:
        st.plotly_chart(chart, theme=None, config={"displayModeBar": False}, key="parallel-coordinates")
        st.caption(
            "One line per run, from parameters to metrics; each axis from its smallest value (below) to its largest."
        )


def side_by_side(runs: Sequence[Run], *, only_differences: bool) -> pd.DataFrame:
    """One row per metric and parameter, one column per run, and `differs`. Pure."""
    rows: list[dict[str, Any]] = []
    names = column_names(runs)
    for key in available(runs):
        if not key.startswith((METRIC, PARAM)):
            continue
        different = differs(key, runs)
        if only_differences and not different:
            continue
        cells = {name: _text(value(key, run)) for name, run in zip(names, runs, strict=True)}
        rows.append({"name": label(key), "kind": key.partition(":")[0], **cells, "differs": different})
    return pd.DataFrame(rows)


def column_names(runs: Sequence[Run]) -> list[str]:
    """A name per run, made unique by its id where two share one. Pure."""
    names = [run.name or run.run_id[:8] for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({run.run_id[:6]})" for name, run in zip(names, runs, strict=True)
    ]


def parallel_coordinates(runs: Sequence[Run]) -> go.Figure | None:
    """An upright axis per numeric parameter and metric that differs, from its smallest value to its largest, and a line
    per run; None when fewer than two differ. Pure but for the colours.

    Drawn as plain lines: Plotly's own trace of this kind needs WebGL, has no hover and no legend.
    """
    axes = _axes(runs)
    if len(axes) < 2 or len(runs) < 2:
        return None
    figure = go.Figure()
    for place, name in enumerate(column_names(runs)):
        figure.add_scatter(
            x=list(range(len(axes))),
            y=[(cells[place] - min(cells)) / (max(cells) - min(cells)) for cells in axes.values()],
            name=name,
            mode="lines+markers",
            line={"color": theme.arm_color(place), "width": 2.5},
            marker={"size": 8},
            customdata=[f"{label(key)} {cells[place]:.6g}" for key, cells in axes.items()],
            hovertemplate="%{customdata}",
        )
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[f"<b>{label(key)}</b><br>{min(cells):.4g}" for key, cells in axes.items()],
        showgrid=True,
        range=[-0.15, len(axes) - 0.85],
    )
    figure.update_yaxes(visible=False, range=[-0.06, 1.1])
    for place, cells in enumerate(axes.values()):
        figure.add_annotation(x=place, y=1.02, text=f"{max(cells):.4g}", showarrow=False, yanchor="bottom")
    return figure.update_layout(
        template=theme.chart_template(),
        height=CHART_PX,
        hovermode="closest",
        margin={"l": 12, "r": 12, "t": 40, "b": 56},
    )


def _axes(runs: Sequence[Run]) -> dict[str, list[float]]:
    """The values of every numeric column that differs, parameters first, then metrics."""
    found: dict[str, list[float]] = {}
    keys = available(runs)
    for key in [*(k for k in keys if k.startswith(PARAM)), *(k for k in keys if k.startswith(METRIC))]:
        cells = [value(key, run) for run in runs]
        numbers = as_numbers(cells) if key.startswith(PARAM) else cells
        if differs(key, runs) and all(isinstance(n, float | int) and math.isfinite(n) for n in numbers):
            found[key] = [float(n) for n in numbers]
    return found


def _text(cell: Any) -> str:
    if cell is None:
        return "—"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
