"""One run with everything MLflow knows of it, and the way from here to a deployment."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd
import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.rights import change_button
from app.components.run_columns import seconds
from app.components.signature_view import draw_signature
from app.guard import boundary, escape
from app.wiring import services
from services.errors import NotFound

if TYPE_CHECKING:
    from services.tracking.models import ModelRef
    from services.tracking.runs import Run

DEPLOY_PAGE = "../pages/deploy.py"


def without_user(address: str) -> str:
    """The address without a user and a password, which belong in no page: browsers ask for them. Pure."""
    return re.sub(r"//[^/@\s]*@", "//", address)


def draw_detail(run: Run) -> None:
    """The run's headline, the buttons that use it, and its details in tabs."""
    started, took = fmt.ago(run.started_at), fmt.duration(seconds(run.started_at, run.ended_at))
    st.subheader(run.name or run.run_id[:8])
    st.caption(f"`{run.run_id}` · {run.status.lower()} · started {started} · took {took} · by {run.user or fmt.NONE}")
    reference = _choose_model(run)
    with st.container(horizontal=True, vertical_alignment="center"):
        use_buttons(reference, key=run.run_id, disabled=not has_model(run))
        address = without_user(services().settings.tracking_uri)
        if address.startswith(("http://", "https://")):
            path = f"#/experiments/{quote(run.experiment_id)}/runs/{quote(run.run_id)}"
            st.link_button("Open in MLflow", f"{address.rstrip('/')}/{path}", icon=":material/open_in_new:")
    if not has_model(run):
        st.caption("This run logged no model, so there is nothing to deploy.")
    overview, model, files = st.tabs(["Parameters and metrics", "Model", "Artifacts"])
    with overview:
        _draw_values(run)
    with model, boundary("The model's description"):
        _draw_model(reference, run)
    with files, boundary("The list of artifacts"):
        paths = reads.artifacts(run.run_id)
        st.code("\n".join(paths) if paths else "(no artifacts)", language=None, height=min(400, 60 + 24 * len(paths)))


def use_buttons(reference: str, *, key: str, disabled: bool = False) -> None:
    """“Use as A” and “Use as B”: go to the Deploy page with the model in the URL."""
    for arm, param in (("A", state.Param.MODEL_A), ("B", state.Param.MODEL_B)):
        if change_button(f"Use as {arm}", key=f"use-{arm}-{key}", icon=":material/rocket_launch:", disabled=disabled):
            state.write(param, reference)
            st.switch_page(DEPLOY_PAGE)


def has_model(run: Run) -> bool:
    return bool(run.models) or run.mlflow2_model


def _choose_model(run: Run) -> str:
    """The reference that stands for the run's model; a run that logged several lets one choose."""
    if len(run.models) < 2:
        return run.run_id
    chosen = st.selectbox("Which of its logged models", run.models, key=f"logged-{run.run_id}")
    return f"models:/{chosen}"


def _draw_values(run: Run) -> None:
    left, right = st.columns(2)
    with left:
        _draw_pairs("Metrics", {name: f"{value:.6g}" for name, value in run.metrics.items()})
    with right:
        _draw_pairs("Parameters", run.params)
    if run.tags:
        _draw_pairs("Tags", run.tags)


def _draw_pairs(title: str, pairs: dict[str, str]) -> None:
    st.markdown(f"**{title}**")
    if not pairs:
        st.caption("none logged")
        return
    rows = sorted(pairs.items())
    st.dataframe(pd.DataFrame(rows, columns=["Name", "Value"]), hide_index=True, height=38 + 35 * min(len(rows), 12))


def _draw_model(reference: str, run: Run) -> None:
    if not has_model(run):
        st.caption("This run logged no model.")
        return
    try:
        model: ModelRef = reads.model(reference)
    except NotFound as error:
        st.caption(f"{escape(error.sentence)} {escape(error.hint)}")
        return
    st.caption(f"`{model.uri}` · flavors {', '.join(model.flavors) or fmt.NONE} · Python {model.python_version or '?'}")
    draw_signature(model.signature)
    if model.input_example is not None:
        with st.expander("Input example"):
            st.code(json.dumps(model.input_example, default=str, indent=1)[:5000], language="json", height=200)
    with st.expander("MLmodel"):
        st.code(model.mlmodel_text or "(not readable)", language="yaml")
    if model.requirements:
        with st.expander(f"Requirements ({len(model.requirements)})"):
            st.code("\n".join(model.requirements), language="text")
