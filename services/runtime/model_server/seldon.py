"""Seldon's v1 wire format: request bodies to parts, answers to response bodies.

The answer has the form of the request (ndarray, tensor, jsonData, strData), with one exception: a tensor holds numbers
only, so text predictions for a tensor request come back as ndarray.
"""

from __future__ import annotations

import os
from enum import StrEnum
from itertools import count
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import orjson

from services.errors import InvalidPayload
from services.runtime.model_server.answers import Answer
from services.runtime.model_server.options import PREDICTOR_KEY
from services.runtime.model_server.parts import Part, Reader
from services.runtime.model_server.tensors import size_of

_MAX_PUID = 128
_puid_prefix = os.urandom(8).hex()
_puid_numbers = count(1)


class Form(StrEnum):
    """The forms of a payload."""

    NDARRAY = "ndarray"
    TENSOR = "tensor"
    JSON = "jsonData"
    TEXT = "strData"


class Prediction(NamedTuple):
    """A prediction request. `tags` is None when the client must not get any back (see PREDICTOR_KEY)."""

    part: Part
    form: Form
    puid: str
    tags: dict[str, Any] | None


def new_puid() -> str:
    """An id that is unique among all servers: a random prefix per process and a counter."""
    return f"{_puid_prefix}{next(_puid_numbers):08x}"


def parse_json(body: bytes) -> Any:
    """The JSON value of a body. Raises InvalidPayload saying where it breaks."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if body.startswith(b"json="):  # the form encoding of early Seldon clients
            return parse_json(parse_qs(body.decode("utf-8", "replace")).get("json", [""])[0].encode())
        if not body.strip():
            raise InvalidPayload(
                "body", "is empty.", 'Send JSON such as {"data": {"ndarray": [[1.0, 2.0]]}}.'
            ) from error
        hint = "JSON has no NaN or Infinity: send null for a missing number." if b"NaN" in body else ""
        where = f"line {error.lineno}, column {error.colno}"
        text = error.msg.split(": line")[0]
        raise InvalidPayload("body", f"is not JSON ({text} at {where}).", hint) from error


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body."""
    value = parse_json(body)
    if type(value) is not dict:
        raise InvalidPayload("body", "must be a JSON object.", 'Send {"data": {"ndarray": [[1.0, 2.0]]}}, for example.')
    return value


def read_prediction(body: bytes, reader: Reader, puid: str | None) -> Prediction:
    """Raises InvalidPayload. `puid` is the request header's, if any."""
    message = parse_object(body)
    meta = message.get("meta")
    tags: dict[str, Any] | None = {}
    if meta is not None:
        if type(meta) is not dict:
            raise InvalidPayload("meta", "must be an object.")
        tags = meta.get("tags") or None  # SeldonClient always sends a meta; see PREDICTOR_KEY
        if tags is not None and type(tags) is not dict:
            raise InvalidPayload("meta.tags", "must be an object.")
        puid = puid or _clean_puid(meta.get("puid"))
    data = message.get("data")
    if data is not None:
        part, form = _read_data(data, reader)
    elif "jsonData" in message:
        part, form = reader.from_json(message["jsonData"], "jsonData"), Form.JSON
    elif "strData" in message:
        if type(message["strData"]) is not str:
            raise InvalidPayload("strData", "must be a text.")
        part, form = reader.from_text(message["strData"], "strData"), Form.TEXT
    else:
        if "binData" in message:
            raise InvalidPayload("binData", "is not supported.", "Use data.ndarray, data.tensor or jsonData.")
        found = ", ".join(message) or "nothing"
        raise InvalidPayload("body", f"has none of data, jsonData and strData (found: {found}).")
    return Prediction(part, form, puid or new_puid(), tags)


def _read_data(data: Any, reader: Reader) -> tuple[Part, Form]:
    if type(data) is not dict:
        raise InvalidPayload("data", "must be an object with ndarray or tensor.")
    names = data.get("names") or ()
    if names and (type(names) is not list or not all(type(n) is str for n in names)):
        raise InvalidPayload("data.names", "must be a list of texts.")
    rows = data.get("ndarray")
    if rows is not None:
        return reader.from_rows(rows, names, "data.ndarray"), Form.NDARRAY
    tensor = data.get("tensor")
    if tensor is not None:
        shape, values = _read_tensor(tensor)
        return reader.from_tensor(shape, values, names, "data.tensor"), Form.TENSOR
    if "tftensor" in data:
        raise InvalidPayload("data.tftensor", "is not supported.", "Use data.tensor or data.ndarray.")
    raise InvalidPayload("data", "has neither ndarray nor tensor.")


def _read_tensor(tensor: Any) -> tuple[list[int], list[Any]]:
    if type(tensor) is not dict:
        raise InvalidPayload("data.tensor", "must be an object with shape and values.")
    shape, values = tensor.get("shape"), tensor.get("values", [])
    if type(shape) is not list or not shape or not all(type(s) is int and s >= 0 for s in shape):
        raise InvalidPayload("data.tensor.shape", "must be a list of whole numbers such as [1, 11].")
    if type(values) is not list:
        raise InvalidPayload("data.tensor.values", "must be a list of numbers.")
    if any(type(v) is list for v in values):
        raise InvalidPayload("data.tensor.values", "must be one flat list; nested rows go into data.ndarray.")
    if size_of(shape) != len(values):
        text = f"holds {len(values)} values, but the shape {shape} needs {size_of(shape)}."
        raise InvalidPayload("data.tensor.values", text)
    return shape, values


def _clean_puid(puid: Any) -> str | None:
    """A puid that is safe to send back in a header, else None."""
    fits = type(puid) is str and 0 < len(puid) <= _MAX_PUID and puid.isascii() and puid.isprintable()
    return puid if fits else None


class Renderer:
    """Writes answers of one predictor."""

    def __init__(self, predictor: str, node: str, image: str) -> None:
        self._predictor = predictor
        self._path = {node: image, PREDICTOR_KEY: predictor}

    def render(self, prediction: Prediction, answer: Answer) -> bytes:
        """The response body."""
        meta: dict[str, Any] = {"puid": prediction.puid, "routing": {}, "requestPath": self._path}
        if prediction.tags is not None:
            meta["tags"] = {**prediction.tags, "predictor": self._predictor}
        form = prediction.form
        if form is Form.NDARRAY:
            body: dict[str, Any] = {"data": {"names": answer.names, "ndarray": answer.rows}, "meta": meta}
        elif form is Form.TENSOR:
            body = {"data": _tensor(answer), "meta": meta}
        elif form is Form.JSON:
            body = {"jsonData": _json(answer), "meta": meta}
        else:
            body = {"strData": _text(answer), "meta": meta}
        return orjson.dumps(body)


def _tensor(answer: Answer) -> dict[str, Any]:
    if answer.tail is None:
        return {"names": answer.names, "ndarray": answer.rows}
    values = answer.flat()
    if any(type(v) is float and not isfinite(v) for v in values):
        values = [_spell(v) for v in values]
    return {"names": answer.names, "tensor": {"shape": [len(answer.rows), *answer.tail], "values": values}}


def _spell(value: Any) -> Any:
    if isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _json(answer: Answer) -> Any:
    if answer.whole:
        return answer.rows[0]
    if answer.names and all(isinstance(row, list) and len(row) == len(answer.names) for row in answer.rows):
        return [dict(zip(answer.names, row, strict=True)) for row in answer.rows]
    return answer.rows


def _text(answer: Answer) -> str:
    value = answer.rows[0] if len(answer.rows) == 1 else answer.rows
    return value if isinstance(value, str) else orjson.dumps(value).decode()
