"""The page that somebody asked for before they had to sign in: signing in ends at the front page, and this leads on.

The door leaves the page and its parameters in a cookie of the browser, for some minutes; whoever is let in at the front
page is led there, once. A cookie may hold anything, so only Decant's own pages and parameters are taken from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

import streamlit as st

from app.state import Param
from app.wiring import settings

COOKIE = "decant_asked"
KEPT_S = 600
"""As long as somebody may take to sign in."""
MAX_LENGTH = 2000
_DONE, _ERASE = "asked-done", "asked-erase"


def packed(page: str, query: Mapping[str, str]) -> str:
    """The page and those of the parameters that are Decant's, as a cookie's value; empty where that is the front page.

    Letters, digits, `%` and `-._~` only, whatever is in `query`. Pure.
    """
    known = [(param.value, query[param]) for param in Param if query.get(param)]
    if not page and not known:
        return ""
    value = quote(f"{page}?{urlencode(known)}", safe="")
    return value if len(value) <= MAX_LENGTH else quote(f"{page}?", safe="") if page else ""


def unpacked(value: str, pages: Iterable[str]) -> tuple[str, dict[str, str]] | None:
    """The page and the parameters, None if it is none of `pages`; parameters that Decant does not know are left out."""
    if not value or len(value) > MAX_LENGTH:
        return None
    page, _, query = unquote(value).partition("?")
    if page not in pages:
        return None
    known = set(Param)
    return page, {key: said for key, said in parse_qsl(query) if key in known}


def remember(page: str) -> None:
    """At the door: the browser keeps what was asked for."""
    value = packed(page, st.query_params.to_dict())
    _write(value, KEPT_S if value else 0)


def lead_on(here: str, pages: Iterable[str]) -> tuple[str, dict[str, str]] | None:
    """For whoever has been let in: the page and parameters to go to now; None to stay here. Once per session."""
    if settings().sign_in == "off" or st.session_state.get(_DONE):
        return None
    st.session_state[_DONE] = True
    value = st.context.cookies.get(COOKIE, "")
    if not value:
        return None
    st.session_state[_ERASE] = True
    if here or st.query_params:  # a link was followed meanwhile
        return None
    return unpacked(value, pages)


def forget() -> None:
    """The browser forgets what was asked for, once somebody has been led there."""
    if st.session_state.pop(_ERASE, False):
        _write("", 0)


def _write(value: str, kept_s: int) -> None:
    st.html(
        f"<script>document.cookie = '{COOKIE}={value}; path=/; max-age={kept_s}; samesite=lax'"
        " + (location.protocol === 'https:' ? '; secure' : '')</script>",
        unsafe_allow_javascript=True,
    )
