"""The form that starts a training: one field per parameter of the MLproject."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import streamlit as st

from app import reads
from app.components.rights import leads_only
from app.components.worker_notice import draw_worker_notice
from app.guard import boundary, escape
from app.wiring import services, who
from services.errors import InvalidInput
from services.settings import ROOT, EnvManager

if TYPE_CHECKING:
    from services.jobs.training import ProjectParameter

WINE_PROJECT = ROOT / "data" / "wine-quality"
HINTS = {"alpha": "0.5", "l1_ratio": "0.5"}  # the tutorial's values, shown where a project has no default
ENV_HELP = (
    "local: the Python that runs Decant (quickest). uv, virtualenv, conda: MLflow first builds the project's own "
    "environment, which takes minutes and needs that tool."
)


def draw_training_form() -> None:
    """Draw it; submitting starts a job and forgets the draft."""
    if not leads_only("Training models"):
        return
    draw_worker_notice("A training you start now waits until the worker is back.")
    with st.expander("Project", icon=":material/folder:"):
        folder = st.text_input(
            "Folder with an MLproject", str(WINE_PROJECT), key="training-project", persist_state="session"
        )
    project = Path(folder.strip()).expanduser()
    with boundary("The project's parameters"):
        _draw_fields(project, services().training.parameters(project))


def _draw_fields(project: Path, parameters: list[ProjectParameter]) -> None:
    settings = services().settings
    with st.form("training", border=True):
        st.markdown(f"**Train `{escape(project.name)}`**")
        columns = st.columns(max(2, min(4, len(parameters))))
        values = {p.name: _field(columns[i % len(columns)], p, project) for i, p in enumerate(parameters)}
        left, right = st.columns(2)
        experiment = left.text_input("Experiment", settings.mlflow_experiment, help="Made when it does not exist.")
        managers = list(get_args(EnvManager))
        manager = right.selectbox("Environment", managers, index=managers.index(settings.env_manager), help=ENV_HELP)
        sent = st.form_submit_button("Start training", type="primary", icon=":material/model_training:")
    if not sent:
        return
    given = {name: value.strip() for name, value in values.items() if value.strip()}
    missing = [p.name for p in parameters if p.default is None and p.name not in given]
    if missing:
        raise InvalidInput(f"{' and '.join(missing)} need{'s' if len(missing) == 1 else ''} a value.")
    training = services().training.submit(
        given, who=who(), project=project, experiment=experiment.strip() or None, env_manager=manager
    )
    reads.forget()
    st.session_state[TRAINING_SHOWN] = training.id
    st.toast(f"Training {training.id} is on its way.", icon=":material/model_training:")


TRAINING_SHOWN = "training-shown"


def _field(place: st.delta_generator.DeltaGenerator, parameter: ProjectParameter, project: Path) -> str:
    """Text for every type: the project itself says what it takes, and MLflow checks it."""
    default = "" if parameter.default is None else str(parameter.default)
    hint = HINTS.get(parameter.name, "") if project == WINE_PROJECT else ""
    return place.text_input(
        f"{parameter.name} ({parameter.type})",
        default,
        placeholder=f"for example {hint}" if hint else "required" if parameter.default is None else "",
        key=f"training-{project}-{parameter.name}",
        persist_state="session",
    )
