"""A predictor's way up: a calm row of steps with their times, what is known to be wrong, and the log."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape as html_escape

import streamlit as st

from app import format as fmt
from app import reads
from app.components.rights import may_change
from app.components.take_over import ask_take_over
from app.components.verdict_style import light_color
from app.guard import boundary, escape
from app.wiring import note, services
from services.domain import DeploymentStatus, Diagnosis, PredictorStatus, Startup, StartupStep, StepState
from services.verdict.model import Light

LOG_TAIL = 60
_MARKS = {StepState.DONE: "✓", StepState.RUNNING: "●", StepState.FAILED: "✕", StepState.WAITING: "○"}
_LIGHTS = {StepState.DONE: Light.GREEN, StepState.FAILED: Light.RED}
_SAID = {
    StepState.DONE: "done",
    StepState.RUNNING: "under way",
    StepState.FAILED: "failed",
    StepState.WAITING: "not yet",
}


def timeline_html(startup: Startup, now: datetime) -> str:
    """The steps as one line of HTML that wraps where it is narrow. Pure but for the theme."""
    items = "".join(_item(step, now) for step in startup.steps)
    return (
        '<div role="list" style="display:flex;flex-wrap:wrap;gap:.15rem 1rem;font-size:.875rem;line-height:1.5">'
        f"{items}</div>"
    )


def _item(step: StartupStep, now: datetime) -> str:
    mark = _MARKS[step.state]
    color = light_color(_LIGHTS[step.state]) if step.state in _LIGHTS else "currentColor"
    faint = "opacity:.75" if step.state is StepState.WAITING else ""
    told = " · ".join(html_escape(part) for part in (_time(step, now), step.note) if part)
    tail = f' <span style="opacity:.8;white-space:normal">{told}</span>' if told else ""
    return (
        f'<span role="listitem" style="white-space:nowrap;{faint}" title="{step.step.value}: {_SAID[step.state]}">'
        f'<span style="color:{color};font-weight:700" aria-label="{_SAID[step.state]}">{mark}</span> '
        f"{step.step.value}{tail}</span>"
    )


def _time(step: StartupStep, now: datetime) -> str:
    if step.took_s is not None:
        return fmt.duration(step.took_s) if step.took_s >= 1 else ""
    if step.state is StepState.RUNNING and step.began is not None:
        return f"for {fmt.duration(max(0.0, (now - step.began).total_seconds()))}"
    return ""


def draw_timeline(startup: Startup) -> None:
    st.html(timeline_html(startup, datetime.now(UTC)))


def draw_failure(status: DeploymentStatus, arm: PredictorStatus, startup: Startup, label: str, failure: str) -> None:
    """What keeps the arm from coming up: the diagnosis with its remedy, or the bare words of the engine; the log."""
    diagnosis = startup.diagnosis
    with st.container(border=True):
        st.markdown(f":red[:material/error:] **{escape(label)} does not start.** {escape(_what(diagnosis, failure))}")
        if diagnosis is not None:
            st.markdown(f"**What to do:** {escape(diagnosis.remedy)}")
            if diagnosis.budget_s is not None:
                _draw_more_time(status, startup, diagnosis.budget_s)
        lines = startup.log_tail[-LOG_TAIL:] or arm.log_tail
        if lines:
            # The cause is in the log only where nobody has found it yet.
            with st.expander(f"Log of this start of {label}", expanded=diagnosis is None, icon=":material/terminal:"):
                if diagnosis is not None and diagnosis.evidence:
                    st.caption("It was recognised by")
                    st.code(diagnosis.evidence, language=None, wrap_lines=True)
                st.code("\n".join(lines), language=None, wrap_lines=True, height=320)


def draw_log(startup: Startup, label: str, key: str) -> None:
    """The log of a start that is under way."""
    if startup.log_tail:
        with st.expander(f"Log of this start of {label}", icon=":material/terminal:", key=key):
            st.code("\n".join(startup.log_tail[-LOG_TAIL:]), language=None, wrap_lines=True, height=320)


def _what(diagnosis: Diagnosis | None, failure: str) -> str:
    return diagnosis.what if diagnosis is not None else failure


def _draw_more_time(status: DeploymentStatus, startup: Startup, budget_s: int) -> None:
    if not may_change() or status.unwritable:
        return
    deployment = status.deployment
    allowed, over = ask_take_over(status, key=f"time-{deployment.key}-{startup.predictor}")
    had = f" instead of {fmt.duration(startup.budget_s)}" if startup.budget_s is not None else ""
    pressed = st.button(
        f"Give it {fmt.duration(budget_s)}{had}",
        icon=":material/more_time:",
        key=f"time-{deployment.key}-{startup.predictor}",
        help="A change like any other: it is written to the history and can be undone.",
        disabled=not allowed,
    )
    if not pressed:
        return
    with boundary("Giving it more time"):
        services().operations.give_time(
            deployment.namespace, deployment.name, startup.predictor, budget_s, note=note(take_over=over)
        )
        reads.forget()
        st.toast(f"{startup.predictor} may take {fmt.duration(budget_s)} to start now.", icon=":material/more_time:")
        st.rerun()
