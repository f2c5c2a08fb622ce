"""Which deployment the Deploy page is about: one that exists, or a new one with its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app import state
from app.guard import escape
from app.wiring import services
from services.domain import DeploymentStatus, check_name
from services.errors import InvalidName

NEW = "New deployment"
DEFAULT_NAME = "mlflow-deployment"


@dataclass(frozen=True)
class Target:
    """The deployment meant; `status` None: it is to be made. `problem` says why its name will not do.

    `gone`: the address names one that is not there.
    """

    namespace: str
    name: str
    status: DeploymentStatus | None
    problem: str = ""
    gone: bool = False

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def choose_target(statuses: Sequence[DeploymentStatus]) -> Target:
    """Draw the picker, with fields for a new name; the choice goes into the URL."""
    by_key = {status.deployment.key: status for status in statuses}
    options = [*by_key, NEW]
    wanted = "/".join(state.deployment() or ())
    gone = wanted and wanted not in by_key
    start = wanted if wanted in by_key else NEW if gone or not by_key else options[0]
    with st.container(width=560):
        chosen = st.selectbox(
            "Deployment",
            options,
            index=options.index(start),
            key=f"target-{'|'.join(options)}-{wanted if wanted in by_key else ''}",
            format_func=lambda option: f"+ {option}" if option == NEW else option,
        )
    if chosen != NEW:
        status = by_key[chosen]
        state.select_deployment(status.deployment.namespace, status.deployment.name)
        return Target(status.deployment.namespace, status.deployment.name, status)
    return _name_new(by_key, wanted if gone else "")


def _name_new(taken: dict[str, DeploymentStatus], wanted: str) -> Target:
    namespace_wanted, _, name_wanted = wanted.partition("/")
    with st.container(width=560):
        left, right = st.columns([2, 3])
        with left:
            namespace = _choose_namespace(namespace_wanted)
        default = services().settings.default_namespace
        suggestion = name_wanted or ("" if f"{default}/{DEFAULT_NAME}" in taken else DEFAULT_NAME)
        name = right.text_input(
            "Name", suggestion, key="new-name", live=True, placeholder="lower-case letters, digits and hyphens"
        ).strip()
        problem = name_problem(namespace, name, taken)
        if problem:
            st.caption(f":red[{escape(problem)}]")
    return Target(namespace, name, None, problem, gone=bool(wanted))


def _choose_namespace(wanted: str) -> str:
    """One of those that may be used, or any where the settings name none."""
    settings = services().settings
    allowed = settings.allowed_namespaces
    if not allowed:
        return st.text_input("Namespace", wanted or settings.default_namespace, key="new-namespace", live=True).strip()
    start = allowed.index(wanted) if wanted in allowed else 0
    return st.selectbox("Namespace", allowed, index=start, key="new-namespace")


def name_problem(namespace: str, name: str, taken: Sequence[str] | dict[str, DeploymentStatus]) -> str:
    """Why this name cannot be given to a new deployment, in words; empty when it can. Pure."""
    if not name:
        return "Give the deployment a name."
    try:
        check_name("namespace", namespace)
        check_name("deployment", name)
    except InvalidName as error:
        return str(error)
    if f"{namespace}/{name}" in taken:
        return f"There is already a deployment {namespace}/{name}: pick it above to change it."
    return ""
