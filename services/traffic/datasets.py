"""Labelled data to replay: the bundled wines, or a CSV or Parquet file of somebody's own.

Reading happens here only, so here are the limits and the words for what can be wrong with a file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from services.domain.csv_text import COMMA_SEPARATOR, UTF16, not_utf8
from services.errors import InvalidInput, NotFound, Unavailable
from services.settings import ROOT, Settings
from services.traffic.columns import row_number
from services.traffic.decimal_commas import with_decimal_commas

BUNDLED = {"wine-quality": ROOT / "data" / "wine-quality" / "wine-quality.csv"}
SUFFIXES = (".csv", ".parquet")
MIB = 1024 * 1024
_DIGEST_LENGTH = 16
_SNIFFED_BYTES = 64 * 1024


@dataclass(frozen=True)
class Dataset:
    """A table in memory. `digest` is the start of the file's SHA-256: the same digest means the same rows."""

    name: str
    path: Path
    digest: str
    frame: pd.DataFrame = field(repr=False, compare=False)

    @property
    def rows(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        return [str(column) for column in self.frame.columns]

    def features(self, target: str) -> list[str]:
        """Every column but the target. Raises InvalidInput if there is no such target or nothing beside it."""
        self._check(target)
        found = [column for column in self.columns if column != target]
        if not found:
            raise InvalidInput(f"{self.name} has only the column “{target}”: there is nothing to predict from.")
        return found

    def truths(self, target: str) -> list[Any]:
        """The target column as plain values; None where it is empty. Raises InvalidInput."""
        self._check(target)
        return plain_column(self.frame[target])

    def feature_rows(self, target: str, names: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        """The other columns as plain rows, in the order of `features`, or only `names`. Raises InvalidInput."""
        return list(zip(*(plain_column(self.frame[name]) for name in names or self.features(target)), strict=True))

    def place(self, index: int) -> str:
        """Where the row with this index is, for people: the line of a CSV (its header is line 1), else its number."""
        if self.path.suffix.lower() == ".csv" and (line := _line_of(self.path, index)) is not None:
            return f"line {line:,}"
        return row_number(index)

    def _check(self, target: str) -> None:
        if target not in self.columns:
            raise InvalidInput(f"{self.name} has no column “{target}”.", f"Its columns are {', '.join(self.columns)}.")


def plain_column(column: pd.Series[Any]) -> list[Any]:
    """A column as values that JSON knows: numbers, text, booleans, ISO times; None where a value is missing."""
    missing = column.isna()
    values = column.map(lambda t: t.isoformat()) if pd.api.types.is_datetime64_any_dtype(column) else column
    listed = values.tolist()
    return [None if gone else value for value, gone in zip(listed, missing.tolist(), strict=True)]


def load_dataset(source: str | Path, max_mb: int | None = None) -> Dataset:
    """Read a bundled dataset by name or a file by path.

    Raises:
        NotFound: if there is neither.
        InvalidInput: if it is a folder, or the file is too large (over `max_mb` MiB), empty, not CSV or Parquet, or has
            columns without a name or with the same one.
        Unavailable: if the disk does not let it be read.
    """
    bundled = BUNDLED.get(str(source))
    path = bundled or Path(source).expanduser()
    name = str(source) if bundled else path.name
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder.", "Name the CSV or Parquet file in it.")
    if not path.is_file():
        raise NotFound("dataset", str(source), sorted(BUNDLED))
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput(f"{name} is neither CSV nor Parquet.", f"Give a file that ends in {' or '.join(SUFFIXES)}.")
    try:
        _check_size(name, path.stat().st_size, max_mb)
        content = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"The file {path}", str(error)) from error
    frame = _read_csv(name, content) if path.suffix.lower() == ".csv" else _read_parquet(name, content)
    if frame.empty:
        raise InvalidInput(f"{name} has a header but no rows.")
    return Dataset(name, path, _digest(content), frame)


def save_upload(settings: Settings, name: str, content: bytes) -> Path:
    """Keep an uploaded file under the hash of its content and return its path; it is checked as `load_dataset` does.

    Of the file name given by the client only a known ending is used, so it can reach nothing.

    Raises InvalidInput, Unavailable.
    """
    _check_size(Path(name).name, len(content), settings.max_upload_mb)
    suffix = next((s for s in SUFFIXES if name.lower().endswith(s)), None)
    if suffix is None:
        raise InvalidInput(
            "The upload is neither CSV nor Parquet.", f"Give a file that ends in {' or '.join(SUFFIXES)}."
        )
    reader = _read_csv if suffix == ".csv" else _read_parquet
    if reader("The upload", content).empty:
        raise InvalidInput("The upload has a header but no rows.")
    path = settings.paths.uploads / f"{hashlib.sha256(content).hexdigest()}{suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)
    except OSError as error:
        raise Unavailable("The upload folder", str(error), f"Check {path.parent}.") from error
    return path


def _line_of(path: Path, index: int) -> int | None:
    """The line of a CSV on which a row ends: empty lines are no rows, and a quoted value may hold line breaks."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            records = csv.reader(file, delimiter=_separator(header))
            rows = (records.line_num for record in records if any(cell.strip() for cell in record) or len(record) > 1)
            return next(islice(rows, index + 1, None), None)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None


def _separator(header: str) -> str:
    return max(",;\t", key=header.count)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]


def _check_size(name: str, size: int, max_mb: int | None) -> None:
    if size == 0:
        raise InvalidInput(f"{name} is empty.")
    if max_mb is not None and size > max_mb * MIB:
        raise InvalidInput(
            f"{name} has {size / MIB:.1f} MiB; the limit is {max_mb}.", "Raise it with DECANT_MAX_UPLOAD_MB."
        )


def _read_csv(name: str, content: bytes) -> pd.DataFrame:
    """Comma, semicolon (then perhaps with decimal commas) or tab separated.

    The header is read by itself because pandas renames doubled columns.
    """
    try:
        if content.startswith(UTF16):
            raise not_utf8(name, content)
        start = content[:_SNIFFED_BYTES].decode("utf-8-sig", errors="ignore")
        header_line = next(iter(start.splitlines()), "")
        if "\0" in start or not header_line.strip():
            raise InvalidInput(f"{name} is not a CSV file.", "Its first line must hold the names of the columns.")
        separator = _separator(header_line)
        records = csv.reader(io.StringIO(start, newline=""), delimiter=separator)
        header, first = next(records), next(records, [])
        _check_columns(name, header)
        if len(first) > len(header):  # pandas would take the surplus for row labels
            raise InvalidInput(f"{name} has rows with more values than its first line has names.")
        # In one piece: in several, a column could be read as numbers in one and as text in another.
        whole = separator == COMMA_SEPARATOR
        frame = pd.read_csv(io.BytesIO(content), sep=separator, encoding="utf-8-sig", low_memory=not whole)
        return with_decimal_commas(name, content, frame) if whole else frame
    except UnicodeDecodeError as error:
        raise not_utf8(name, content) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        words = re.sub(r"\s+", " ", str(error))
        raise InvalidInput(f"{name} cannot be read as CSV: {words}.") from error


def _read_parquet(name: str, content: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except (pa.ArrowException, ValueError, OSError) as error:
        raise InvalidInput(f"{name} cannot be read as Parquet: {error}.") from error
    frame.columns = pd.Index([str(column) for column in frame.columns])
    _check_columns(name, list(frame.columns))
    return frame


def _check_columns(name: str, columns: list[str]) -> None:
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled:
        raise InvalidInput(f"{name} has more than one column named {', '.join(f'“{d}”' for d in doubled)}.")
    if any(not column.strip() for column in columns):
        raise InvalidInput(f"{name} has a column without a name.", "Every column of the first line needs one.")
