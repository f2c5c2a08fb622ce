"""The table of runs: sortable, with the columns one chose, rows to tick, and pages. What is ticked lives in the URL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app import state
from app.components import run_columns
from app.components.run_columns import METRIC, PARAM

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

    from services.tracking.runs import Run

PAGE_SIZES = (50, 100, 200)
ROW_PX, HEADER_PX, MAX_ROWS_SEEN = 35, 38, 12


def choose_columns(runs: Sequence[Run]) -> list[str]:
    """The picker of columns in a popover; the choice is written to the URL. Returns the columns to show."""
    there = run_columns.available(runs)
    remembered = run_columns.read_choice(state.read(state.Param.COLUMNS))
    shown = [key for key in remembered or [] if key in there] or run_columns.default(runs)
    with st.popover("Columns", icon=":material/view_column:"):
        chosen = st.multiselect(
            "Columns to show",
            there,
            default=shown,
            format_func=lambda key: f"{run_columns.label(key)} ({run_columns.kind(key)})",
            # Other runs bring other columns, and a widget with other options is another widget.
            key=f"columns-{_digest(there)}",
            placeholder="Parameters, metrics, tags …",
        )
        if st.button("Back to the default", disabled=remembered is None, icon=":material/restart_alt:"):
            state.write(state.Param.COLUMNS, None)
            st.session_state.pop(f"columns-{_digest(there)}", None)
            st.rerun()
    if chosen != shown:
        state.write(state.Param.COLUMNS, run_columns.write_choice(chosen))
    return chosen or run_columns.default(runs)


def draw_table(runs: Sequence[Run], columns: Sequence[str], *, only_differences: bool) -> None:
    """Draw the runs of one page; ticking a row puts the run into the URL, runs ticked on other pages stay ticked."""
    if only_differences and len(runs) > 1:
        columns = [key for key in columns if run_columns.differs(key, runs)]
    ids = [run.run_id for run in runs]
    ticked = state.runs()
    key = f"runs-{_digest([*ids, *columns])}"

    def tick() -> None:
        rows = st.session_state[key].selection.rows
        elsewhere = [run_id for run_id in state.runs() if run_id not in ids]
        before = [run_id for run_id in state.runs() if run_id in ids]
        now = [ids[row] for row in rows if row < len(ids)]
        # Those ticked longest come first: the first becomes A.
        state.select_runs([*elsewhere, *(i for i in before if i in now), *(i for i in now if i not in before)])

    st.dataframe(
        run_columns.frame(runs, columns, state.zone()),
        hide_index=True,
        height=HEADER_PX + ROW_PX * min(len(runs), MAX_ROWS_SEEN),
        column_config={"name": st.column_config.TextColumn("Run", pinned=True)} | {c: _config(c) for c in columns},
        key=key,
        on_select=tick,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [row for row, run_id in enumerate(ids) if run_id in ticked]}},
        placeholder="—",
    )


def turn_pages(token: str | None, next_token: str | None, view: str) -> None:
    """Buttons to older and newer runs. `view` names what is paged through: another one begins at its first page."""
    trail: list[str | None] = _trail(view)
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if st.button("Newer", icon=":material/chevron_left:", disabled=not trail):
            st.session_state["runs-token"] = trail.pop()
            st.rerun()
        if st.button("Older", icon=":material/chevron_right:", disabled=not next_token):
            trail.append(token)
            st.session_state["runs-token"] = next_token
            st.rerun()


def page_token(view: str) -> str | None:
    """Where the page that is being looked at begins; None is the newest run."""
    _trail(view)
    token: str | None = st.session_state.get("runs-token")
    return token


def _trail(view: str) -> list[str | None]:
    if st.session_state.get("runs-view-of") != view:
        st.session_state["runs-view-of"], st.session_state["runs-trail"] = view, []
        st.session_state["runs-token"] = None
    trail: list[str | None] = st.session_state["runs-trail"]
    return trail


def _config(key: str) -> ColumnConfig:
    label, help_text = run_columns.label(key), run_columns.kind(key).capitalize()
    if key == "started":
        return st.column_config.DatetimeColumn(label, format="D MMM YYYY HH:mm:ss")
    if key == "duration":
        return st.column_config.NumberColumn(label, format="%.1f")
    if key.startswith(METRIC):
        return st.column_config.NumberColumn(label, help=help_text, format="%.5g")
    if key.startswith(PARAM):
        return st.column_config.Column(label, help=help_text)
    return st.column_config.TextColumn(label, help=help_text)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha1("\0".join(parts).encode(), usedforsecurity=False).hexdigest()[:12]
