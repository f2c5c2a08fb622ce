"""Dialogs before what is hard to take back: deleting a deployment, undoing more than a moved split."""

from __future__ import annotations

import streamlit as st

from app import format as fmt
from app import reads
from app.components import dialogs
from app.components.history import describe
from app.components.take_over import ask_take_over
from app.guard import boundary, escape
from app.wiring import note, services
from services.deployments.history_text import read_split
from services.domain import Change, DeploymentStatus


def confirm_delete(status: DeploymentStatus) -> None:
    """Says what goes and what stays, asks why, and deletes."""
    dialogs.show("Delete this deployment?", lambda: _delete(status))


def _delete(status: DeploymentStatus) -> None:
    deployment = status.deployment
    arms = ", ".join(p.name for p in deployment.predictors)
    st.markdown(
        f"**{deployment.key}** stops answering and its model servers ({escape(arms)}) end once their requests are "
        "answered. Models, replays and history stay; the Deploy page can bring it back."
    )
    why = st.text_input("Reason", placeholder="why, for the history", max_chars=500, key="delete-why")
    allowed, over = ask_take_over(status, key="delete")
    if st.button("Delete", type="primary", icon=":material/delete:", key="delete-confirmed", disabled=not allowed):
        with boundary("The deletion"):
            services().operations.delete(deployment.namespace, deployment.name, note=note(why, take_over=over))
            reads.forget()
            dialogs.close()  # still about this deployment: how it drains, then that it is gone and can come back


def confirm_undo(status: DeploymentStatus, change: Change) -> None:
    """Says which change, asks why, and undoes it."""
    dialogs.show("Undo this change?", lambda: _undo(status, change))


def _undo(status: DeploymentStatus, change: Change) -> None:
    st.markdown(
        f"{escape(change.who)}, {fmt.ago(change.at)}: **{escape(describe(change))}**  \n{escape(_consequence(change))}"
    )
    why = st.text_input("Reason", placeholder="why, for the history", max_chars=500, key="undo-why")
    allowed, over = ask_take_over(status, key="undo")
    if st.button("Undo it", type="primary", icon=":material/undo:", key="undo-confirmed", disabled=not allowed):
        with boundary("The undo"):
            deployment = status.deployment
            services().operations.undo(deployment.namespace, deployment.name, note=note(why, take_over=over))
            reads.forget()
            dialogs.close()


def _consequence(change: Change) -> str:
    if read_split(change.before) is not None:
        return "Undoing it moves the traffic back."
    if not change.before:
        return "Undoing it deletes the deployment."
    if not change.after:
        return "Undoing it brings the deployment back as it was."
    return "Undoing it applies the manifest from before: models that changed are loaded again, then switched."
