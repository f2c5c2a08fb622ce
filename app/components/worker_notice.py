"""Background jobs need the worker; where it does not run, the page says so before somebody waits for nothing."""

from __future__ import annotations

import streamlit as st

from app import reads
from app.guard import escape


def draw_worker_notice(consequence: str) -> None:
    """Draw nothing when the worker runs, else what that means and what to do."""
    worker = reads.part("Worker")
    if worker is None or worker.ok:
        return
    st.warning(
        f"**The worker does not run.** {escape(consequence)}  \n{escape(worker.hint)}", icon=":material/cloud_off:"
    )
