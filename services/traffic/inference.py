"""The Open Inference Protocol (V2) from the client's side: rows to tensors, answers to rows. Pure: no network.

A row becomes one tensor per column where the model has named columns, which MLServer's MLflow runtime reads as a table
(content type `pd`); else the rows are one tensor (`np`). Datatypes are those that the model's metadata declares,
because MLflow refuses a whole number for a column of floats that came as INT64, and much else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.errors import InvalidPayload

TABLE, ARRAY, TEXT, JSON_CELLS = "pd", "np", "str", "pd_json"
_COLUMN_SHAPES = ((-1,), (-1, 1))
_INT32 = 2**31


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input as the model's metadata declares it; -1 in `shape` is a free axis. Without datatype it is guessed."""

    name: str
    datatype: str = ""
    shape: tuple[int, ...] = (-1, 1)
    content_type: str = ""

    @property
    def column(self) -> bool:
        """Whether it holds one value per row."""
        return self.shape in _COLUMN_SHAPES


def infer_path(model: str) -> str:
    """Where predictions are asked for."""
    return f"/v2/models/{model}/infer"


def metadata_path(model: str) -> str:
    """Where the model says what it takes."""
    return f"/v2/models/{model}"


def read_metadata(body: object) -> tuple[Tensor, ...]:
    """The inputs that a model declares; none where it declares nothing that can be read."""
    found = body.get("inputs") if isinstance(body, Mapping) else None
    if not isinstance(found, list):
        return ()
    tensors = []
    for item in found:
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            return ()
        shape, parameters = item.get("shape"), item.get("parameters")
        if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
            return ()
        told = parameters.get("content_type") if isinstance(parameters, Mapping) else None
        tensors.append(Tensor(item["name"], str(item.get("datatype") or ""), tuple(shape), str(told or "")))
    return tuple(tensors)


class Inputs:
    """How rows with certain names become the inputs of a model; worked out once, not per row."""

    def __init__(self, names: Sequence[str], tensors: Sequence[Tensor] = ()) -> None:
        """Raises InvalidPayload for a model that a row cannot be made into: one that takes several larger tensors."""
        self._columns: tuple[Tensor, ...] = ()
        self._array = Tensor("input-0")
        columns = all(tensor.column for tensor in tensors)
        if len(tensors) > 1 and not columns:
            several = ", ".join(tensor.name for tensor in tensors)
            raise InvalidPayload("inputs", f"this model takes several tensors ({several}), and a row is only one")
        if names and columns:
            declared = {tensor.name: tensor for tensor in tensors}
            self._columns = tuple(declared.get(name, Tensor(name)) for name in names)
        elif tensors and columns:
            self._columns = tuple(tensors)
        elif tensors:
            self._array = tensors[0]
        # One input of one value a row may be a table or an array; the model's own metadata says which.
        self._content_type = "" if len(tensors) == 1 and columns else TABLE if self._columns else ARRAY

    def body(self, rows: Sequence[Sequence[object]], puid: str = "") -> dict[str, Any]:
        """The request for `rows` (n rows of m values). Raises InvalidPayload for rows that do not fit."""
        body: dict[str, Any] = {"id": puid} if puid else {}
        if self._content_type:
            body["parameters"] = {"content_type": self._content_type}
        return {**body, "inputs": self._table(rows) if self._columns else [self._whole(rows)]}

    def _table(self, rows: Sequence[Sequence[object]]) -> list[dict[str, Any]]:
        wanted = len(self._columns)
        for number, row in enumerate(rows):
            if len(row) != wanted:
                raise InvalidPayload(f"row {number + 1}", f"has {len(row)} values, but there are {wanted} columns")
        return [
            _input(column, [len(rows), 1], list(cells))
            for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]

    def _whole(self, rows: Sequence[Sequence[object]]) -> dict[str, Any]:
        shape, values = _flat(rows)
        wanted = self._array.shape
        if self._array.datatype and (
            len(wanted) != len(shape) or any(w not in (-1, n) for w, n in zip(wanted, shape, strict=True))
        ):
            raise InvalidPayload("rows", f"have the shape {shape}, but this model takes {list(wanted)} (-1: any)")
        return _input(self._array, shape, values)


