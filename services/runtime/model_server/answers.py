"""What a model returned, in one shape: names and a list of rows that can be cut up for the requests of a batch."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from services.runtime.model_server.failures import RequestFailed


class Answer:
    """Predictions for `len(rows)` rows.

    `names` are the outputs' names (may be empty), `tail` the shape of one row where all rows are numbers of one shape
    (`()` for one number per row), else None. `whole` says that the model returned something that has no rows of its
    own (a text, an object): then `rows` holds that one thing.
    """

    __slots__ = ("names", "rows", "tail", "whole")

    def __init__(self, names: list[str], rows: list[Any], tail: tuple[int, ...] | None, whole: bool = False) -> None:
        self.names, self.rows, self.tail, self.whole = names, rows, tail, whole

    def cut(self, start: int, stop: int) -> Answer:
        """The answer for rows `start` to `stop`."""
        return Answer(self.names, self.rows[start:stop], self.tail)

    def flat(self) -> list[Any]:
        """All values in C order; needs `tail`."""
        values = self.rows
        for _ in self.tail or ():
            values = [v for row in values for v in row]
        return values

    @property
    def finite(self) -> bool:
        return all(v is not None and math.isfinite(v) for v in self.flat())


def read_output(output: Any) -> Answer:
    """Bring whatever a python_function returned into an Answer. Raises RequestFailed (500) if it cannot be told."""
    if isinstance(output, np.ndarray):
        return _from_array(output)
    if isinstance(output, pd.DataFrame):
        return _from_columns([str(c) for c in output.columns], [output.iloc[:, i] for i in range(output.shape[1])])
    if isinstance(output, pd.Series):
        answer = _from_array(output.to_numpy())
        answer.names = [output.name] if isinstance(output.name, str) else []
        return answer
    if isinstance(output, Mapping):
        return _from_mapping(output)
    if isinstance(output, list | tuple):
        return _from_list(list(output))
    if hasattr(output, "toarray"):  # scipy's sparse matrices
        return _from_array(np.asarray(output.toarray()))
    if hasattr(output, "to_pandas"):
        return read_output(output.to_pandas())
    if hasattr(output, "__array__"):  # tensors of other libraries
        return _from_array(np.asarray(output))
    return Answer([], [plain(output)], None, whole=True)


def _from_array(array: np.ndarray[Any, np.dtype[Any]]) -> Answer:
    if array.ndim == 0:
        return Answer([], [plain(array.item())], None, whole=True)
    kind = array.dtype.kind
    if kind in "fiu":
        return Answer([], array.tolist(), array.shape[1:])
    if kind in "bU":
        return Answer([], array.tolist(), None)
    return Answer([], [plain(v) for v in array], None)


def _from_columns(names: list[str], columns: list[Any]) -> Answer:
    arrays = [np.asarray(c) for c in columns]
    if not arrays:
        return Answer([], [], None)
    if all(a.ndim == 1 and a.dtype.kind in "fiu" for a in arrays):
        rows = [list(row) for row in zip(*(a.tolist() for a in arrays), strict=True)]
        return Answer(names, rows, (len(names),))
    cells = [[plain(v) for v in a] for a in arrays]
    return Answer(names, [list(row) for row in zip(*cells, strict=True)], None)


def _from_mapping(output: Mapping[Any, Any]) -> Answer:
    names = [str(k) for k in output]
    columns = list(output.values())
    listed = all(isinstance(c, list | tuple | np.ndarray | pd.Series) for c in columns)
    if columns and listed and len({len(c) for c in columns}) == 1:
        return _from_columns(names, [_object_array(c) if isinstance(c, list | tuple) else c for c in columns])
    return Answer([], [plain(output)], None, whole=True)


def _from_list(output: list[Any]) -> Answer:
    if output and all(isinstance(v, Mapping) for v in output):
        names = [str(k) for k in output[0]]
        if all([str(k) for k in v] == names for v in output):
            return Answer(names, [[plain(c) for c in v.values()] for v in output], None)
    if output and all(type(v) in (int, float) for v in output):
        return Answer([], output, ())
    return Answer([], [plain(v) for v in output], None)


def _object_array(values: Any) -> np.ndarray[Any, np.dtype[Any]]:
    array = np.array(values) if all(type(v) in (int, float) for v in values) else np.empty(len(values), dtype=object)
    if array.dtype == object:
        array[:] = values
    return array


_JSON_TYPES = frozenset({type(None), str, bool, int, float})


def plain(value: Any) -> Any:
    """A value that JSON can say. Raises RequestFailed (500) for one it cannot."""
    if type(value) in _JSON_TYPES:
        return value
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value] if value.ndim else plain(value.item())
    if isinstance(value, np.datetime64 | dt.datetime | dt.date):
        return None if pd.isna(value) else pd.Timestamp(value).isoformat()
    if isinstance(value, dt.time | dt.timedelta | pd.Timedelta):
        return str(value)
    if isinstance(value, np.generic):  # np.float64 is a float, but not one that can be written
        return plain(value.item())
    for base in (str, int, float):
        if isinstance(value, base):  # enums and other subclasses
            return base(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset | pd.Series):
        return [plain(v) for v in value]
    if isinstance(value, pd.DataFrame):
        return [plain(r) for r in value.to_dict(orient="records")]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, decimal.Decimal):
        return float(value)
    if value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "model_dump"):  # pydantic
        return plain(value.model_dump())
    raise RequestFailed(
        500, f"The model returned a {type(value).__name__}, which JSON cannot carry.", reason="MODEL_ERROR"
    )


RELATIVE_TOLERANCE = 1e-9  # matrix products round differently by the number of rows; anything larger is a difference


def same(left: Answer, right: Answer) -> bool:
    """Whether two answers agree: floats to RELATIVE_TOLERANCE, everything else exactly."""
    return left.names == right.names and left.tail == right.tail and _same(left.rows, right.rows)


def _same(a: Any, b: Any) -> bool:
    if type(a) is float and type(b) is float:
        return a == b or math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE) or (math.isnan(a) and math.isnan(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    return bool(a == b)
