"""One row to one arm (or through the split): the request as bytes, the answer as what the ledger wants to know.

Both the replay and its preview ask through here, so a preview sees exactly what a replay would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from yarl import URL

from services.domain import Endpoint
from services.errors import InvalidPayload
from services.traffic.protocol import ARM_HEADER, FEEDBACK, PREDICTIONS, PUID_HEADER, answering_arm, response_values
from services.traffic.sending import Sender, json_headers


@dataclass(slots=True)
class Route:
    """An endpoint made ready for sending: parsed and merged once, not per row. `name` is the arm it is pinned to."""

    name: str
    endpoint: Endpoint
    predictions: URL
    feedback: URL
    headers: dict[str, str]

    @classmethod
    def to(cls, name: str, endpoint: Endpoint) -> Route:
        urls = URL(endpoint.url + PREDICTIONS), URL(endpoint.url + FEEDBACK)
        return cls(name, endpoint, *urls, json_headers(dict(endpoint.headers)))


@dataclass(slots=True)  # not frozen: made once per row
class Reply:
    """What came back. `error` is empty if `prediction` is one; `body` is the response as the bytes it came in."""

    arm: str
    latency_ms: float
    prediction: Any = None
    error: str = ""
    body: bytes = b""


async def ask(sender: Sender, route: Route, names: bytes, values: bytes, puid: str) -> Reply:
    """Send one row (`names` and `values` are JSON arrays). Raises GaveUp and Stopping as `Sender.post` does."""
    body = b'{"data":{"names":%b,"ndarray":[%b]}}' % (names, values)
    answer = await sender.post(
        route.predictions, body, {**route.headers, PUID_HEADER: puid}, f"predictions {route.name}"
    )
    if answer.status >= 400:
        return Reply(answer.headers.get(ARM_HEADER, route.name), answer.latency_ms, error=answer.words)
    try:
        parsed = orjson.loads(answer.body)
        (prediction,) = response_values(parsed)
    except (orjson.JSONDecodeError, InvalidPayload, ValueError) as error:
        return Reply(route.name, answer.latency_ms, error=f"the answer is not one prediction: {error}")
    arm = answering_arm(answer.headers, parsed, route.endpoint)
    return Reply(arm, answer.latency_ms, prediction, body=answer.body)


def unwrap(value: Any) -> Any:
    """[[v]] as v: models answer a row in either shape."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value
