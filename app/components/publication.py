"""Models on their way to where the engine can read them: how far each is, and the button that stops it."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.job_badge import draw_job_badge
from app.components.rights import change_button
from app.components.target import Target
from app.components.worker_notice import draw_worker_notice
from app.guard import escape, guarded
from app.wiring import services
from services.jobs.publication_values import ModelProgress, Publication
from services.jobs.states import JobState
from services.publishing.publisher import Step

REFRESH_S = 1.0
UNDER_WAY = "Models are being published for this deployment; it is applied when they are there."


def draw_publication(target: Target) -> bool:
    """Draw the newest publication where there is something to say; returns whether one is under way."""
    found = reads.publication(target.namespace, target.name)
    if found is None or not tells(found, target.status.changed_at if target.status else None):
        return False
    if found.state.final:
        _draw_card(found)
        return False
    draw_worker_notice("The models wait until it runs.")
    st.fragment(_live, run_every=REFRESH_S)(found.id)
    return True


def tells(found: Publication, changed_at: datetime | None) -> bool:
    """Whether it is news: it is under way, or failed and nobody has changed the deployment since. Pure."""
    if not found.state.final:
        return True
    ended = found.finished_at
    since = changed_at is None or (ended is not None and fmt.aware(ended) >= fmt.aware(changed_at))
    return found.state is JobState.FAILED and since


def words(model: ModelProgress) -> str:
    """How far one model is, in a line. Pure."""
    moved = model.moved
    if moved.step is Step.DONE:
        return "was there already" if model.reused else f"published, {fmt.size(moved.bytes_total)}"
    files = f", {fmt.count(moved.files)} of {fmt.count(moved.files_total)} files" if moved.files_total else ""
    amount = f", {fmt.size(moved.bytes)} of {fmt.size(moved.bytes_total)}" if moved.bytes_total else ""
    return f"{moved.step.value}{files}{amount}"


@guarded("The publication")
def _live(number: int) -> None:
    found = services().publications.get(number)
    if found.state.final:
        reads.forget()
        if found.state is JobState.DONE:
            state.select_deployment(found.namespace, found.deployment)
            st.toast(f"{found.namespace}/{found.deployment} is on its way.", icon=":material/rocket_launch:")
        st.rerun()  # the rest of the page changes with it
    _draw_card(found)


def _draw_card(found: Publication) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**Publishing models** &nbsp; for {escape(found.who)}")
                draw_job_badge(found.state)
            if not found.state.final and change_button(
                "Cancel",
                key=f"cancel-publication-{found.id}",
                icon=":material/stop_circle:",
                disabled=found.cancel_requested,
            ):
                services().publications.cancel(found.id)
                reads.forget()
                st.toast("It is being cancelled: nothing will be applied.")
        if found.message:
            st.error(f"**Nothing was applied.** {escape(found.message)}", icon=":material/error:")
        for model in found.models:
            st.progress(min(1.0, model.share), text=f"{model.predictor}: {escape(model.label)} · {words(model)}")
            if model.uri:
                st.caption(f"`{model.uri}`")
