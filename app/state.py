"""Names and types of everything the pages keep between two runs: one place, so that deep links stay valid.

What is worth sharing lives in the URL. Moving to another page drops the URL's parameters, so each is remembered in the
session as well and written back when the next page reads it. Truth (deployments, jobs) is never kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st


class Param(StrEnum):
    """Query parameters, by their name in the URL."""

    DEPLOYMENT = "deployment"  # namespace/name
    WINDOW = "window"  # key of WINDOWS
    RUNS = "runs"  # run ids, separated by commas
    MODEL_A = "a"  # reference of the model chosen as A, see ModelCatalogue.resolve
    MODEL_B = "b"
    EXPERIMENT = "experiment"
    REPLAY = "replay"
    GUIDE = "guide"  # "1" while the guided A/B test is shown
    FILTER = "filter"  # of the runs, in MLflow's syntax
    COLUMNS = "columns"  # of the table of runs, as JSON
    RUNS_VIEW = "runs-view"  # browse or train
    SENDING = "sending"  # what the Traffic page sends: one request or a replay
    TEST = "test"  # number of the test that the Verdict page shows; the newest without it


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time up to now that charts and numbers look at."""

    key: str
    label: str
    seconds: int

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        return now - timedelta(seconds=self.seconds), now


WINDOWS: dict[str, Window] = {
    w.key: w
    for w in (
        Window("5m", "5 min", 300),
        Window("15m", "15 min", 900),
        Window("1h", "1 h", 3600),
        Window("6h", "6 h", 6 * 3600),
        Window("24h", "24 h", 24 * 3600),
    )
}
DEFAULT_WINDOW = "15m"


def _memory(param: Param) -> str:
    return f"decant.{param}"


def read(param: Param) -> str | None:
    """The parameter's value from the URL, else the one last used in this session; None when there is neither."""
    value = st.query_params.get(param)
    if value is None:
        value = st.session_state.get(_memory(param))
        if value:
            st.query_params[param] = value
    else:
        st.session_state[_memory(param)] = value
    return value or None


def write(param: Param, value: str | None) -> None:
    """Put the parameter into the URL and the session; None or empty removes it."""
    if value:
        st.session_state[_memory(param)] = value
        if st.query_params.get(param) != value:
            st.query_params[param] = value
        return
    st.session_state.pop(_memory(param), None)
    st.query_params.pop(param, None)


def deployment() -> tuple[str, str] | None:
    """Namespace and name of the selected deployment; whether it exists is for the engine to say."""
    namespace, _, name = (read(Param.DEPLOYMENT) or "").partition("/")
    return (namespace, name) if namespace and name else None


def select_deployment(namespace: str, name: str) -> None:
    write(Param.DEPLOYMENT, f"{namespace}/{name}")


def window() -> Window:
    """The selected window; the default for anything unknown."""
    return WINDOWS.get(read(Param.WINDOW) or "", WINDOWS[DEFAULT_WINDOW])


def select_window(key: str) -> None:
    write(Param.WINDOW, key)


def runs() -> tuple[str, ...]:
    """Ids of the ticked runs, in the order they were ticked, without duplicates."""
    return tuple(dict.fromkeys(r for r in (read(Param.RUNS) or "").split(",") if r))


def select_runs(run_ids: tuple[str, ...] | list[str]) -> None:
    write(Param.RUNS, ",".join(dict.fromkeys(run_ids)))


def zone() -> tzinfo:
    """The time zone of the person's browser (UTC until it is known)."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
