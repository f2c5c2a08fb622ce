"""The manifest that Apply would write, and what in it differs from what is live."""

from __future__ import annotations

import streamlit as st

from app.components.draft import diff
from services.domain import Deployment
from services.operations import manifest_text


def draw_manifest(yaml_text: str, wanted: Deployment, live: Deployment | None) -> bool:
    """Draw diff and YAML; returns whether there is anything to apply."""
    changes = diff(manifest_text(live), manifest_text(wanted)) if live else ""
    if live is None:
        with st.expander("Manifest (SeldonDeployment)", icon=":material/description:"):
            st.code(yaml_text, language="yaml", height=420)
        return True
    added = sum(line.startswith("+") and not line.startswith("+++") for line in changes.splitlines())
    gone = sum(line.startswith("-") and not line.startswith("---") for line in changes.splitlines())
    title = f"Difference from live: {added} lines in, {gone} out" if changes else "Manifest: as it is live"
    with st.expander(title, icon=":material/difference:", expanded=bool(changes)):
        tab_diff, tab_yaml = st.tabs(["Difference", "Whole manifest"])
        tab_diff.code(changes or "(none)", language="diff")
        tab_yaml.code(yaml_text, language="yaml", height=420)
    return bool(changes)
