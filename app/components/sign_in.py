"""The door: a page with one button for whoever is not signed in, and a line with the name for whoever is."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from app import signed_out
from app.guard import boundary, escape, show_error
from app.wiring import person, settings
from services.access.exposure import check_exposure
from services.access.provider import check_provider
from services.domain import Person
from services.errors import DecantError, Forbidden, InvalidInput


def admitted() -> bool:
    """Whether this session may see the pages; if not, the door has been drawn."""
    try:
        # Also of a dashboard that somebody started by hand, whose options Decant did not choose.
        check_exposure(settings(), st.get_option("server.address") or "")
        if settings().sign_in == "oidc" and "is_logged_in" not in st.user:
            raise InvalidInput(
                "Sign-in is switched on, but this dashboard was started without what it needs.",
                "Start it with `python -m app up`, or alone with `python -m app part dashboard`.",
            )
    except DecantError as error:
        show_error(error)
        return False
    try:
        found = person()
    except Forbidden as reason:
        _draw_door(reason)
        return False
    if settings().sign_in != "off":
        _draw_name(found)
    return True


def _draw_door(reason: Forbidden) -> None:
    with st.columns([1, 2, 1])[1], st.container(key="door", horizontal_alignment="center", gap="medium"):
        st.title("Decant", text_alignment="center", anchor=False)
        st.markdown("A/B tests of MLflow models, from run to verdict.", text_alignment="center")
        known = bool(st.user.get("is_logged_in")) and not signed_out.holds(st.user.to_dict())
        if known:
            show_error(reason)
        if (home := elsewhere()) is not None:
            st.info(f"Sign in at [{escape(home)}]({home}): only there can it work.", icon=":material/home:")
            return
        if known and "Sign in again" not in reason.hint:
            _sign_out_button("Sign out and choose another account")
        elif st.button("Sign in", type="primary", icon=":material/login:", key="sign-in"):
            with boundary("Signing in"):
                check_provider(settings())
                st.login()


def elsewhere() -> str | None:
    """The address at which people sign in, if this page was opened at another: its cookie would not hold here."""
    here, home = urlsplit(st.context.url or ""), settings().public_address
    if not here.netloc or f"{here.scheme}://{here.netloc}" == home:
        return None
    return home


def _draw_name(found: Person) -> None:
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="person"):
        st.text(f"{found.name} · {found.role}", width="content")  # as Markdown an e-mail address would be a link
        _sign_out_button("Sign out")


def _sign_out_button(label: str) -> None:
    if st.button(label, type="tertiary", icon=":material/logout:", key="sign-out"):
        signed_out.end(st.user.to_dict())
        st.logout()
        st.stop()
