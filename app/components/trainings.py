"""Trainings as they go: state, live log, cancel; and those of late. Everything shown is read from the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.job_badge import draw_job_badge
from app.components.rights import change_button
from app.components.run_detail import use_buttons
from app.components.training_form import TRAINING_SHOWN
from app.guard import escape, guarded
from app.wiring import services

if TYPE_CHECKING:
    from services.jobs.training import Training

REFRESH_S = 1.5
LOG_LINES = 300
LOG_PX = 280


@st.fragment(run_every=REFRESH_S)
@guarded("The list of trainings")
def draw_trainings() -> None:
    """The chosen training with its log, under it the recent ones."""
    trainings = services().training.recent(20)
    st.subheader("Trainings")
    if not trainings:
        st.caption("None yet. Fill in the form and press “Start training”: its log appears here, live.")
        return
    ids = [training.id for training in trainings]
    chosen = st.session_state.get(TRAINING_SHOWN)
    shown = next((t for t in trainings if t.id == chosen), trainings[0])
    _draw_one(shown)
    picked = st.dataframe(
        _table(trainings),
        hide_index=True,
        key=f"trainings-{ids[0]}",
        on_select="rerun",
        selection_mode="single-row",
        height=38 + 35 * min(len(trainings), 8),
    )
    rows = picked["selection"]["rows"]
    if rows and ids[rows[0]] != shown.id:
        st.session_state[TRAINING_SHOWN] = ids[rows[0]]
        st.rerun(scope="fragment")


def _draw_one(training: Training) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**Training {training.id}** &nbsp; {escape(_parameters(training))}")
                draw_job_badge(training.state)
                st.caption(f"{_elapsed(training)} · by {escape(training.who)}")
            if not training.state.final and change_button(
                "Cancel", key=f"cancel-training-{training.id}", icon=":material/stop_circle:"
            ):
                services().training.cancel(training.id)
                st.toast(f"Training {training.id} is being cancelled.")
        if training.message:
            (st.error if training.state == "failed" else st.caption)(escape(training.message))
        lines = services().training.log(training.id, tail=LOG_LINES)
        with st.container(height=LOG_PX, autoscroll=True, border=False):
            st.code("\n".join(lines) if lines else "(the log is still empty)", language=None, wrap_lines=True)
        if training.run_id:
            with st.container(horizontal=True, vertical_alignment="center"):
                if training.state == "done":
                    use_buttons(training.run_id, key=f"training-{training.id}")
                if st.button("Show the run", key=f"show-{training.id}", icon=":material/science:"):
                    _show(training.run_id)


def _show(run_id: str) -> None:
    state.select_runs([run_id])
    st.session_state["runs-view-wanted"] = "Browse"
    reads.forget()
    st.rerun()


def _table(trainings: list[Training]) -> pd.DataFrame:
    zone = state.zone()
    return pd.DataFrame(
        {
            "Training": [t.id for t in trainings],
            "Parameters": [_parameters(t) for t in trainings],
            "State": [t.state.value for t in trainings],
            "Took": [_elapsed(t) for t in trainings],
            "Experiment": [t.experiment for t in trainings],
            "Environment": [t.env_manager for t in trainings],
            "Who": [t.who for t in trainings],
            "Asked for": [fmt.clock(t.created_at, zone) for t in trainings],
        }
    )


def _parameters(training: Training) -> str:
    return ", ".join(f"{name}={value}" for name, value in training.parameters.items()) or "no parameters"


def _elapsed(training: Training) -> str:
    if training.started_at is None:
        return "waiting" if not training.state.final else fmt.NONE
    return fmt.duration(((training.finished_at or datetime.now(UTC)) - training.started_at).total_seconds())
