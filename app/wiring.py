"""The one place that builds services for the browser.

Tests and demonstrations bring their own: `use_builder(make)` before the first run, `use_builder(None)` after it.
The builder is called once per process; its result is shared by all browser sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from services.domain import ChangeNote
from services.settings import load_settings

if TYPE_CHECKING:
    from services.factory import Services


def _build_from_environment() -> Services:
    # Imported late: it pulls in MLflow, which takes seconds, and no test page needs it before it is asked for.
    from services.factory import build_services

    return build_services(load_settings())


_builder: Callable[[], Services] = _build_from_environment


def use_builder(builder: Callable[[], Services] | None) -> None:
    """Build the services with `builder` from now on (None: from the environment) and forget those built before."""
    global _builder
    _builder = builder or _build_from_environment
    _built.clear()


@st.cache_resource(show_spinner=False)
def _built() -> Services:
    return _builder()


def services() -> Services:
    """The services of this dashboard, built on first use. Thread-safe; cheap after the first call."""
    return _built()


def who() -> str:
    """The name written beside every change that this session makes."""
    return services().settings.user


def note(why: str = "", *, take_over: bool = False) -> ChangeNote:
    """The note that goes with a change made from a page; `take_over`: the person ticked that it is another tool's."""
    return ChangeNote(who=who(), why=why.strip(), take_over=take_over)
