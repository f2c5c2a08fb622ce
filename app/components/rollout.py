"""How far a deployment is on its way up, per arm, live: phases, replicas, why one is not ready, what happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components import dialogs, outage
from app.components.arms import draw_arm_title, draw_phase
from app.components.arms import label as arms_label
from app.components.signature_view import short_uri
from app.components.way_up import draw_failure, draw_log, draw_timeline
from app.guard import escape, guarded, show_error
from services.domain import DeploymentStatus, Event, Phase, Predictor, PredictorStatus, Startup
from services.errors import DecantError, NotFound, Unavailable

BUSY_S, CALM_S = 1.0, 5.0
EVENTS_SHOWN = 30


def draw_rollout(status: DeploymentStatus) -> None:
    """The live view; quick while something moves, calm once it is settled."""
    namespace, name = status.deployment.namespace, status.deployment.name
    every = CALM_S if status.settled else BUSY_S
    st.fragment(_live, run_every=every)(namespace, name, status.settled)


@guarded("The rollout")
def _live(namespace: str, name: str, settled_before: bool) -> None:
    try:
        status = reads.status(namespace, name)
    except NotFound:  # drained and gone: the page says so and offers to bring it back
        reads.forget()
        st.rerun()
    except Unavailable:
        outage.look(well=False)
        raise
    outage.look(well=not status.message)
    events, unseen = _events(namespace, name)
    if status.settled != settled_before:
        dialogs.refresh_page()  # the rest of the page changes with it: links, links' absence, how often to look
    _draw_headline(status)
    columns = st.columns(max(2, len(status.deployment.predictors)))
    for place, predictor in enumerate(status.deployment.predictors):
        with columns[place], st.container(border=True, height="stretch"):
            _draw_arm(place, predictor, status)
    for predictor in status.deployment.predictors:
        arm = status.predictor(predictor.name)
        if (startup := _startup(status, arm)) is None:
            continue
        failure, label = last_failure(arm, events, status.changed_at), arms_label(status.deployment, arm.name)
        if failure or startup.diagnosis:
            draw_failure(status, arm, startup, label, failure)
        else:
            draw_log(startup, label, key=f"log-{namespace}-{name}-{arm.name}")
    with st.expander(f"Events ({len(events)})", icon=":material/list_alt:", key=f"events-{namespace}-{name}"):
        if unseen is not None:
            show_error(unseen)
        else:
            _draw_events(events)


def _events(namespace: str, name: str) -> tuple[Sequence[Event], DecantError | None]:
    """What happened, or why nobody can say: the arms are known without."""
    try:
        return reads.events(namespace, name), None
    except DecantError as error:
        return (), error


def _draw_headline(status: DeploymentStatus) -> None:
    if status.message:
        st.warning(escape(status.message), icon=":material/cloud_off:")
    if status.deleting:
        st.info("This deployment is being deleted: requests in flight are answered first.", icon=":material/delete:")
    elif status.settled:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("all arms ready", color="green", icon=":material/check_circle:")
            st.page_link("../pages/traffic.py", label="Send traffic", icon=":material/swap_calls:")
            st.page_link("../pages/monitor.py", label="Watch it", icon=":material/monitoring:")
    else:
        waiting = [p.name for p in status.predictors if p.phase is not Phase.READY or p.updating or p.ready < p.desired]
        shown = [arms_label(status.deployment, name) for name in waiting]
        text = f"waiting for {', '.join(shown)}" if waiting else "waiting for the split to be in force"
        failed = any(p.phase is Phase.FAILED for p in status.predictors)
        st.badge(text, color="red" if failed else "blue", icon=":material/error:" if failed else ":material/sync:")


def _draw_arm(place: int, predictor: Predictor, status: DeploymentStatus) -> None:
    arm = status.predictor(predictor.name)
    draw_arm_title(place, predictor.name, "shadow" if predictor.shadow else "")
    with st.container(horizontal=True, vertical_alignment="center"):
        draw_phase(arm.phase, "updating" if arm.updating and arm.phase is Phase.READY else "")
        st.markdown(escape(how_far(arm)))
    st.caption(f"{escape(predictor.provenance.label)} · `{short_uri(predictor.model_uri)}`")
    if replaced(arm):
        st.caption("What ran before answers until the new one is ready.")
    if (startup := _startup(status, arm)) is not None:
        draw_timeline(startup)
    if arm.reason and arm.phase is not Phase.FAILED:
        st.caption(f":gray[{escape(arm.reason)}]")


def _startup(status: DeploymentStatus, arm: PredictorStatus) -> Startup | None:
    """The arm's way up while it is not there yet; None where it is, or where nobody can tell."""
    if status.deleting or (arm.phase is Phase.READY and not arm.updating):
        return None
    try:
        return reads.startup(status.deployment.namespace, status.deployment.name, arm.name)
    except DecantError:  # the rest of the rollout says what does not answer
        return None


def how_far(arm: PredictorStatus) -> str:
    """How many replicas are ready; while pods are replaced by others, how many of which. Pure."""
    return arm.progress or f"{arm.ready} of {arm.desired} replicas ready"


def replaced(arm: PredictorStatus) -> bool:
    """Whether what ran before answers; a ready arm may only wait for the engine to see the newest split. Pure."""
    return arm.updating and not (arm.phase is Phase.READY and arm.reason)


def last_failure(arm: PredictorStatus, events: Sequence[Event], changed_at: datetime | None) -> str:
    """Why the arm failed, in words, also while it is tried again; empty when it has not since the change. Pure."""
    if arm.phase is Phase.READY:
        return ""
    if arm.phase is Phase.FAILED and arm.reason:
        return arm.reason
    for event in reversed(events):
        since = changed_at is None or fmt.aware(event.at) >= fmt.aware(changed_at)
        if event.kind == "Warning" and event.predictor == arm.name and since:
            return event.message
    return ""


def _draw_events(events: Sequence[Event]) -> None:
    if not events:
        st.caption("Nothing has happened yet.")
        return
    newest = list(reversed(events))[:EVENTS_SHOWN]
    zone = state.zone()
    warnings = ["warning" if e.kind == "Warning" else "" for e in newest]
    st.dataframe(
        {
            "When": [fmt.clock(e.at, zone) for e in newest],
            **({"Kind": warnings} if any(warnings) else {}),
            "Arm": [e.predictor or fmt.NONE for e in newest],
            "What": [e.message for e in newest],
        },
        hide_index=True,
        height=38 + 35 * min(len(newest), 8),
        column_config={"What": st.column_config.TextColumn(width="large")},
    )
