"""Choosing a model: recent runs with their metrics, registered versions, or a reference typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from app import reads, state
from app.components.signature_view import short_uri, summary
from app.guard import escape
from services.domain import Predictor
from services.errors import DecantError

if TYPE_CHECKING:
    from services.tracking.models import ModelRef
    from services.tracking.runs import RegisteredVersion, Run

RECENT_RUNS = 50
METRICS_SHOWN, PARAMS_SHOWN = 3, 3
HELP = (
    "Type to search. Also takes a run id, runs:/…/model, models:/m-…, models:/name/3, models:/name@alias or the path "
    "of a model folder."
)


def run_label(run: Run) -> str:
    """A run in one line. Stable and unique, for the browser knows an entry by its text."""
    metrics = [f"{name} {value:.4g}" for name, value in sorted(run.metrics.items())[:METRICS_SHOWN]]
    params = [f"{name}={value}" for name, value in sorted(run.params.items())[:PARAMS_SHOWN]]
    return " · ".join([run.name or "run", *params, *metrics, run.run_id[:8]])


def version_label(version: RegisteredVersion) -> str:
    aliases = "".join(f" @{alias}" for alias in version.aliases)
    return f"{version.name} v{version.version}{aliases} (registered)"


def choices(runs: Sequence[Run], versions: Sequence[RegisteredVersion], present: Predictor | None) -> dict[str, str]:
    """Labels by reference: what runs now, then registered versions, then runs that have a model. Pure."""
    found: dict[str, str] = {}
    if present is not None:
        found[present.model_uri] = f"{present.provenance.label} · as it is live"
    for version in versions:
        found.setdefault(f"models:/{version.name}/{version.version}", version_label(version))
    for run in runs:
        if run.models or run.mlflow2_model:
            for model in run.models if len(run.models) > 1 else ():
                found.setdefault(f"models:/{model}", f"{run_label(run)} · {model[:10]}")
            if len(run.models) < 2:
                found.setdefault(run.run_id, run_label(run))
    return found


def known_choices(present: Predictor | None) -> dict[str, str]:
    """`choices` from MLflow; without it only what runs now, so that typing a reference still works."""
    runs: Sequence[Run] = ()
    versions: Sequence[RegisteredVersion] = ()
    with suppress(DecantError):  # the page says once that MLflow is down; see draw_tracking_notice
        runs, versions = reads.recent_runs(RECENT_RUNS), reads.registered_models()
    return choices(runs, versions, present)


def draw_picker(label: str, labels: Mapping[str, str], *, key: str, default: str | None, optional: bool) -> str | None:
    """The searchable box. Returns the reference chosen or typed, None for none."""
    options = list(labels)
    typed = st.session_state.get(key, default)
    by_label = {text: reference for reference, text in labels.items()}
    typed = by_label.get(typed, typed) if typed else None
    if typed and typed not in labels:
        options.insert(0, typed)
    chosen = st.selectbox(
        label,
        options,
        index=options.index(default) if default in options else None,
        format_func=lambda reference: labels.get(reference, reference),
        accept_new_options=True,
        placeholder="none" if optional else "a run, a registered version or a reference",
        key=key,
        help=HELP,
        label_visibility="collapsed",
    )
    return by_label.get(chosen, chosen).strip() or None if chosen else None


def draw_resolved(reference: str, present: Predictor | None) -> tuple[ModelRef | None, str]:
    """Find the model and say what it is. Returns it (None: what is live stays) and the problem in words, if any."""
    if present is not None and reference == present.model_uri:
        st.caption(f"stays `{short_uri(present.model_uri)}`")
        return None, ""
    try:
        model = reads.model(reference)
    except DecantError as error:
        st.caption(f":red[{escape(error.sentence)}] {escape(error.hint)}")
        return None, error.sentence
    flavors = ", ".join(f for f in model.flavors if f != "python_function") or "python_function"
    st.caption(f"`{short_uri(model.uri)}` · {summary(model.signature)} · {flavors}")
    return model, ""


def draw_tracking_notice() -> None:
    """Say so when MLflow does not answer or has no model: the lists are empty then."""
    try:
        if not any(run.models or run.mlflow2_model for run in reads.recent_runs(RECENT_RUNS)):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.info("MLflow has no run with a model yet: train one first.", icon=":material/science:")
                if st.button("Train a model", icon=":material/model_training:"):
                    st.switch_page("../pages/runs.py", query_params={state.Param.RUNS_VIEW.value: "Train"})
    except DecantError as error:
        st.warning(
            f"**{escape(error.sentence)}** The lists of models are empty until it does; what is live goes on.",
            icon=":material/cloud_off:",
        )
