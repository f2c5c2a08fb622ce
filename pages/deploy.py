"""Deploy: make a deployment, change its models, move its traffic, watch it come up, take it back."""

from __future__ import annotations

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components import outage
from app.components.confirm import confirm_delete
from app.components.deploy_form import draw_deploy_form
from app.components.history import draw_history
from app.components.observed import draw_live_split
from app.components.publication import UNDER_WAY, draw_publication
from app.components.rights import change_button, may_change
from app.components.rollout import draw_rollout
from app.components.split_slider import draw_split_controls, undo_button
from app.components.take_over import draw_manager
from app.components.target import Target, choose_target
from app.components.undelete import draw_deleted
from app.guard import boundary, escape
from services.domain import DeploymentStatus


def existing(target: Target, status: DeploymentStatus, hindrance: str) -> None:
    namespace, name = target.namespace, target.name
    reads.prefetch((reads.history, namespace, name), (reads.events, namespace, name), (reads.status, namespace, name))
    outage.draw_over()
    with boundary("The rollout"):
        draw_rollout(status)
    draw_manager(status)
    if status.deleting:
        return
    if len(status.deployment.live) > 1:
        st.subheader("Traffic split")
        controls, live = st.columns([5, 6], gap="large")
        with controls, boundary("The split"):
            draw_split_controls(status)
        with live, boundary("The live split"):
            draw_live_split(namespace, name)
    else:
        st.caption("One live arm takes all of the traffic. Add B below to split it.")
    asked = bool(state.read(state.Param.MODEL_A) or state.read(state.Param.MODEL_B))
    lone = len(status.deployment.live) == 1
    if may_change() or status.unwritable:
        title = "Manifest" if status.unwritable else "Models and replicas"
        with st.expander(title, expanded=asked or lone, icon=":material/tune:", key="models"), boundary("The form"):
            if status.unwritable:
                st.code(reads.manifest(namespace, name), language="yaml", height=420)
            else:
                draw_deploy_form(target, hindrance)
    st.subheader("History")
    with boundary("The history"):
        draw_history(reads.history(namespace, name), state.zone())
        if lone:
            undo_button(status)
    if not status.unwritable and change_button("Delete deployment …", icon=":material/delete:"):
        confirm_delete(status)


def page() -> None:
    statuses = reads.deployments()
    target = choose_target(statuses)
    hindrance = ""
    with boundary("The publication of models"):
        hindrance = UNDER_WAY if draw_publication(target) else ""
    if target.status is not None:
        who, at = target.status.changed_by or fmt.NONE, fmt.clock(target.status.changed_at, state.zone())
        st.caption(f"last changed by {escape(who)} at {at}")  # no age: this part of the page does not refresh by itself
        existing(target, target.status, hindrance)
        return
    if target.gone and not hindrance:
        st.caption(f"There is no deployment {escape(target.key)} (any more).")
    draw_deploy_form(target, hindrance)
    with boundary("The list of deleted deployments"):
        draw_deleted(statuses)


st.title("Deploy")
with boundary("The engine"):
    page()
