"""Where B loses: parts of the rows in which it stands out, after shrinkage and control of false discoveries."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app import format as fmt
from app import theme
from app.components.verdict_style import STYLE
from app.guard import escape as plain
from services.verdict import words
from services.verdict.bars import Axis
from services.verdict.model import Slice


def draw_slices(slices: Sequence[Slice], note: str) -> None:
    """`note` says what was looked at, and whether nothing stands out; empty when nothing was looked at."""
    if not slices:
        st.caption(plain(note) or "Not looked at yet: slices come with the interval of the paired replay.")
        return
    st.markdown(slice_sentence(slices))
    st.html(STYLE + slices_html(slices, (theme.arm_color(0), theme.arm_color(1))))
    st.caption(f"{plain(note)} q is the share of false discoveries among the slices named at least as firmly.".lstrip())


def slice_sentence(slices: Sequence[Slice]) -> str:
    """What stands out, losses first, in a sentence of Markdown. Pure."""
    losses = [s.label for s in slices if s.shrunk < 0]
    gains = [s.label for s in slices if s.shrunk > 0]
    said = []
    if losses:
        said.append(f"**B loses on {plain(words.listed(losses))}.**")
    if gains:
        said.append(f"B gains most on {plain(words.listed(gains))}.")
    return " ".join(said)


def slices_html(slices: Sequence[Slice], colors: tuple[str, str]) -> str:
    """A bar per slice on one axis: the mean difference after shrinkage; losses in A's colour, gains in B's. Pure."""
    axis = Axis.over(s.shrunk for s in slices)
    zero = axis.place(0)
    rows = []
    for one in sorted(slices, key=lambda s: s.shrunk):
        end = axis.place(one.shrunk)
        color = colors[1] if one.shrunk > 0 else colors[0]
        bar = (
            f'<div style="position:relative;height:14px;margin-top:.2rem"><div style="position:absolute;top:0;bottom:0;'
            f'left:{min(zero, end):.2f}%;width:max(2px,{abs(end - zero):.2f}%);background:{color};border-radius:3px">'
            f'</div><div style="position:absolute;top:-3px;bottom:-3px;left:{zero:.2f}%;border-left:2px solid '
            f'rgba(128,128,128,.65)"></div></div>'
        )
        seen = f"n {fmt.count(one.n)} rows, q {fmt.number(one.q, 2)}"
        rows.append(
            f'<tr class="dv-first"><td>{escape(one.label)}<small>{seen}</small></td>'
            f'<td class="dv-number">{words.change(one.shrunk, "")}<small>measured {words.change(one.difference, "")}'
            f"</small></td><td>{bar}</td></tr>"
        )
    head = "<tr><th>Rows with</th><th>B − A</th><th></th></tr>"
    columns = '<col style="width:38%"><col style="width:26%"><col>'
    return f'<table class="dv-table"><colgroup>{columns}</colgroup>{head}{"".join(rows)}</table>'
