"""Seldon's v1 request and response bodies, as plain data. Pure: no network.

One place knows where in a body a prediction or the words of an error are; those of V2 are in `inference`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.domain import V2, Endpoint, Prediction
from services.errors import InvalidPayload
from services.traffic.attribution import answering_arm
from services.traffic.inference import infer_values

PREDICTIONS = "/api/v1.0/predictions"
FEEDBACK = "/api/v1.0/feedback"
PUID_HEADER = "Seldon-Puid"
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


def feedback_bytes(row: bytes, response: bytes, reward: float, truth: object) -> bytes:
    """The same for one row, around what is JSON already: the request's values and the answer as it came in."""
    return b'{"request":{"data":{"ndarray":[%b]}},"response":%b,"reward":%b,"truth":{"data":{"ndarray":[%b]}}}' % (
        row, response, orjson.dumps(reward), orjson.dumps(truth, default=str),
    )  # fmt: skip


def no_feedback() -> InvalidPayload:
    """The error of a reward for a model that speaks V2."""
    return InvalidPayload(
        "reward",
        "the Open Inference Protocol (V2) has no feedback",
        "Rewards of this deployment live in Decant's ledger, where the Verdict page finds them.",
    )


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


def read_prediction(
    body: object, headers: Mapping[str, str], endpoint: Endpoint, latency_ms: float, status: int = 200
) -> Prediction:
    """A response as a Prediction, in the endpoint's protocol. Raises InvalidPayload if it holds no predictions."""
    meta = body.get("meta") if isinstance(body, Mapping) else None
    puid = str(meta.get("puid", "")) if isinstance(meta, Mapping) else ""
    if endpoint.protocol == V2 and isinstance(body, Mapping):
        puid = str(body.get("id") or "")
    return Prediction(
        puid=puid or headers.get(PUID_HEADER, ""),
        predictor=answering_arm(headers, body, endpoint),
        values=tuple(infer_values(body) if endpoint.protocol == V2 else response_values(body)),
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
