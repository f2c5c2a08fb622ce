"""Dialogs that stay open while somebody is in them.

A run of the whole page closes whatever dialog is open, with all that was typed. So what refreshes by itself asks for
such a run with `refresh_page`, which waits until nobody is in a dialog; a dialog that is done ends with `close`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

_OPEN = "dialog-open"


def show(title: str, body: Callable[[], None], *, width: Literal["small", "medium", "large"] = "small") -> None:
    """Open a dialog with `body` in it."""
    st.session_state[_OPEN] = True
    # Dismissing it runs the page anew: what waited for that is then up to date.
    st.dialog(title, width=width, on_dismiss=none_open)(body)()


def none_open() -> None:
    """Whoever was in a dialog has left it: at every run of the whole page, and when a dialog is dismissed."""
    st.session_state.pop(_OPEN, None)


def close() -> None:
    """Close the dialog that this is called in, and draw the page anew. Does not return."""
    none_open()
    st.rerun()


def refresh_page() -> None:
    """Draw the whole page anew, unless somebody is in a dialog: then nothing happens, and the next look asks again."""
    if not st.session_state.get(_OPEN):
        st.rerun()
