"""The Open Inference Protocol (V2): requests to parts, answers to response bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from services.errors import InvalidPayload
from services.runtime.model_server.answers import Answer
from services.runtime.model_server.parts import NamedArray, Part, Reader
from services.runtime.model_server.seldon import new_puid, parse_object
from services.runtime.model_server.tensors import size_of
from services.runtime.model_server.values import NON_FINITE, show
from services.schema import ColumnType, Signature

_NUMBERS = {"FP64": float, "FP32": float, "FP16": float}
_INTEGERS = {
    f"{sign}INT{bits}": (0 if sign else -(1 << bits - 1), (1 << bits) - 1 if sign else (1 << bits - 1) - 1)
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}
_COLUMN_DATATYPES = {
    ColumnType.DOUBLE: "FP64",
    ColumnType.FLOAT: "FP32",
    ColumnType.LONG: "INT64",
    ColumnType.INTEGER: "INT32",
    ColumnType.BOOLEAN: "BOOL",
}
_TENSOR_DATATYPES = {
    "float64": "FP64",
    "float32": "FP32",
    "float16": "FP16",
    "bool": "BOOL",
    **{f"{u}int{b}": f"{u.upper()}INT{b}" for u in ("", "u") for b in (8, 16, 32, 64)},
}


class Inference(NamedTuple):
    """A V2 request."""

    part: Part
    id: str
    outputs: tuple[str, ...]


def read_inference(body: bytes, reader: Reader, puid: str | None) -> Inference:
    """Raises InvalidPayload."""
    message = parse_object(body)
    inputs = message.get("inputs")
    if type(inputs) is not list or not inputs:
        raise InvalidPayload("inputs", "must be a list with at least one input.")
    arrays = [_read_input(item, f"inputs[{i}]") for i, item in enumerate(inputs)]
    content_type = _content_type(message) or _content_type(inputs[0])
    outputs = message.get("outputs") or []
    wanted = tuple(str(o["name"]) for o in outputs if type(o) is dict and "name" in o)
    sent_id = message.get("id")
    return Inference(
        reader.from_arrays(arrays, content_type, "inputs"),
        sent_id if type(sent_id) is str and sent_id else puid or new_puid(),
        wanted,
    )


def _content_type(holder: dict[str, Any]) -> str:
    parameters = holder.get("parameters")
    value = parameters.get("content_type") if type(parameters) is dict else None
    return value if type(value) is str else ""


def _read_input(item: Any, field: str) -> NamedArray:
    if type(item) is not dict:
        raise InvalidPayload(field, "must be an object with name, shape, datatype and data.")
    name, shape, datatype, data = (item.get(k) for k in ("name", "shape", "datatype", "data"))
    if type(name) is not str or not name:
        raise InvalidPayload(f"{field}.name", "must be a text.")
    if type(shape) is not list or not shape or not all(type(s) is int and s >= 0 for s in shape):
        raise InvalidPayload(f"{field}.shape", "must be a list of whole numbers.")
    if type(data) is not list:
        raise InvalidPayload(f"{field}.data", "must be a list.")
    values = _flatten(data)
    if len(values) != size_of(shape):
        text = f"holds {len(values)} values, but the shape {shape} needs {size_of(shape)}."
        raise InvalidPayload(f"{field}.data", text)
    return NamedArray(name, tuple(shape), _typed(values, datatype, field), field)


def _flatten(data: list[Any]) -> list[Any]:
    while data and all(type(v) is list for v in data):
        data = [v for row in data for v in row]
    return data


def _typed(values: list[Any], datatype: Any, field: str) -> list[Any]:
    if datatype in _NUMBERS:
        return [_check(v, v is None or type(v) in (int, float) or _spelt(v), datatype, field) for v in values]
    if datatype in _INTEGERS:
        low, high = _INTEGERS[datatype]
        ready = [int(v) if type(v) is float and v.is_integer() else v for v in values]
        return [_check(v, v is None or (type(v) is int and low <= v <= high), datatype, field) for v in ready]
    if datatype == "BOOL":
        ready = [bool(v) if type(v) is int and v in (0, 1) else v for v in values]
        return [_check(v, v is None or type(v) is bool, datatype, field) for v in ready]
    if datatype == "BYTES":
        return [_check(v, v is None or type(v) is str, datatype, field) for v in values]
    known = ", ".join(["FP64", "FP32", "FP16", *_INTEGERS, "BOOL", "BYTES"])
    raise InvalidPayload(f"{field}.datatype", f"{datatype!r} is not one of {known}.")


def _spelt(value: Any) -> bool:
    return type(value) is str and value in NON_FINITE


def _check(value: Any, fits: bool, datatype: str, field: str) -> Any:
    if not fits:
        raise InvalidPayload(f"{field}.data", f"{show(value)} is not a {datatype}.")
    return value


def render_inference(inference: Inference, answer: Answer, model: str, version: str, predictor: str) -> bytes:
    """The response body: one output per named column, else a single output `predict`."""
    outputs = _outputs(answer)
    if inference.outputs:
        outputs = [o for o in outputs if o["name"] in inference.outputs] or outputs
    return orjson.dumps(
        {
            "model_name": model,
            "model_version": version,
            "id": inference.id,
            "parameters": {"predictor": predictor},
            "outputs": outputs,
        }
    )


def _outputs(answer: Answer) -> list[dict[str, Any]]:
    rows = answer.rows
    by_column = len(answer.names) > 1 and all(isinstance(r, list) and len(r) == len(answer.names) for r in rows)
    if by_column:
        columns = zip(*rows, strict=True)
        return [_output(n, [len(rows)], list(c)) for n, c in zip(answer.names, columns, strict=True)]
    name = answer.names[0] if len(answer.names) == 1 else "predict"
    if answer.tail is not None:
        return [_output(name, [len(rows), *answer.tail], answer.flat())]
    return [_output(name, [len(rows)], rows)]


def _output(name: str, shape: list[int], values: list[Any]) -> dict[str, Any]:
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {int} and kinds:
        datatype = "INT64"
    elif kinds <= {int, float}:
        datatype = "FP64"
    elif kinds == {bool}:
        datatype = "BOOL"
    else:
        datatype = "BYTES"
        values = [v if isinstance(v, str) else orjson.dumps(v).decode() for v in values]
    return {"name": name, "shape": shape, "datatype": datatype, "data": values}


def describe(signature: Signature) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs and outputs for the model's metadata."""
    inputs = [
        {"name": c.name or str(i), "datatype": _COLUMN_DATATYPES.get(c.type, "BYTES"), "shape": [-1]}
        for i, c in enumerate(signature.columns)
    ] or [
        {"name": t.name or "input", "datatype": _TENSOR_DATATYPES.get(t.dtype, "BYTES"), "shape": _shape(t.shape)}
        for t in signature.tensors
    ]
    return inputs, [{"name": name, "datatype": "FP64", "shape": [-1]} for name in signature.outputs]


def _shape(shape: Sequence[int]) -> list[int]:
    return list(shape)
