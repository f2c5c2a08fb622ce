"""Runs: find, compare and train models, and take them to a deployment."""

from __future__ import annotations

import streamlit as st

from app import reads, state
from app.components import run_columns, run_table
from app.components.rights import change_button
from app.components.run_compare import draw_compare
from app.components.run_detail import draw_detail, has_model
from app.components.training_form import draw_training_form
from app.components.trainings import draw_trainings
from app.guard import boundary, show_error
from services.errors import DecantError, InvalidInput

BROWSE, TRAIN = "Browse", "Train"
ALL = "All experiments"
EXAMPLE = "metrics.rmse < 0.82 and params.alpha = '0.5'"


def browse() -> None:
    with st.spinner("Asking MLflow …"):
        experiments = reads.experiments()
    picker, filter_box, size_box = st.columns([3, 6, 2], vertical_alignment="bottom")
    chosen = picker.selectbox(
        "Experiment", [ALL, *(e.name for e in experiments)], key=state.Param.EXPERIMENT, bind="query-params"
    )
    filter_text = filter_box.text_input(
        "Filter", placeholder=EXAMPLE, key=state.Param.FILTER, bind="query-params", help="MLflow's filter syntax."
    )
    limit = size_box.selectbox("Runs per page", run_table.PAGE_SIZES, key="runs-per-page", persist_state="session")
    ids = tuple(e.id for e in experiments if chosen in (ALL, e.name))
    view = f"{chosen}|{filter_text}|{limit}"
    token = run_table.page_token(view)
    try:
        page = reads.run_page(ids, filter_text.strip(), token, limit)
    except InvalidInput as error:
        show_error(error)  # its hint shows an example
        return
    if not page.runs:
        empty(filtered=bool(filter_text.strip()))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        columns = run_table.choose_columns(page.runs)
        only = st.toggle("Only differences", key="only-differences", persist_state="session")
    run_table.draw_table(page.runs, columns, only_differences=only)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            f"{len(page.runs)} run{'s' * (len(page.runs) != 1)}, newest first. A click on a header sorts these; "
            "tick one run for its details, several to compare them."
        )
        run_table.turn_pages(token, page.next_token, view)
    with boundary("The ticked runs"):
        draw_ticked({run.run_id: run for run in page.runs}, only=only)


def empty(*, filtered: bool) -> None:
    if filtered:
        st.info("No run matches this filter.", icon=":material/filter_alt_off:")
        return
    st.info("There are no runs yet. Train a model, or log one to MLflow from anywhere.", icon=":material/science:")
    change_button("Train a model", type="primary", icon=":material/model_training:", on_click=go_training)


def go_training() -> None:
    st.session_state[state.Param.RUNS_VIEW] = TRAIN


def draw_ticked(visible: dict[str, object], *, only: bool) -> None:
    ticked = state.runs()
    reads.prefetch(*((reads.run, run_id) for run_id in ticked if run_id not in visible))
    runs = []
    for run_id in ticked:
        try:
            runs.append(visible.get(run_id) or reads.run(run_id))
        except DecantError as error:
            show_error(error)
    if not runs:
        return
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(f"{len(runs)} runs compared" if len(runs) > 1 else "The ticked run")
        with st.container(horizontal=True, horizontal_alignment="right"):
            if len(runs) == 2 and change_button(
                "Deploy these two as A and B",
                icon=":material/rocket_launch:",
                disabled=not all(has_model(run) for run in runs),
            ):
                state.write(state.Param.MODEL_A, runs[0].run_id)
                state.write(state.Param.MODEL_B, runs[1].run_id)
                st.switch_page("../pages/deploy.py")
            if st.button("Untick all", icon=":material/clear_all:"):
                state.select_runs([])
                st.rerun()
    if len(runs) > 1:
        draw_compare(runs, only_differences=only)
        names = dict(zip((run.run_id for run in runs), run_columns.names(runs), strict=True))
        shown = st.segmented_control(
            "Details of", list(names), format_func=names.__getitem__, default=ticked[0] if ticked[0] in names else None
        )
        runs = [run for run in runs if run.run_id == shown]
    for run in runs:
        draw_detail(run)


st.title("Runs")
if "runs-view-wanted" in st.session_state:  # a button elsewhere on the page asked; a widget's state is set before it
    st.session_state[state.Param.RUNS_VIEW] = st.session_state.pop("runs-view-wanted")
view = st.segmented_control(
    "What to do",
    [BROWSE, TRAIN],
    default=BROWSE,
    required=True,
    key=state.Param.RUNS_VIEW,
    bind="query-params",
    label_visibility="collapsed",
)
if view == BROWSE:
    with boundary("The list of runs"):
        browse()
else:
    with boundary("The form"):
        draw_training_form()
    with boundary("The list of trainings"):
        draw_trainings()
