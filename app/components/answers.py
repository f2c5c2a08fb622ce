"""What each arm answered to the same row, beside each other, and the same request as code to copy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeGuard

import streamlit as st

from app import format as fmt
from app.components import arms
from app.components.snippets import by_gateway, seldon_client_text
from app.guard import escape, show_error
from services.domain import Deployment
from services.errors import NotFound
from services.traffic.snippets import curl_text, python_text
from services.trials import Answer

PAST_SPLIT = "Not sent as feedback: the arms' counters are for traffic that the split divides."
NO_FEEDBACK = "Not sent as feedback: V2 has none."
MAY_BE_NEGATIVE = "Not sent as feedback: it can be negative, and the arms' counters only grow."


def draw_answers(answers: Sequence[Answer], deployment: Deployment) -> None:
    """A card per answer, the difference between the first two, then code."""
    columns = st.columns(max(2, len(answers)))
    for column, answer in zip(columns, answers, strict=False):
        with column, st.container(border=True, height="stretch"):
            _draw_one(answer, deployment)
    words = difference(answers, deployment)
    if words:
        st.markdown(words)
    first = answers[0]
    with st.expander("The same request as code", icon=":material/code:"):
        curl, python, *client = st.tabs(["curl", "Python", *(["SeldonClient"] if by_gateway(first.endpoint) else [])])
        curl.code(curl_text(first.endpoint, first.request), language="bash", wrap_lines=True)
        python.code(python_text(first.endpoint, first.request), language="python")
        for tab in client:
            text = seldon_client_text(deployment.namespace, deployment.name, first.endpoint, first.request)
            tab.code(text, language="python")


def difference(answers: Sequence[Answer], deployment: Deployment) -> str:
    """In words, how the first two answers differ; empty when there are not two, or they are no numbers. Pure."""
    if len(answers) < 2 or any(a.prediction is None for a in answers[:2]):
        return ""
    one, two = answers[0], answers[1]
    first, second = value_of(one), value_of(two)
    names = [escape(arms.label(deployment, answer.predictor)) for answer in (one, two)]
    if not (is_number(first) and is_number(second)):
        same = "the same" if first == second else "differently"
        return f"{names[0]} and {names[1]} answered {same}."
    gap = second - first
    sign = "+" if gap > 0 else ""
    relative = f" ({sign}{gap / abs(first) * 100:.2g} %)".replace("-", "−") if first else ""
    return f"Difference {names[1]} − {names[0]}: **{sign}{fmt.number(gap, 4)}**{relative}"


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether one can calculate with it: True and False are answers of classifiers, not numbers. Pure."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_of(answer: Answer) -> object:
    """The one value of the one row, out of whatever lists it comes in. Pure."""
    value: object = answer.prediction.values[0] if answer.prediction and answer.prediction.values else None
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value


def ledger_only(answer: Answer) -> str:
    """Why a reward was not sent as feedback. Pure."""
    if not answer.endpoint.feeds:
        return NO_FEEDBACK
    return PAST_SPLIT if answer.asked else MAY_BE_NEGATIVE


def _draw_one(answer: Answer, deployment: Deployment) -> None:
    name = answer.predictor
    try:
        label = deployment.predictor(name).provenance.label if name else ""
    except NotFound:
        label = ""
    arms.draw_arm_title(arms.position(deployment, name), name, label if answer.asked else f"{label}, by the split")
    if answer.error is not None:
        show_error(answer.error)
        with st.expander("Request sent"):
            st.code(_json(answer.request), language="json")
        return
    found = answer.prediction
    assert found is not None
    value = value_of(answer)
    with st.container(horizontal=True):
        st.metric("Prediction", f"{value:.6g}" if is_number(value) else _short(value))
        st.metric("Latency", fmt.latency(found.latency_ms), help="One request, seen from the dashboard: n = 1.")
        if answer.reward is not None and answer.feedback_error is None:
            if answer.fed:
                st.metric("Reward sent", fmt.number(answer.reward, 4))
            else:
                st.metric(
                    "Reward, in the ledger",
                    fmt.number(answer.reward, 4),
                    help=ledger_only(answer),
                )
    if answer.feedback_error is not None:
        lacking = "it has no reward" if answer.asked else "its feedback did not arrive"
        st.caption(f":red[The prediction is there, but {lacking}:]")
        show_error(answer.feedback_error)
    st.caption(f"puid `{found.puid}`")
    with st.expander("Raw JSON"):
        st.caption("Request")
        st.code(_json(answer.request), language="json")
        st.caption("Response")
        st.code(_json(answer.response), language="json")


def _short(value: object, limit: int = 40) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _json(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False, default=str)
