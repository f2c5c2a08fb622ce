"""Which rows of its data a run was trained on, if the run says so.

MLflow keeps digests of whole datasets but not which rows were which part. A run that logs the artifact
`data/split.json` (file, sha256, rows, training_rows, test_rows; see data/wine-quality/train.py) lets a replay of the
same file tell rows that the model has seen from rows that it has not.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from services.errors import InvalidInput, NotFound, Rejected
from services.tracking.door import Door

ARTIFACT = "data/split.json"
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class RowSplit:
    """`sha256` is that of the data file; rows are numbers within it, from 0."""

    sha256: str
    training: frozenset[int]


def read_row_split(door: Door, run_id: str) -> RowSplit | None:
    """The split that a run logged; None if it logged none that can be read. Raises Unavailable."""
    try:
        with door.asking("artifact", f"{run_id}/{ARTIFACT}") as client, tempfile.TemporaryDirectory() as folder:
            path = Path(client.download_artifacts(run_id, ARTIFACT, folder))
            if path.stat().st_size > MAX_BYTES:
                return None
            stored = json.loads(path.read_text())
        return RowSplit(str(stored["sha256"]), frozenset(int(row) for row in stored["training_rows"]))
    except (NotFound, Rejected, InvalidInput, ValueError, KeyError, TypeError, FileNotFoundError):
        return None
