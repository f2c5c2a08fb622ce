"""Where B loses: parts of the rows in which it stands out, after shrinkage and control of false discoveries."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app import theme
from app.components.verdict_style import STYLE
from app.guard import escape as plain
from services.verdict import figures, words
from services.verdict.bars import DASHED, ZERO_LINE, Axis, upright
from services.verdict.model import Assessment, Side, Slice, Strand


def draw_slices(assessment: Assessment, strand: Strand) -> None:
    """The losses, openly; where B gains is folded away. Where nothing is lost, that, and what was looked at."""
    slices, note = assessment.slices, plain(assessment.slices_note)
    if not slices:
        st.caption(note or "Not looked at yet: slices come with the interval of the paired replay.")
        return
    overall = strand.interval.estimate if strand.interval else 0.0
    colors = (theme.arm_color(0), theme.arm_color(1))
    losses, gains, apart = split_slices(slices)
    st.markdown(f"**{plain(words.where_b_loses(slices, strand.interval))}**")
    if losses:
        st.html(STYLE + slices_html(losses, overall, colors))
    st.caption(note)
    if gains:
        title = f"Where B gains ({len(gains)})"
        with st.expander(title, icon=":material/trending_up:", key=f"gains-{assessment.test.id}"):
            st.html(STYLE + slices_html(gains, overall, colors))
    if apart:
        title = f"Unlike the rest, neither loss nor gain shown ({len(apart)})"
        with st.expander(title, icon=":material/call_split:", key=f"apart-{assessment.test.id}"):
            st.html(STYLE + slices_html(apart, overall, colors))
    st.caption(
        f"Dashed line: all rows, {figures.change(overall, '')}, towards which the difference of each slice is shrunk "
        "by as much as chance explains. q: the share of false discoveries among losses, or gains, named as firmly."
    )


def split_slices(slices: Sequence[Slice]) -> tuple[list[Slice], list[Slice], list[Slice]]:
    """(losses, gains, what only stands out from the rest): the strongest of each first. Pure."""
    ordered = sorted(slices, key=lambda s: s.shrunk)
    return (
        [s for s in ordered if s.side is Side.LOSS],
        [s for s in reversed(ordered) if s.side is Side.GAIN],
        [s for s in ordered if s.side is Side.NEITHER],
    )


def slices_html(slices: Sequence[Slice], overall: float, colors: tuple[str, str]) -> str:
    """A bar per slice, as they come: the mean difference after shrinkage; losses in A's colour, gains in B's. Pure."""
    axis = Axis.over([overall, *(s.shrunk for s in slices)])
    zero, everywhere = axis.place(0), axis.place(overall)
    rows = []
    moved = figures.changes([x for one in slices for x in (one.shrunk, one.difference)])
    for place, one in enumerate(slices):
        end = axis.place(one.shrunk)
        color = colors[1] if one.shrunk > 0 else colors[0]
        bar = (
            f'<div style="position:relative;height:24px"><div style="position:absolute;top:5px;height:14px;'
            f'left:{min(zero, end):.2f}%;width:max(2px,{abs(end - zero):.2f}%);background:{color};border-radius:3px">'
            f"</div>{upright(zero, ZERO_LINE)}{upright(everywhere, DASHED)}</div>"
        )
        seen = words.slice_seen(one)
        rows.append(
            f'<tr class="dv-first"><td>{escape(one.label)}<small>{seen}</small></td>'
            f'<td class="dv-number">{moved[2 * place]}<small>measured {moved[2 * place + 1]}'
            f"</small></td><td>{bar}</td></tr>"
        )
    head = "<tr><th>Rows with</th><th>B − A</th><th></th></tr>"
    columns = '<col style="width:38%"><col style="width:26%"><col>'
    return f'<table class="dv-table"><colgroup>{columns}</colgroup>{head}{"".join(rows)}</table>'
