"""The trust strip: whether the evidence is fit to decide on, check by check, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from app.components.verdict_style import STYLE, light_color
from services.verdict import words
from services.verdict.model import Check, Light


def draw_trust_strip(checks: Sequence[Check]) -> None:
    st.html(STYLE + strip_html(checks, light_color))


def strip_html(checks: Sequence[Check], color: Callable[[Light], str]) -> str:
    """One card per check, all of one height. Pure."""
    return f'<div class="dv-strip">{"".join(_card(check, color(check.light)) for check in checks)}</div>'


def _card(check: Check, color: str) -> str:
    said = words.LIGHT_WORDS[check.light]
    advice = f'<div class="dv-advice">{escape(check.advice)}</div>' if check.advice else ""
    return (
        f'<div class="dv-card" style="--dv:{color}"><div class="dv-head">'
        f'<span class="dv-mark" role="img" aria-label="{said}" title="{said}">{words.LIGHT_MARKS[check.light]}</span>'
        f"<span>{escape(check.title)}</span></div>{escape(check.sentence)}{advice}</div>"
    )
