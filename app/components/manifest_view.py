"""The manifest that Apply would write, and what in it differs from what is live."""

from __future__ import annotations

import streamlit as st

from app import reads
from app.components.draft import diff
from services.deployments.manifest import without_stamps


def draw_manifest(yaml_text: str, key: str, exists: bool) -> bool:
    """Draw what would be written for the deployment `key` (namespace/name), and where it differs from what is live, as
    the engine itself has both; returns whether there is anything to apply."""
    if not exists:
        with st.expander("Manifest (SeldonDeployment)", icon=":material/description:"):
            st.code(yaml_text, language="yaml", height=420)
        return True
    changes = diff(without_stamps(reads.manifest(*key.split("/", 1))), without_stamps(yaml_text))
    added = sum(line.startswith("+") and not line.startswith("+++") for line in changes.splitlines())
    gone = sum(line.startswith("-") and not line.startswith("---") for line in changes.splitlines())
    title = f"Difference from live: {added} lines in, {gone} out" if changes else "Manifest: as it is live"
    with st.expander(title, icon=":material/difference:", expanded=bool(changes)):
        tab_diff, tab_yaml = st.tabs(["Difference", "Whole manifest"])
        if changes:
            tab_diff.code(changes, language="diff")
        else:
            tab_diff.caption("No difference: Apply would change nothing.")
        tab_yaml.code(yaml_text, language="yaml", height=420)
    return bool(changes)
