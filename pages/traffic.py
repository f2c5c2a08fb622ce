"""Traffic: one request by hand, a labelled dataset replayed through a deployment, or truths that arrive later."""

from __future__ import annotations

import streamlit as st

from app import reads, state
from app.components.late_truth import draw_late_truth
from app.components.one_request import draw_one_request
from app.components.picker import pick_deployment
from app.components.replay_form import draw_replay_form
from app.components.replay_progress import draw_replays
from app.components.rights import change_button
from app.guard import boundary

ONE, REPLAY, TRUTH = "One request", "Replay", "Late truth"


def page() -> None:
    statuses = reads.deployments()
    status = pick_deployment(statuses)
    if status is None:
        st.info("There is no deployment to send traffic to yet.", icon=":material/rocket_launch:")
        if change_button("Deploy a model", type="primary", icon=":material/rocket_launch:"):
            st.switch_page("../pages/deploy.py")
        return
    reads.prefetch(*((reads.model, p.model_uri) for p in status.deployment.predictors[:1]), (reads.health,))
    sending = st.segmented_control(
        "What to send",
        [ONE, REPLAY, TRUTH],
        default=ONE,
        required=True,
        key=state.Param.SENDING,
        bind="query-params",
        label_visibility="collapsed",
    )
    if sending == ONE:
        with boundary("The request"):
            draw_one_request(status)
        return
    if sending == TRUTH:
        with boundary("Late truth"):
            draw_late_truth(status.deployment)
        return
    with boundary("The form"):
        draw_replay_form(status)
    with boundary("The list of replays"):
        draw_replays(status.deployment)


st.title("Traffic")
with boundary("The engine"):
    page()
