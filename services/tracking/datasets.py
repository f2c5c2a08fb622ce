"""Datasets that runs have logged (`mlflow.log_input`), and the way from such an entry to a file that can be replayed.

MLflow keeps a description, not the rows: a name, a digest, a schema and where the rows came from. Where that is a file
this machine can read, it can be replayed; where it is code, a web address or a table elsewhere, nobody but that code
has the rows, and the reason is given in words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from services.errors import InvalidInput, Unavailable
from services.tracking.door import Door

CONTEXT_TAG = "mlflow.data.context"
LOCAL = "local"
SUFFIXES = (".csv", ".parquet")
_ELSEWHERE = {
    "code": "it was made in the code of the run, and MLflow keeps no copy of its rows",
    "http": "it comes from the web; download it and upload it here",
    "hugging_face": "it comes from Hugging Face; save it as a file and upload it here",
    "delta_table": "it is a Delta table; save it as a file and upload it here",
    "spark": "it comes from Spark; save it as a file and upload it here",
}


@dataclass(frozen=True)
class LoggedDataset:
    """One dataset input of a run.

    `digest` is MLflow's own; `context` is what the run used it for (training, test, ...), "" if it does not say;
    `rows` is how many the run logged, None if unknown. Either `path` is a file to read or `trouble` says why not.
    """

    run_id: str
    name: str
    digest: str
    context: str
    source: str
    rows: int | None
    path: Path | None
    trouble: str = ""


class DatasetCatalogue:
    """The datasets of runs. Making one connects to nothing."""

    def __init__(self, tracking_uri: str) -> None:
        self._door = Door(tracking_uri)

    def of_run(self, run_id: str) -> list[LoggedDataset]:
        """The dataset inputs of a run, as logged. Raises NotFound, Unavailable."""
        with self._door.asking("run", run_id) as client:
            run = client.get_run(run_id)
        inputs = run.inputs.dataset_inputs if run.inputs else []
        return [_logged(run_id, item) for item in inputs]


def read_dataset(dataset: LoggedDataset, max_mb: int) -> bytes:
    """The content of its file. Raises InvalidInput if there is none or it is too large, Unavailable if unreadable."""
    if dataset.path is None:
        raise InvalidInput(f"The dataset “{dataset.name}” cannot be loaded: {dataset.trouble}.")
    try:
        size_mb = dataset.path.stat().st_size / 1024**2
        if size_mb > max_mb:
            raise InvalidInput(
                f"{dataset.path.name} has {size_mb:.1f} MiB; the limit is {max_mb}.",
                "Raise it with DECANT_MAX_UPLOAD_MB.",
            )
        return dataset.path.read_bytes()
    except OSError as error:
        raise Unavailable(f"The file {dataset.path}", str(error)) from error


def _logged(run_id: str, item: Any) -> LoggedDataset:
    found = item.dataset
    context = next((tag.value for tag in item.tags or [] if tag.key == CONTEXT_TAG), "")
    path, source, trouble = _locate(str(found.source_type), _mapping(found.source))
    rows = _mapping(found.profile).get("num_rows")
    return LoggedDataset(
        run_id, found.name, found.digest, context, source, rows if isinstance(rows, int) else None, path, trouble
    )


def _locate(kind: str, source: dict[str, Any]) -> tuple[Path | None, str, str]:
    """The file (or None), where the rows came from, and why there is no file."""
    where = str(source.get("uri") or source.get("url") or source.get("path") or kind)
    if kind != LOCAL:
        return None, where, _ELSEWHERE.get(kind, f"its source is of the kind “{kind}”, which Decant does not read")
    path = Path(unquote(urlsplit(where).path) if where.startswith("file:") else where)
    if not path.is_absolute():
        return None, where, f"its source {where} is relative to wherever the run was started"
    if not path.exists():
        return None, where, f"there is no {where} on this machine"
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if len(files) != 1:
            return None, where, f"{where} is a folder with {len(files)} CSV or Parquet files, and one is wanted"
        path = files[0]
    if path.suffix.lower() not in SUFFIXES:
        return None, where, f"{where} is neither CSV nor Parquet"
    return path, where, ""


def _mapping(text: str | None) -> dict[str, Any]:
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
