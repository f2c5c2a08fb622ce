"""Where the rows of a replay come from: bundled, uploaded, or logged by a run in MLflow."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import format as fmt
from app import reads
from app.guard import boundary, escape
from app.wiring import services
from services.tracking.datasets import LoggedDataset, read_dataset
from services.traffic.datasets import BUNDLED, Dataset, save_upload

WINE, UPLOAD, LOGGED = "wine-quality", "upload", "logged"
SOURCES = {
    WINE: "Bundled: white wines (4,898 rows)",
    UPLOAD: "Upload a CSV or Parquet file",
    LOGGED: "A dataset logged in MLflow",
}
RUNS = 50
"""The newest runs that are offered."""


@dataclass(frozen=True)
class Source:
    """A dataset with the way the worker finds it and the name people know it by."""

    dataset: Dataset
    label: str = ""

    @property
    def reference(self) -> str:
        return self.dataset.name if self.dataset.name in BUNDLED else str(self.dataset.path)


def choose_source() -> tuple[Source | None, DeltaGenerator]:
    """The choice and what it needs (None while there is nothing to send), and the place where the target belongs."""
    left, right = st.columns(2)
    source = left.selectbox(
        "Data", list(SOURCES), format_func=SOURCES.__getitem__, key="replay-source", persist_state="session"
    )
    if source == WINE:
        return Source(reads.dataset(WINE)), right
    with boundary("The data"):
        return (_upload(), right) if source == UPLOAD else _logged(right)
    return None, right


def _upload() -> Source | None:
    settings = services().settings
    given = st.file_uploader(
        "A table with one row per request and the truth in one column",
        type=["csv", "parquet"],
        max_upload_size=settings.max_upload_mb,
        key="replay-upload",
    )
    if given is not None:
        # The path outlives the browser's upload, so that the choice survives a look at another page.
        st.session_state["replay-upload-path"] = str(save_upload(settings, given.name, given.getvalue()))
        st.session_state["replay-upload-name"] = given.name
    path = st.session_state.get("replay-upload-path")
    if not path:
        st.caption(f"Up to {settings.max_upload_mb} MiB. The first line of a CSV holds the names of the columns.")
        return None
    dataset = reads.dataset(path)
    name = st.session_state.get("replay-upload-name", dataset.name)
    st.caption(f"{escape(name)}: {fmt.count(dataset.rows)} rows, {len(dataset.columns)} columns")
    return Source(dataset, name)


def _logged(beside: DeltaGenerator) -> tuple[Source | None, DeltaGenerator]:
    runs = {run.run_id: run.name for run in reads.recent_runs(RUNS)}
    if not runs:
        st.caption("MLflow has no runs yet. A run logs its data with `mlflow.log_input`.")
        return None, beside
    run_id = beside.selectbox("Run", list(runs), format_func=lambda r: f"{runs[r]} ({r[:8]})", key="replay-run")
    inputs = reads.logged_datasets(run_id)
    if not inputs:
        st.caption(f"The run {escape(runs[run_id])} has logged no dataset; `mlflow.log_input` does.")
        return None, beside
    left, right = st.columns(2)
    place = left.selectbox("Dataset of the run", range(len(inputs)), format_func=lambda i: _title(inputs[i]))
    chosen = inputs[place]
    if chosen.path is None:
        st.warning(
            f"**“{escape(chosen.name)}” cannot be loaded:** {escape(chosen.trouble)}.  \n"
            f"MLflow's digest {escape(chosen.digest)}, source {escape(chosen.source)}.",
            icon=":material/link_off:",
        )
        return None, right
    settings = services().settings
    dataset = reads.dataset(str(save_upload(settings, chosen.path.name, read_dataset(chosen, settings.max_upload_mb))))
    st.caption(
        f"{fmt.count(dataset.rows)} rows from {escape(chosen.source)}, MLflow's digest {escape(chosen.digest)}."
        + _partly(chosen, dataset)
    )
    return Source(dataset, f"{chosen.name} of {runs[run_id]}"), right


def _title(found: LoggedDataset) -> str:
    parts = [found.name, found.context, f"{found.rows:,} rows" if found.rows is not None else "", found.digest]
    return " · ".join(part for part in parts if part) + (" (cannot be loaded)" if found.path is None else "")


def _partly(found: LoggedDataset, dataset: Dataset) -> str:
    """A run may log some rows of a file; MLflow does not keep which."""
    if found.rows is None or found.rows == dataset.rows:
        return ""
    used = f" as {escape(found.context)}" if found.context else ""
    return f"  \n:material/info: The run logged {found.rows:,} of them{used}; a replay sends rows of the whole file."
