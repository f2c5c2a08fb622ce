"""The one place that builds services for the browser, and that knows who sits in front of it.

Tests and demonstrations bring their own services: `use_builder(make)` before the first run, `use_builder(None)` after
it. The builder is called once per process. What it makes is shared by all browser sessions; a session gets it only
through `services()` and `reader()`, which ask every time who that is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from app import signed_out
from services.access.roles import person_of
from services.domain import ChangeNote, Person, Role
from services.errors import Forbidden
from services.settings import Settings, load_settings

if TYPE_CHECKING:
    from services.factory import Services


def _build_from_environment() -> Services:
    # Imported late: it pulls in MLflow, which takes seconds, and no test page needs it before it is asked for.
    from services.factory import build_services

    return build_services(settings())


_builder: Callable[[], Services] = _build_from_environment


def use_builder(builder: Callable[[], Services] | None) -> None:
    """Build the services with `builder` from now on (None: from the environment) and forget those built before."""
    global _builder
    _builder = builder or _build_from_environment
    for cached in (_built, _read_only, settings):
        cached.clear()


@st.cache_resource(show_spinner=False)
def _built() -> Services:
    return _builder()


@st.cache_resource(show_spinner=False)
def _read_only() -> Services:
    return _built().for_person(Person("", Role.VIEWER))


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The settings of this dashboard; those of the environment are known before anything is built."""
    return load_settings() if _builder is _build_from_environment else _built().settings


def person() -> Person:
    """Who sits in front of this session, asked anew each time: a sign-in ends while a page is open.

    Without sign-in it is the operator of the machine. Raises Forbidden for whoever may not see anything.
    """
    chosen = settings()
    if chosen.sign_in == "off":
        return Person(chosen.user, Role.LEAD)
    claims = st.user.to_dict()
    if signed_out.holds(claims):
        raise Forbidden("You have signed out.", "Sign in to go on.")
    return person_of(claims, chosen, datetime.now(UTC))


def services() -> Services:
    """The services as the person of this session may use them. Raises Forbidden for whoever may not see anything.

    Ask in the script run: what is made of it for another thread (a download) is asked for before.
    """
    return _built().for_person(person())


def reader() -> Services:
    """The services for what all sessions read alike and share in app.reads; changes are refused whoever asks.

    Raises Forbidden for whoever may not see anything.
    """
    person()
    return _read_only()


def who() -> str:
    """The name written beside every change that this session makes."""
    return person().name


def note(why: str = "", *, take_over: bool = False) -> ChangeNote:
    """The note that goes with a change made from a page; `take_over`: the person ticked that it is another tool's."""
    return ChangeNote(who=who(), why=why.strip(), take_over=take_over)
