"""What a form was filled from, so that a change made by somebody else meanwhile is noticed and never overwritten.

The draft of a form lives in the session and the truth in the engine. While nobody touched the form it follows the
truth; once touched it stays bound to the version it began with, and the engine refuses that version if it is old.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from services.domain import Deployment, DeploymentStatus


@dataclass(frozen=True)
class Base:
    """The state a form began with. `generation` is part of its widgets' keys: a new one is a fresh form."""

    version: str  # "" while the deployment is to be made
    deployment: Deployment | None
    generation: int


def follow(form: str, key: str, status: DeploymentStatus | None) -> Base:
    """The base of `form` for the deployment `key`: as remembered, or begun now."""
    bases: dict[str, Base] = st.session_state.setdefault(f"bases-{form}", {})
    if key not in bases:
        bases[key] = Base(status.version if status else "", status.deployment if status else None, 0)
    return bases[key]


def renew(form: str, key: str, status: DeploymentStatus | None) -> Base:
    """Begin the form anew from `status`, forgetting what was typed."""
    before = follow(form, key, status)
    made = Base(status.version if status else "", status.deployment if status else None, before.generation + 1)
    st.session_state[f"bases-{form}"][key] = made
    return made


def adopt(form: str, key: str, old_version: str, status: DeploymentStatus) -> None:
    """One's own change moved `old_version` on: a form bound to that is bound to the new one, with its fields kept."""
    bases: dict[str, Base] = st.session_state.setdefault(f"bases-{form}", {})
    if key in bases and bases[key].version == old_version:
        bases[key] = replace(bases[key], version=status.version, deployment=status.deployment)
