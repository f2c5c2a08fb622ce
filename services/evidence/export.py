"""Outcomes as files for other tools: Parquet or CSV, written batch by batch, so that their number does not matter."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from services.domain.values import real, single
from services.errors import InvalidInput
from services.evidence.door import connect
from services.evidence.schema import outcomes

BATCH = 20_000

Progress = Callable[[int], None]
"""Told how many rows are written so far."""


class ExportForm(StrEnum):
    """File formats, by the ending of their files."""

    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True)
class ExportScope:
    """Which outcomes: None sets no limit. `since` is inclusive, `until` exclusive."""

    namespace: str | None = None
    deployment: str | None = None
    replay: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> list[sa.ColumnElement[bool]]:
        equal = {
            outcomes.c.namespace: self.namespace,
            outcomes.c.deployment: self.deployment,
            outcomes.c.replay: self.replay,
        }
        found = [column == value for column, value in equal.items() if value is not None]
        if self.since is not None:
            found.append(outcomes.c.at >= self.since)
        if self.until is not None:
            found.append(outcomes.c.at < self.until)
        return found


def export_file(
    database: sa.Engine, path: Path, form: ExportForm, scope: ExportScope, progress: Progress | None = None
) -> int:
    """Write a file, which appears whole or not at all; returns the number of rows.

    Raises InvalidInput if it cannot be written there, and Unavailable if the database does not answer.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            with part.open("wb") as file:
                rows = export(database, file, form, scope, progress)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from error
    return rows


def export_bytes(database: sa.Engine, form: ExportForm, scope: ExportScope) -> bytes:
    """The file as bytes, for a download. Raises Unavailable."""
    target = io.BytesIO()
    export(database, target, form, scope)
    return target.getvalue()


def export(
    database: sa.Engine, target: IO[bytes], form: ExportForm, scope: ExportScope, progress: Progress | None = None
) -> int:
    """Write the outcomes in the order in which they were recorded; returns their number. Raises Unavailable.

    `routed` says whether the split chose the arm. `prediction` and `truth` hold single numbers; what is something else
    (labels, booleans, several values) stands in `prediction_text` and `truth_text`, as it is or as JSON.
    """
    # Imported late: it takes a while, and only an export needs it.
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    kinds = {
        "puid": text, "namespace": text, "deployment": text, "predictor": text, "segment": text, "replay": whole,
        "row": whole, "pass": whole, "digest": text, "routed": pa.bool_(), "prediction": number,
        "prediction_text": text, "truth": number, "truth_text": text, "reward": number, "latency_ms": number,
        "status": text, "error": text, "at": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    schema = pa.schema(list(kinds.items()))
    make = pa.parquet.ParquetWriter if form is ExportForm.PARQUET else pa.csv.CSVWriter
    rows = 0
    with make(target, schema) as writer:
        for batch in _batches(database, scope):
            columns = {name: [_cell(row, name) for row in batch] for name in kinds}
            writer.write_table(pa.table(columns, schema=schema))
            rows += len(batch)
            if progress is not None:
                progress(rows)
    return rows


def count(database: sa.Engine, scope: ExportScope) -> int:
    """How many outcomes an export would write."""
    with connect(database) as connection:
        query = sa.select(sa.func.count()).select_from(outcomes).where(*scope.where())
        return int(connection.execute(query).scalar() or 0)


def _batches(database: sa.Engine, scope: ExportScope) -> Iterator[list[sa.RowMapping]]:
    """In transactions of their own, each after the last one's end: no lock and no snapshot lasts for the whole file."""
    last = 0
    while True:
        query = sa.select(outcomes).where(*scope.where(), outcomes.c.id > last).order_by(outcomes.c.id).limit(BATCH)
        with connect(database) as connection:
            batch = list(connection.execute(query).mappings())
        if not batch:
            return
        yield batch
        last = batch[-1]["id"]


def _cell(row: sa.RowMapping, name: str) -> Any:
    if name in ("prediction", "truth"):
        return real(row[name])
    if name in ("prediction_text", "truth_text"):
        value = single(row[name.removesuffix("_text")])
        if value is None or real(value) is not None:
            return None
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return row[name]
