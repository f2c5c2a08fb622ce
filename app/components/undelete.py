"""Deployments deleted of late, each with the button that brings it back."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.rights import change_button
from app.guard import boundary, escape
from app.wiring import note, services
from services.domain import Change, DeploymentStatus

LOOK_BACK = 100
SHOWN = 5


def deleted(changes: Sequence[Change], present: Collection[str]) -> list[Change]:
    """The change that removed each deployment that is gone, newest first.

    `present` are the keys of those that are there, some perhaps made anew by another tool. Pure.
    """
    newest: dict[tuple[str, str], Change] = {}
    for change in changes:
        newest.setdefault((change.namespace, change.deployment), change)
    gone = (change for change in newest.values() if not change.after)
    return [change for change in gone if f"{change.namespace}/{change.deployment}" not in present]


def draw_deleted(statuses: Sequence[DeploymentStatus]) -> None:
    """Nothing when none was deleted, or what was is there again: `statuses` are those there are."""
    present = {status.deployment.key for status in statuses if not status.deleting}
    gone = deleted(services().store.changes(limit=LOOK_BACK), present)[:SHOWN]
    if not gone:
        return
    st.subheader("Deleted of late")
    for change in gone:
        with st.container(horizontal=True, vertical_alignment="center"):
            why = f" ({change.reason})" if change.reason else ""
            st.markdown(
                f"**{change.namespace}/{change.deployment}** · deleted by {escape(change.who)} "
                f"{fmt.ago(change.at)}{escape(why)}"
            )
            if change_button("Bring back", key=f"undelete-{change.id}", icon=":material/undo:"):
                with boundary("Bringing it back"):
                    services().operations.undo(change.namespace, change.deployment, note=note())
                    reads.forget()
                    state.select_deployment(change.namespace, change.deployment)
                    st.rerun()
