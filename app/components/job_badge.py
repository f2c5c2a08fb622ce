"""The state of a background job as a badge: the same on every page."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from services.jobs.states import JobState

LOOKS: dict[JobState, tuple[Literal["gray", "blue", "green", "orange", "red"], str]] = {
    JobState.QUEUED: ("gray", ":material/schedule:"),
    JobState.RUNNING: ("blue", ":material/autorenew:"),
    JobState.PAUSED: ("orange", ":material/pause_circle:"),
    JobState.DONE: ("green", ":material/check:"),
    JobState.CANCELLED: ("orange", ":material/block:"),
    JobState.FAILED: ("red", ":material/error:"),
}


def draw_job_badge(state: JobState) -> None:
    color, icon = LOOKS[state]
    st.badge(state.value, color=color, icon=icon)
