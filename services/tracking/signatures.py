"""An MLmodel file's signature and input example as Decant's own values. Pure: nothing is loaded or unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.schema import Column, ColumnType, Signature, TensorSpec, position_name

EXAMPLE_ROWS = 5
"""Rows of an input example that are kept."""


def read_signature(signature: Mapping[str, Any] | None) -> Signature:
    """The `signature` entry of an MLmodel file (its `inputs` and `outputs` are JSON texts), without examples."""
    if not signature:
        return Signature()
    inputs, outputs = _specs(signature.get("inputs")), _specs(signature.get("outputs"))
    columns, tensors = [], []
    for position, spec in enumerate(inputs):
        if spec.get("type") == "tensor":
            tensors.append(_tensor(spec))
        else:
            columns.append(_column(spec, position))
    return Signature(tuple(columns), tuple(tensors), tuple(_output(spec) for spec in outputs))


def read_example(info: Mapping[str, Any] | None, text: str, names: Sequence[str]) -> list[list[Any]] | None:
    """Rows of a saved input example, columns in the order of `names`; None when it is not a table or tensor.

    `info` is `saved_input_example_info` of the MLmodel file, `text` the JSON file that it names.
    """
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        return _ordered(content["data"], content.get("columns"), names)
    if isinstance(content, dict) and isinstance(content.get("inputs"), list):
        return _rows(content["inputs"])
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        order = list(names) or list(content[0])
        return _rows([[row.get(name) for name in order] for row in content])
    if isinstance(content, dict) and names and set(content) <= set(names):
        return _rows(_columnwise(content, names))
    if isinstance(content, list) and (info or {}).get("type") != "json_object":
        return _rows(content)
    return None


def with_examples(signature: Signature, rows: list[list[Any]] | None) -> Signature:
    """The signature with each column's example value taken from the first row."""
    if not rows or len(rows[0]) != len(signature.columns):
        return signature
    columns = tuple(replace(c, example=value) for c, value in zip(signature.columns, rows[0], strict=True))
    return replace(signature, columns=columns)


def _specs(text: object) -> list[dict[str, Any]]:
    if not isinstance(text, str):
        return []
    try:
        specs = json.loads(text)
    except ValueError:
        return []
    return [spec for spec in specs if isinstance(spec, dict)] if isinstance(specs, list) else []


def _column(spec: Mapping[str, Any], position: int) -> Column:
    kind = str(spec.get("type", ""))
    known = ColumnType(kind) if kind in set(ColumnType) else ColumnType.OTHER
    # A signature may leave its columns unnamed: they then go by position.
    name = str(spec["name"]) if spec.get("name") is not None else position_name(position)
    return Column(name, known, required=bool(spec.get("required", True)))


def _tensor(spec: Mapping[str, Any]) -> TensorSpec:
    inner = spec.get("tensor-spec") or {}
    shape = tuple(int(axis) for axis in inner.get("shape", ()))
    return TensorSpec(str(inner.get("dtype", "")), shape, str(spec.get("name") or ""))


def _output(spec: Mapping[str, Any]) -> str:
    if spec.get("name") is not None:
        return str(spec["name"])
    if spec.get("type") == "tensor":
        tensor = _tensor(spec)
        return f"{tensor.dtype} ({', '.join(map(str, tensor.shape))})"
    return str(spec.get("type", "?"))


def _rows(values: list[Any]) -> list[list[Any]]:
    return [row if isinstance(row, list) else [row] for row in values[:EXAMPLE_ROWS]]


def _ordered(data: list[Any], columns: object, names: Sequence[str]) -> list[list[Any]]:
    rows = _rows(data)
    if not isinstance(columns, list) or not names or not set(names) <= set(columns):
        return rows
    order = [columns.index(name) for name in names]
    return [[row[i] for i in order] for row in rows]


def _columnwise(content: Mapping[str, Any], names: Sequence[str]) -> list[list[Any]]:
    values = [content.get(name) for name in names]
    lengths = {len(v) for v in values if isinstance(v, list)}
    if len(lengths) != 1 or not all(isinstance(v, list) for v in values):
        return [values]
    return [list(row) for row in zip(*[v for v in values if isinstance(v, list)], strict=True)]
