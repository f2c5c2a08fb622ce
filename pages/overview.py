"""Overview: what is deployed, what answers, and where to begin."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components.landscape import draw_landscape, draw_wine_trainings, train_wine_example
from app.components.rights import change_button
from app.guard import boundary, guarded
from app.wiring import reader, services, who

REFRESH_S = 5
TRAININGS = "wine-trainings-asked"  # their numbers, for as long as this session lives

built = reader()


@guarded("Training")
def train() -> None:
    st.session_state[TRAININGS] = train_wine_example(services(), who())
    state.write(state.Param.GUIDE, "1")
    st.toast("Two trainings are queued; the Runs page shows how they get on.", icon=":material/science:")


@guarded("The guide")
def toggle_guide() -> None:
    state.write(state.Param.GUIDE, None if state.read(state.Param.GUIDE) else "1")


@guarded("The overview")
def live() -> None:
    nothing = draw_landscape(built)
    if asked := st.session_state.get(TRAININGS):
        with boundary("The trainings"):
            draw_wine_trainings(built, asked)
    if not nothing:
        return
    with st.container(border=True, key="empty"):
        st.markdown("##### Nothing is deployed yet")
        st.markdown("Train the tutorial's two wine models, or let the guide lead you through a whole A/B test.")
        with st.container(horizontal=True):
            # The buttons are in the fragment, what they change is around it too: hence the whole rerun.
            if change_button("Train the wine example", icon=":material/science:", on_click=train, key="train-wine"):
                st.rerun()
            if not guided and change_button(
                "Start the guided A/B test", icon=":material/flag:", on_click=toggle_guide, type="primary", key="start"
            ):
                st.rerun()


guided = bool(state.read(state.Param.GUIDE))
heading, corner = st.columns([3, 1], vertical_alignment="center")
heading.title("Overview")
with corner.container(horizontal=True, horizontal_alignment="right"):
    label = "Hide the guide" if guided else "Guided A/B test"
    change_button(label, icon=":material/flag:", on_click=toggle_guide, key="guide-toggle")
st.fragment(live, run_every=REFRESH_S)()
