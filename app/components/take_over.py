"""Changing what another tool manages: it is said, and done only after a tick."""

from __future__ import annotations

import streamlit as st

from app.guard import escape
from services.domain import DeploymentStatus


def sentence(manager: str) -> str:
    """What it means to change a deployment that `manager` manages. Pure."""
    return (
        f"{manager} manages this deployment. Changing it here makes Decant its owner, and {manager} may put its own "
        "state back unless it is told."
    )


def ask_take_over(status: DeploymentStatus | None, *, key: str) -> tuple[bool, bool]:
    """Draw the tick where it is needed. Returns whether the change may be made, and whether it takes over.

    A deployment of Decant's own, or one that is to be made, needs no tick.
    """
    if status is None or not status.managed_by:
        return True, False
    st.caption(f":orange[{escape(sentence(status.managed_by))}]")
    ticked = st.checkbox(f"Take it over from {escape(status.managed_by)}", key=f"take-over-{key}")
    return ticked, ticked


def draw_manager(status: DeploymentStatus) -> None:
    """Who manages the deployment, and what it holds that can only be looked at; nothing for Decant's own."""
    if status.managed_by:
        st.badge(f"managed by {escape(status.managed_by)}", icon=":material/handshake:", color="orange")
    if status.unwritable:
        st.info(
            f"{escape(status.unwritable)} Its traffic can be moved here; the rest is changed where it was made.",
            icon=":material/visibility:",
        )
