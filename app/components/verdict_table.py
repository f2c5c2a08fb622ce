"""One table of all metrics: both arms, the difference and its interval, and n beside every number.

The rows of one metric share one axis, so that replay and live traffic can be compared by eye. A bar has the colour of
the better arm only if its interval excludes 0.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from app import format as fmt
from app import theme
from app.components.arms import dot
from app.components.verdict_style import STYLE
from services.verdict import figures, words
from services.verdict.bars import Axis, by_metric, interval_bar, shared_axis
from services.verdict.model import Assessment, Cell, MetricRow

COLUMNS = '<col style="width:22%"><col style="width:11%"><col style="width:11%"><col style="width:24%"><col>'


def draw_metric_table(assessment: Assessment) -> None:
    if not assessment.table:
        st.caption("Nothing has been measured in this test yet.")
        return
    colors = {"a": theme.arm_color(0), "b": theme.arm_color(1), "": theme.total_color()}
    st.html(STYLE + table_html(assessment, colors))
    st.caption(
        "Solid line: no difference. Dashed line: a guardrail's limit, or the minimum effect. A bar has an arm's colour "
        f"only if its interval excludes 0. An interval holds at every look together{level_note(assessment)}. Rows of "
        "one metric share an axis. Points are percentage points."
    )


def level_note(assessment: Assessment) -> str:
    """Which metric has which level, and why they differ. Pure."""
    said = words.levels(assessment.table)
    if not said:
        return ""
    rule = assessment.test.rule
    half = ", and so do the two sources that may decide" if rule.alpha_each < rule.alpha else ""
    return f": {said} (failures and slowness are guardrails, which share alpha {rule.alpha:g}{half})"


def table_html(assessment: Assessment, colors: dict[str, str]) -> str:
    """The whole table; `colors` by better arm (`a`, `b`, or empty). Pure but for the dots' theme."""
    names = words.arm_names(assessment.test.rule)
    head = (
        f"<tr><th>Metric</th><th>{dot(0, 9)}{escape(names.a)}</th><th>{dot(1, 9)}{escape(names.b)}</th>"
        "<th>B − A, always-valid interval</th><th></th></tr>"
    )
    body = []
    for rows in by_metric(assessment.table):
        minimum = assessment.test.rule.minimum_effect if rows[0].primary else 0.0
        axis = shared_axis(rows, [minimum])
        for place, row in enumerate(rows):
            named = place == 0 or row.key != rows[place - 1].key
            body.append(_row(row, axis, names, colors, minimum, first=place == 0, named=named))
    return f'<table class="dv-table dv-metrics"><colgroup>{COLUMNS}</colgroup>{head}{"".join(body)}</table>'


def _row(
    row: MetricRow,
    axis: Axis,
    names: words.ArmNames,
    colors: dict[str, str],
    minimum: float,
    *,
    first: bool,
    named: bool,
) -> str:
    """A line of the table. `first` of those on one axis has a rule above it; `named` says what is measured."""
    title = ""
    if named:
        kind = ' class="dv-primary"' if row.primary else ""
        better = "higher" if row.higher_is_better else "lower"
        title = f"<span{kind}>{escape(row.label)}</span><small>{better} is better</small>"
    said = escape(words.finding(row, names))
    of_a, of_b = figures.measured(row)
    if row.difference is None:
        change, bar = f"<small>{said}</small>", ""
    else:
        change = (
            f"<b>{figures.middle(row.difference, row.unit)}</b>"
            f"<small>{figures.bounds(row.difference, row.unit)}</small><small>{said}</small>"
        )
        line = row.limit if row.limit is not None else minimum or None
        bar = interval_bar(row.difference, axis, colors[row.better], line=line, said=said)
    return (
        f'<tr class="{"dv-first" if first else ""}"><td>{title}<small>{_source(row)}</small></td>'
        f"{_cell(of_a, row.a, names.a)}{_cell(of_b, row.b, names.b)}"
        f'<td class="dv-number">{change}</td><td>{bar}</td></tr>'
    )


def _source(row: MetricRow) -> str:
    return f"<b>{words.SOURCES[row.source]}</b>{', decides' if row.decides else ''}"


def _cell(value: str, cell: Cell, arm: str) -> str:
    """`arm`: the column's title, which a phone shows in the cell, since it stacks the columns."""
    said = f"{value}<small>n {fmt.count(cell.n)}</small>"
    return f'<td class="dv-number" data-arm="{escape(arm)}">{said}</td>'
