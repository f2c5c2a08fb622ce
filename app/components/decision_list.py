"""All decisions on a deployment's tests, as a table below the one at hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import streamlit as st

from app import format as fmt
from app.guard import escape
from services.decisions import words
from services.decisions.model import Decision


def draw_decisions(decisions: Sequence[Decision], zone: tzinfo, *, key: str) -> None:
    """A folded table, newest first as given; nothing while nobody has decided anything."""
    if not decisions:
        return
    with st.expander(f"Decisions on this deployment ({len(decisions)})", icon=":material/gavel:", key=key):
        st.dataframe(table(decisions, zone), hide_index=True, width="stretch")
        for decision in decisions:
            for remark in words.remarks(decision):
                st.caption(f"Decision {decision.id}: {escape(remark)}")


def table(decisions: Sequence[Decision], zone: tzinfo) -> dict[str, list[str]]:
    """The cells by column title. Pure."""
    lines = [words.line(decision, fmt.clock(decision.at, zone)) for decision in decisions]
    return {title.capitalize(): [line[at] for line in lines] for at, title in enumerate(words.COLUMNS)}
