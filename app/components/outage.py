"""A change that met silence: its error stands on the page until what is shown there is up to date again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.components import dialogs
from services.errors import Unavailable

_STATE = "outage"
_MET, _SEEN, _OVER = "met", "seen", "over"


@contextmanager
def noticed() -> Iterator[None]:
    """Around a command: remember that it met silence. What it raises passes through."""
    try:
        yield
    except Unavailable:
        st.session_state[_STATE] = _MET
        raise


def look(*, well: bool) -> None:
    """What refreshes by itself says whether it read all that is so. Once it could not and can again, the page is drawn
    anew, without the error. What it never saw fail (another part, a moment's silence) leaves the error where it is."""
    state = st.session_state.get(_STATE)
    if state == _MET and not well:
        st.session_state[_STATE] = _SEEN
    elif state == _SEEN and well:
        st.session_state[_STATE] = _OVER
        dialogs.refresh_page()


def draw_over() -> None:
    """Once, in place of that error."""
    if st.session_state.get(_STATE) == _OVER:
        del st.session_state[_STATE]
        st.info(
            "What did not answer when you asked for a change answers again. Look whether the change was made; if not, "
            "ask for it again.",
            icon=":material/cloud_done:",
        )
