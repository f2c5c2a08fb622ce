"""Seldon's v1 request and response bodies, as plain data. Pure: no network.

One place knows where in a body a prediction, the answering arm or the words of an error are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.domain import Endpoint, Prediction
from services.errors import InvalidPayload

PREDICTIONS = "/api/v1.0/predictions"
FEEDBACK = "/api/v1.0/feedback"
PUID_HEADER = "Seldon-Puid"
ARM_HEADER = "x-decant-predictor"
"""On a response: the arm that answered. On a request: the arm that must."""
ARM_PATH_KEY = "decant.dev/predictor"
"""Entry of a response's meta.requestPath with the same name, for what passes no gateway."""

_WORDS_LIMIT = 500


def request_body(rows: Sequence[Sequence[object]], names: Sequence[str] = ()) -> dict[str, Any]:
    """The body of a prediction request for `rows` (n rows of m values, in the order of `names`)."""
    return {"data": {"names": list(names), "ndarray": [list(row) for row in rows]}}


def feedback_body(
    request: Mapping[str, Any], response: Mapping[str, Any], reward: float, truth: object
) -> dict[str, Any]:
    """The body that tells a model what its answer was worth. Raises InvalidPayload for a reward no counter can take."""
    if not math.isfinite(reward):
        raise InvalidPayload("reward", f"{reward} is not a finite number")
    body: dict[str, Any] = {"request": dict(request), "response": dict(response), "reward": reward}
    if truth is not None:
        body["truth"] = {"data": {"names": [], "ndarray": [truth]}}
    return body


def response_values(body: object) -> list[Any]:
    """The predictions in a response, one entry per row. Raises InvalidPayload if there are none."""
    data = body.get("data") if isinstance(body, Mapping) else None
    if isinstance(data, Mapping):
        if isinstance(data.get("ndarray"), list):
            return list(data["ndarray"])
        tensor = data.get("tensor")
        if isinstance(tensor, Mapping) and isinstance(tensor.get("values"), list):
            return _rows(tensor["values"], tensor.get("shape") or [len(tensor["values"])])
    if isinstance(body, Mapping):
        if isinstance(body.get("jsonData"), list):
            return list(body["jsonData"])
        for key in ("jsonData", "strData"):
            if key in body:
                return [body[key]]
    raise InvalidPayload("data", "the answer holds no predictions")


def _rows(values: list[Any], shape: Sequence[Any]) -> list[Any]:
    """A flat tensor as nested rows: [4 values], shape [2, 2] -> [[., .], [., .]]."""
    try:
        sizes = [int(size) for size in shape]
    except (TypeError, ValueError) as error:
        raise InvalidPayload("data.tensor.shape", "is not a list of whole numbers") from error
    if math.prod(sizes) != len(values):
        raise InvalidPayload("data.tensor.shape", f"{sizes} does not fit {len(values)} values")
    for size in reversed(sizes[1:]):
        values = [values[i : i + size] for i in range(0, len(values), size)] if size else []
    return values


def answering_arm(headers: Mapping[str, str], body: object, endpoint: Endpoint) -> str:
    """The predictor that made the response, or "" if nothing tells."""
    named = headers.get(ARM_HEADER)
    if named:
        return named
    meta = body.get("meta") if isinstance(body, Mapping) else None
    for part, key in (("requestPath", ARM_PATH_KEY), ("tags", "predictor")):
        told = meta.get(part) if isinstance(meta, Mapping) else None
        if isinstance(told, Mapping) and told.get(key):
            return str(told[key])
    return next((value for key, value in endpoint.headers if key.lower() == ARM_HEADER), "")


def read_prediction(
    body: object, headers: Mapping[str, str], endpoint: Endpoint, latency_ms: float, status: int = 200
) -> Prediction:
    """A response as a Prediction. Raises InvalidPayload if it holds no predictions."""
    meta = body.get("meta") if isinstance(body, Mapping) else None
    puid = str(meta.get("puid", "")) if isinstance(meta, Mapping) else ""
    return Prediction(
        puid=puid or headers.get(PUID_HEADER, ""),
        predictor=answering_arm(headers, body, endpoint),
        values=tuple(response_values(body)),
        latency_ms=latency_ms,
        status=status,
    )


def error_words(body: object, text: str) -> str:
    """The words of an error answer: Seldon's own shape if it is that, FastAPI's, else the start of the text."""
    if isinstance(body, Mapping):
        status = body.get("status")
        if isinstance(status, Mapping):
            parts = [str(status[key]) for key in ("info", "reason") if status.get(key)]
            if parts:
                # Seldon's reason is often a bare code name; the info says more, so it comes first.
                return (parts[0] if len(parts) == 1 or parts[1] in parts[0] else f"{parts[0]} ({parts[1]})")[
                    :_WORDS_LIMIT
                ]
        for key in ("detail", "message", "error"):
            if isinstance(body.get(key), str):
                return str(body[key])[:_WORDS_LIMIT]
    words = " ".join(text.split())
    return words[:_WORDS_LIMIT] or "an empty answer"
