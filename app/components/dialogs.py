"""Dialogs that stay open, and alive, while somebody is in them.

A dialog belongs to the fragment that opens it, and the next run of that fragment is its end: it can still be seen, but
what is pressed in it reaches nobody. So dialogs are opened by the run of the whole page (`draw_asked`), also where what
asks for them refreshes by itself. Such a run in turn closes whatever dialog is open, with all that was typed. So what
refreshes by itself asks for one with `refresh_page`, which waits until nobody is in a dialog; a dialog that is done
ends with `close`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

Width = Literal["small", "medium", "large"]

_OPEN = "dialog-open"
_ASKED = "dialog-asked"


def show(title: str, body: Callable[[], None], *, width: Width = "small") -> None:
    """Have a dialog with `body` in it over the page. Where only a fragment runs, the page is drawn anew for it."""
    st.session_state[_ASKED] = (title, body, width)
    run = get_script_run_ctx()
    if run is not None and run.fragment_ids_this_run:
        st.rerun()


def draw_asked() -> None:
    """Open the dialog that was asked for, if one was. Called once in a run of the whole page, outside all fragments."""
    asked: tuple[str, Callable[[], None], Width] | None = st.session_state.pop(_ASKED, None)
    if asked is None:
        return
    title, body, width = asked
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
