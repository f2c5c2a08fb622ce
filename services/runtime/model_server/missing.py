"""Names the first missing value of a request that the model refused.

Whether a model takes missing values is known to the model alone: some do, so nulls are passed on. Only a model that has
refused a request gives reason to look for one, and then the library's own words name no place in the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from services.runtime.model_server.failures import ModelFailed, RequestFailed

_NOT_A_NUMBER = "NaN"


def explain(failure: RequestFailed, body: bytes) -> RequestFailed:
    """The failure with the place of the first missing value in front of it, if its request held one."""
    if not (isinstance(failure, ModelFailed) and failure.blames_data):
        return failure
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:  # the form encoding of early clients
        return failure
    field = next(_missing(message), None) if isinstance(message, dict) else None
    if field is None:
        return failure
    where, value = field
    text = f"{where}: is missing ({value}), and the model does not take missing values."
    return RequestFailed(failure.code, text, failure.sentence, failure.reason)


def _missing(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data = message.get("data")
    if isinstance(data, dict):
        if data.get("ndarray") is not None:
            yield from _walk("data.ndarray", data["ndarray"])
        elif isinstance(data.get("tensor"), dict):
            yield from _walk("data.tensor.values", data["tensor"].get("values"))
    elif "jsonData" in message:
        yield from _walk("jsonData", message["jsonData"])
    inputs = message.get("inputs")
    for i, item in enumerate(inputs if isinstance(inputs, list) else ()):
        if isinstance(item, dict):
            yield from _walk(f"inputs[{i}].data", item.get("data"))


def _walk(field: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        yield field, "null"
    elif value == _NOT_A_NUMBER:
        yield field, _NOT_A_NUMBER
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _walk(f"{field}[{i}]", item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(f"{field}.{name}", item)
