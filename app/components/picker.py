"""Choosing a deployment and a window of time: the choice lives in the URL, see app/state.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from app import state
from app.guard import escape
from services.domain import DeploymentStatus

_DEPLOYMENT = "pick-deployment"
_WINDOW = "pick-window"


def pick_deployment(statuses: Sequence[DeploymentStatus], label: str = "Deployment") -> DeploymentStatus | None:
    """A select box of the deployments; None when there are none.

    A deep link to a deployment that does not exist says so and falls back to the first.
    """
    by_key = {status.deployment.key: status for status in statuses}
    if not by_key:
        return None
    wanted = _wanted(by_key)
    if wanted and wanted not in by_key:
        st.warning(f"There is no deployment “{escape(wanted)}” (any more).", icon=":material/search_off:")
    key = wanted if wanted in by_key else next(iter(by_key))
    st.session_state[_DEPLOYMENT] = key
    st.selectbox(label, list(by_key), key=_DEPLOYMENT, on_change=_deployment_picked, width=340)
    chosen = by_key[key]
    state.select_deployment(chosen.deployment.namespace, chosen.deployment.name)
    return chosen


def _wanted(known: Iterable[str]) -> str:
    """What the address asks for; a name without a namespace stands for the one deployment that has it."""
    asked = state.read(state.Param.DEPLOYMENT) or ""
    named = [key for key in known if key.partition("/")[2] == asked]
    return named[0] if len(named) == 1 else asked


def pick_window(label: str = "Window") -> state.Window:
    """Buttons for the stretch of time to look at."""
    st.session_state[_WINDOW] = state.window().key
    st.segmented_control(
        label,
        list(state.WINDOWS),
        key=_WINDOW,
        format_func=lambda key: state.WINDOWS[key].label,
        on_change=_window_picked,
    )
    return state.window()


def _deployment_picked() -> None:
    namespace, _, name = str(st.session_state[_DEPLOYMENT]).partition("/")
    state.select_deployment(namespace, name)


def _window_picked() -> None:
    # A second click on the chosen button clears it; the window then stays as it was.
    if st.session_state[_WINDOW]:
        state.select_window(st.session_state[_WINDOW])
