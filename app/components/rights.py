"""What a viewer gets to see instead of what changes things: nothing where a button was, one quiet line for a form."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.wiring import person


def may_change() -> bool:
    """Whether the person of this session may change things."""
    return person().may_change


def change_button(label: str, **options: Any) -> bool:
    """`st.button` for what changes the world; viewers do not get it."""
    return may_change() and st.button(label, **options)


def leads_only(doing: str) -> bool:
    """True for a lead; for a viewer a line that says why there is no form. `doing` begins a sentence."""
    if may_change():
        return True
    st.caption(f":material/visibility: {doing} is for leads. You are a viewer: you see everything and change nothing.")
    return False
