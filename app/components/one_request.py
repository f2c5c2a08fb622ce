"""One request by hand: the form, then what each arm answered, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import reads
from app.components.answers import draw_answers
from app.components.request_fields import draw_fields, missing
from app.components.reward_picker import draw_reward, read_truth
from app.components.rights import leads_only
from app.components.way_note import draw_way_note
from app.guard import boundary, escape
from app.wiring import services
from services.domain import Deployment, DeploymentStatus, Phase
from services.errors import DecantError, InvalidInput
from services.schema import Signature
from services.trials import Trial, try_row

if TYPE_CHECKING:
    from services.tracking.models import ModelRef

EACH, SPLIT = "Same row to each arm", "Through the split"


def draw_one_request(status: DeploymentStatus) -> None:
    """Form on top, answers below; the answers of the last row stay until the next."""
    if not leads_only("Sending requests"):
        return
    deployment = status.deployment
    model = describe_model(deployment, "So there is no form for its columns: write the row as JSON.")
    not_ready = [p.name for p in status.predictors if p.phase is not Phase.READY and not p.updating]
    if not_ready:
        st.warning(
            f"Not ready: {', '.join(not_ready)}. Requests to it fail until it is; see the Deploy page.",
            icon=":material/hourglass_top:",
        )
    draw_way_note(deployment)
    modes = [EACH, SPLIT]
    mode = st.segmented_control(
        "Where to", modes, default=EACH, required=True, key="trial-mode", persist_state="session"
    )
    with st.form("trial", border=True):
        row: list[Any] = []
        names: tuple[str, ...] = ()
        truth, reward = None, None
        signature = model.signature if model else Signature()
        with boundary("The form"):
            row, names = draw_fields(signature, model.input_example if model else None, f"row-{deployment.key}")
            left, right = st.columns(2)
            with left:
                truth_text = st.text_input(
                    "True value (optional)",
                    key="trial-truth",
                    help="With it, the row earns a reward: for the ledger and, through the split, as feedback.",
                )
            with right:
                reward = draw_reward(key="trial-reward")
            truth = read_truth(truth_text)
        sent = st.form_submit_button("Send", type="primary", icon=":material/send:")
    if reward and reward.warning:
        st.caption(f":material/warning: {escape(reward.warning)}")
    held = "trial-answers"
    if sent:
        empty = missing(row, signature)
        if not row or empty:
            raise InvalidInput(f"{', '.join(empty) or 'The row'} needs a value.")
        trial = Trial(deployment.namespace, deployment.name, tuple(row), tuple(names), truth, reward)
        asked: Sequence[str | None] = [p.name for p in deployment.predictors] if mode == EACH else [None]
        with boundary("The request"):
            built = services()
            answers = try_row(built.engine, built.predictions, built.store, trial, asked)
            st.session_state[held] = (deployment.key, answers)
    key, answers = st.session_state.get(held, ("", ()))
    if key == deployment.key and answers:
        draw_answers(answers, deployment)
    else:
        st.caption("Send a row to see what each arm answers, how long it took, and the code that sends the same row.")


def describe_model(deployment: Deployment, consequence: str) -> ModelRef | None:
    """The model of the first arm that can be found. When none can, says so and what follows from it."""
    trouble: DecantError | None = None
    for predictor in deployment.predictors:
        try:
            return reads.model(predictor.model_uri)
        except DecantError as error:
            trouble = error
    say_unfound(trouble, consequence)
    return None


def say_unfound(trouble: DecantError | None, consequence: str) -> None:
    """Say why no model can be found, and what follows from it."""
    if trouble is not None:
        st.info(f"{escape(trouble.sentence)} {escape(consequence)}", icon=":material/data_object:")
