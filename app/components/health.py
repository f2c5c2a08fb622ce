"""One line that says which of the parts behind Decant answer, and what to do about those that do not."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.guard import escape
from services.health import PartHealth


def draw_health(parts: Sequence[PartHealth]) -> None:
    """A badge per part in a fixed order; a line with the hint for each that is down."""
    with st.container(horizontal=True, gap="small", key="health"):
        for part in parts:
            st.badge(
                part.part,
                icon=":material/check_circle:" if part.ok else ":material/error:",
                color="green" if part.ok else "red",
                help=escape(part.detail) or None,
            )
    for part in parts:
        if not part.ok:
            st.markdown(line(part))


def line(part: PartHealth) -> str:
    """What is wrong with a part and what to do, as Markdown that names it once. Pure."""
    named = part.part.lower() in part.detail.lower()
    text = f":red[**{escape(part.detail)}**]" if named else f":red[**{escape(part.part)}**] {escape(part.detail)}"
    return f"{text} :gray[{escape(part.hint)}]" if part.hint else text