def _input(tensor: Tensor, shape: list[int], values: list[Any]) -> dict[str, Any]:
    datatype = tensor.datatype or _guessed(tensor.name, values)
    if datatype not in ("BYTES", "BOOL") and (text := next((v for v in values if isinstance(v, str)), None)):
        raise InvalidPayload(tensor.name, f"“{text}” is not a number, and the model wants {datatype}")
    found: dict[str, Any] = {"name": tensor.name, "shape": shape, "datatype": datatype}
    content_type = tensor.content_type or (TEXT if datatype == "BYTES" else "")
    if content_type == JSON_CELLS:
        values = [None if value is None else orjson.dumps(value).decode() for value in values]
    if content_type:
        found["parameters"] = {"content_type": content_type}
    return {**found, "data": values}


def _guessed(name: str, values: Sequence[object]) -> str:
    """A datatype for a model that declares none. Raises InvalidPayload where the values have none in common."""
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        return "BOOL"
    if present and all(isinstance(value, str) for value in present):
        return "BYTES"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        whole = present and len(present) == len(values) and all(isinstance(value, int) for value in present)
        if not whole:
            return "FP64"
        # The narrower one fits columns of whole numbers and of floats alike: MLflow widens and never narrows.
        small = all(-_INT32 <= value < _INT32 for value in present if isinstance(value, int))
        return "INT32" if small else "INT64"
    raise InvalidPayload(name, "mixes text, numbers or other values, and the model does not say which it wants")


def _flat(rows: Sequence[object]) -> tuple[list[int], list[Any]]:
    """Nested rows as their shape and their values, row by row. Raises InvalidPayload if they differ in length."""
    shape, values = [len(rows)], list(rows)
    while values and all(isinstance(value, list | tuple) for value in values):
        widths = {len(value) for value in values if isinstance(value, list | tuple)}
        if len(widths) > 1:
            raise InvalidPayload("rows", "differ in length")
        shape.append(widths.pop())
        values = [inner for value in values if isinstance(value, list | tuple) for inner in value]
    return shape, values


def infer_values(body: object) -> list[Any]:
    """The predictions in an answer, one entry per row; several outputs make a row a list. Raises InvalidPayload."""
    outputs = body.get("outputs") if isinstance(body, Mapping) else None
    if not isinstance(outputs, list) or not outputs:
        raise InvalidPayload("outputs", "the answer holds no predictions")
    columns = [_output(output, f"outputs[{number}]") for number, output in enumerate(outputs)]
    if len(columns) == 1:
        return columns[0]
    if len({len(column) for column in columns}) > 1:
        raise InvalidPayload("outputs", "differ in their number of rows")
    return [list(row) for row in zip(*columns, strict=True)]


def _output(output: object, field: str) -> list[Any]:
    data, shape = (output.get(key) if isinstance(output, Mapping) else None for key in ("data", "shape"))
    if not isinstance(data, list):
        raise InvalidPayload(f"{field}.data", "is not a list")
    if not isinstance(shape, list) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise InvalidPayload(f"{field}.shape", "is not a list of whole numbers")
    _, values = _flat(data)
    sizes = list(shape)
    while len(sizes) > 1 and sizes[-1] == 1:  # a column of n values comes as [n] or as [n, 1]
        sizes.pop()
    if math.prod(sizes) != len(values):
        raise InvalidPayload(f"{field}.shape", f"{shape} does not fit {len(values)} values")
    for size in reversed(sizes[1:]):
        values = [values[i : i + size] for i in range(0, len(values), size)] if size else []
    return values
