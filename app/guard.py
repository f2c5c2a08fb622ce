"""The error boundary of the dashboard: no page ever shows a traceback, and one broken part never takes the rest along.

Use `with boundary("Prometheus"):` around the part of a page that needs it: whatever is outside goes on. Around a
fragment or a widget callback use `@guarded("Prometheus")`: both run outside the page's own boundary.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.errors import FragmentHandledException

from services.errors import DecantError, InvalidInput, Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def boundary(part: str = "This page") -> Iterator[None]:
    """Turn an error inside the block into a message where the block stands, and go on after it.

    `part` names the block in the plain panel of an unforeseen error. Streamlit's control flow (rerun, stop, switch
    page) derives from BaseException and passes through untouched.
    """
    try:
        yield
    except FragmentHandledException:  # a fragment inside has shown it already
        raise
    except DecantError as error:
        show_error(error)
    except Exception:  # the last line of defence; logged with its traceback
        reference = secrets.token_hex(3)
        logger.exception("%s failed unexpectedly, reference %s", part, reference)
        st.error(
            f"**{part} met an error it did not expect.** The rest of Decant goes on.  \n"
            f"The details are in the dashboard's log under reference `{reference}`.",
            icon=":material/error:",
        )


def guarded(part: str = "This page") -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """`boundary` as a decorator, for fragments and widget callbacks. The function returns None when it failed."""

    def wrap(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R | None:
            with boundary(part):
                return function(*args, **kwargs)
            return None

        return inside

    return wrap


def show_error(error: DecantError) -> None:
    """Draw an error that Decant raised on purpose: what happened, then what to do next."""
    text = f"**{escape(error.sentence)}**"
    if error.hint:
        text += f"  \n{escape(error.hint)}"
    if isinstance(error, InvalidInput):
        st.warning(text, icon=":material/edit:")
    elif isinstance(error, Unavailable):
        st.error(text, icon=":material/cloud_off:")
    else:
        st.error(text, icon=":material/error:")


def escape(text: str) -> str:
    """Text from elsewhere, safe inside Streamlit's Markdown: no markup, no formulas, no HTML; line breaks stay.

    What stands between two backticks stays code, as Decant's own hints write commands; nothing inside it is live.
    """
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a backtick without a partner is an ordinary character
        pieces[-2:] = ["`".join(pieces[-2:])]
    shown = [_plain(piece) if i % 2 == 0 else f"`{piece}`" for i, piece in enumerate(pieces) if i % 2 == 0 or piece]
    return "".join(shown)


def _plain(text: str) -> str:
    for mark in "\\`*_[]<>$:#|~":
        text = text.replace(mark, "\\" + mark)
    return text.replace("\n", "  \n")
