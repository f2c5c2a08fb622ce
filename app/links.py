"""Links from page to page that carry what is selected, so that a click never loses the thread."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.state import Param

FOLDER = Path(__file__).resolve().parent.parent / "pages"
ICONS = {
    "overview": ":material/dashboard:",
    "runs": ":material/science:",
    "deploy": ":material/rocket_launch:",
    "traffic": ":material/swap_calls:",
    "monitor": ":material/monitoring:",
    "verdict": ":material/gavel:",
}


def page_path(name: str) -> str:
    """The path by which Streamlit knows the page `name`, for `st.page_link` and `st.switch_page`."""
    return str(FOLDER / f"{name}.py")


def page_link(name: str, label: str | None = None, params: dict[Param, str] | None = None) -> None:
    """A link to the page `name`, with its query parameters."""
    st.page_link(
        page_path(name),
        label=label or name.capitalize(),
        icon=ICONS[name],
        query_params={str(key): value for key, value in (params or {}).items()},
    )
