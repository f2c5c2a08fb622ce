"""The page asked for before signing in, through a cookie that anybody may have written."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from app.asked import MAX_LENGTH, packed, unpacked
from app.state import Param

PAGES = ("", "runs", "deploy", "verdict")


@given(
    st.sampled_from(PAGES),
    st.dictionaries(st.sampled_from([p.value for p in Param]), st.text(min_size=1, max_size=20), max_size=4),
)
def test_what_is_packed_comes_back_and_is_harmless_in_a_script(page: str, query: dict[str, str]) -> None:
    value = packed(page, query)
    assert re.fullmatch(r"[\w.~%-]*", value, re.ASCII)
    assert unpacked(value, PAGES) == ((page, query) if page or query else None)


def test_the_front_page_needs_no_leading() -> None:
    assert packed("", {}) == packed("", {"colour": "red"}) == ""


def test_what_decant_does_not_know_is_left_out() -> None:
    value = packed("deploy", {"deployment": "seldon/wine", "next": "https://evil.example"})
    assert unpacked(value, PAGES) == ("deploy", {"deployment": "seldon/wine"})


def test_what_is_too_long_for_a_cookie_is_the_page_alone() -> None:
    assert unpacked(packed("runs", {"filter": "x" * MAX_LENGTH}), PAGES) == ("runs", {})
    assert packed("", {"filter": "x" * MAX_LENGTH}) == ""


@given(st.text(max_size=60))
def test_any_text_leads_to_a_page_of_ours_or_nowhere(text: str) -> None:
    found = unpacked(text, PAGES)
    assert found is None or (found[0] in PAGES and set(found[1]) <= set(Param))


def test_other_places_are_none_of_ours() -> None:
    for text in ("https%3A%2F%2Fevil.example%3F", "%2F%2Fevil.example", "deploy%2F..%2F%3F", "javascript%3Aalert(1)"):
        assert unpacked(text, PAGES) is None
