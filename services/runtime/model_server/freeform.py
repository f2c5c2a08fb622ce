"""Rows for models without a signature: passed on as Seldon's own MLflow server would, as an array or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from services.errors import InvalidPayload
from services.runtime.model_server.parts import Assembled, NamedArray, Part, records_to_columns
from services.runtime.model_server.values import NON_FINITE


@dataclass(frozen=True)
class ArrayLayout:
    """One array; merged only with arrays of the same type and row shape."""

    dtype: str
    tail: tuple[int, ...]

    @property
    def mergeable(self) -> bool:
        return self.dtype != "object"

    def assemble(self, payloads: Sequence[np.ndarray[Any, Any]]) -> Assembled:
        return Assembled(payloads[0] if len(payloads) == 1 else np.concatenate(payloads), True)


@dataclass(frozen=True)
class FrameLayout:
    """One table; merged only with tables of the same columns and types."""

    columns: tuple[Any, ...]
    dtypes: tuple[str, ...]

    @property
    def mergeable(self) -> bool:
        return "object" not in self.dtypes

    def assemble(self, payloads: Sequence[pd.DataFrame]) -> Assembled:
        return Assembled(payloads[0] if len(payloads) == 1 else pd.concat(payloads, ignore_index=True), True)


@dataclass(frozen=True)
class RawLayout:
    """Anything else, exactly as it came; never merged."""

    mergeable: bool = False

    def assemble(self, payloads: Sequence[Any]) -> Assembled:
        return Assembled(payloads[0], True)


class FreeReader:
    """Reads payloads for a model that declares nothing. `as_table` is Seldon's `xtype: DataFrame`."""

    def __init__(self, as_table: bool) -> None:
        self._as_table = as_table

    def from_rows(self, rows: Any, names: Sequence[str], field: str) -> Part:
        if type(rows) is not list:
            raise InvalidPayload(field, "must be a list of rows, such as [[1.0, 2.0]].")
        if not rows:
            raise InvalidPayload(field, "has no rows.")
        if self._as_table:
            return self._frame(rows, names, field)
        return _array_part(_array(rows, field))

    def from_tensor(self, shape: Sequence[int], values: list[Any], names: Sequence[str], field: str) -> Part:
        if not values:
            raise InvalidPayload(f"{field}.values", "has no rows.")
        numbers = [NON_FINITE.get(v, v) if isinstance(v, str) else v for v in values]
        array = _array(numbers, f"{field}.values").reshape(shape)
        if self._as_table and array.ndim == 2:
            return self._frame(array.tolist(), names, field)
        return _array_part(array)

    def from_json(self, value: Any, field: str) -> Part:
        table = records_to_columns(value, field)
        if table is not None:
            names, rows = table
            if not rows:
                raise InvalidPayload(field, "has no rows.")
            return _frame_part(pd.DataFrame(rows, columns=names))
        if isinstance(value, list) and value:
            return self.from_rows(value, (), field)
        return Part(RawLayout(), 1, value)

    def from_text(self, text: str, _field: str) -> Part:
        return Part(RawLayout(), 1, [text])

    def from_arrays(self, arrays: Sequence[NamedArray], content_type: str, field: str) -> Part:
        ready = {a.name: _array(a.values, f"{a.field}.data").reshape(a.shape) for a in arrays}
        sizes = {a.shape[0] if a.ndim else 0 for a in ready.values()}
        if sizes == {0}:
            raise InvalidPayload(field, "has no rows.")
        first = next(iter(ready.values()))
        if len(ready) == 1 and content_type != "pd":
            return _frame_part(pd.DataFrame(first)) if self._as_table and first.ndim == 2 else _array_part(first)
        if content_type == "np":
            return Part(RawLayout(), sizes.pop(), ready)
        if len(sizes) > 1:
            raise InvalidPayload(field, f"the inputs differ in their number of rows ({sorted(sizes)}).")
        if len(ready) == 1 and first.ndim == 2 and first.shape[1] > 1:
            return _frame_part(pd.DataFrame(first))
        return _frame_part(pd.DataFrame({name: list(a.reshape(len(a), -1)[:, 0]) for name, a in ready.items()}))

    def _frame(self, rows: list[Any], names: Sequence[str], field: str) -> Part:
        width = len(names) if names else len(rows[0]) if isinstance(rows[0], list) else 1
        for r, row in enumerate(rows):
            if not isinstance(row, list):
                raise InvalidPayload(f"{field}[{r}]", "must be a list of values: each row has its own brackets.")
            if len(row) != width:
                raise InvalidPayload(f"{field}[{r}]", f"has {len(row)} values where {width} are expected.")
        return _frame_part(pd.DataFrame(rows, columns=list(names) if names else None))


def _array(values: list[Any], field: str) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        array = np.array(values)
    except ValueError as error:
        raise InvalidPayload(field, "its rows differ in length.") from error
    if array.dtype.kind == "U" and not _only_text(values):
        return np.array(values, dtype=object)  # numpy would turn the numbers beside a text into texts
    if array.dtype.kind == "O" and _numbers_or_null(values):
        return np.array(values, dtype=np.float64)
    return array


def _array_part(array: np.ndarray[Any, np.dtype[Any]]) -> Part:
    if array.ndim == 0 or array.shape[0] == 0:
        raise InvalidPayload("data", "has no rows.")
    # The width of texts varies with the longest one; it is not part of what may be merged.
    dtype = "text" if array.dtype.kind == "U" else array.dtype.name
    return Part(ArrayLayout(dtype, array.shape[1:]), array.shape[0], array)


def _frame_part(frame: pd.DataFrame) -> Part:
    if not len(frame):
        raise InvalidPayload("data", "has no rows.")
    return Part(FrameLayout(tuple(frame.columns), tuple(str(t) for t in frame.dtypes)), len(frame), frame)


def _only_text(values: Any) -> bool:
    return all(_only_text(v) if isinstance(v, list) else isinstance(v, str) for v in values)


def _numbers_or_null(values: Any) -> bool:
    return all(_numbers_or_null(v) if isinstance(v, list) else v is None or type(v) in (int, float) for v in values)
