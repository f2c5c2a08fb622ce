"""What a person should know about the way of requests: drawn arms, a detour, a protocol without feedback."""

from __future__ import annotations

import streamlit as st

from app.guard import escape
from app.wiring import services
from services.domain import Deployment, Endpoint
from services.errors import DecantError

NO_FEEDBACK = (
    "This deployment speaks V2, which has no feedback: rewards stay in the ledger, and the counters hold none."
)


def draw_way_note(deployment: Deployment) -> None:
    """A caption per thing worth saying; nothing where requests simply go through the split."""
    try:
        endpoint = services().engine.endpoint(deployment.namespace, deployment.name)
    except DecantError:
        return  # sending says it in words
    for note in notes(endpoint):
        st.caption(f":material/alt_route: {escape(note)}")


def notes(endpoint: Endpoint) -> list[str]:
    """The sentences, most important first. Pure."""
    return [note for note in (endpoint.note, "" if endpoint.feeds else NO_FEEDBACK) if note]
