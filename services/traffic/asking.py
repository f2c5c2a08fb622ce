"""One row to one arm (or through the split): the request as bytes, the answer as what the ledger wants to know.

Both the replay and its preview ask through here, so a preview sees exactly what a replay would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from yarl import URL

from services.domain import V2, Endpoint
from services.errors import InvalidPayload
from services.traffic.attribution import answering_arm
from services.traffic.inference import Inputs, infer_path, infer_values, metadata_path, read_metadata
from services.traffic.protocol import FEEDBACK, PREDICTIONS, PUID_HEADER, response_values
from services.traffic.sending import DESCRIBING, PREDICTING, Proxied, Sender, json_headers


@dataclass(slots=True)
class Route:
    """An endpoint made ready for sending: parsed and merged once, not per row.

    `name` is the arm it leads to, "" through the split. Where Decant draws the arm itself, `arms` holds their routes
    with their shares, and each row takes the one that `chosen` gives. `inputs` is what a V2 model wants, once known.
    `picks` are the places of `columns` in a row, where a row has more than them.
    """

    name: str
    endpoint: Endpoint
    columns: tuple[str, ...]
    header: bytes
    predictions: URL | Proxied
    feedback: URL | Proxied
    headers: dict[str, str]
    arms: tuple[tuple[int, Route], ...] = ()
    inputs: Inputs | None = None
    picks: tuple[int, ...] | None = None

    @classmethod
    def to(cls, name: str, endpoint: Endpoint, names: Sequence[str], sent: Sequence[str] = ()) -> Route:
        """The way for rows with these `names`, of which only those in `sent` go, if there are any."""
        columns = [column for column in names if column in sent] or list(names)
        return cls(
            name=name,
            endpoint=endpoint,
            columns=tuple(columns),
            header=orjson.dumps(columns),
            predictions=target(endpoint, infer_path(endpoint.model) if endpoint.protocol == V2 else PREDICTIONS),
            feedback=target(endpoint, FEEDBACK),
            headers=json_headers(dict(endpoint.headers)),
            arms=tuple((arm.share, cls.to(arm.predictor, arm.endpoint, names, sent)) for arm in endpoint.arms)
            if endpoint.drawn
            else (),
            picks=None if len(columns) == len(names) else tuple(names.index(column) for column in columns),
        )

    def chosen(self) -> Route:
        """The way of the next row."""
        if not self.arms:
            return self
        weights = [share for share, _ in self.arms]
        return random.choices(self.arms, weights if any(weights) else None)[0][1]

    def body(self, row: Row, puid: str) -> bytes:
        """Raises InvalidPayload for a row that a V2 model's inputs cannot be made of."""
        if self.inputs is not None:
            return orjson.dumps(self.inputs.body([row.cells], puid), default=str)
        return b'{"data":{"names":%b,"ndarray":[%b]}}' % (self.header, row.json)


@dataclass(slots=True)
class Row:
    """The values of one row, also as a JSON array."""

    cells: Sequence[object]
    json: bytes

    @classmethod
    def of(cls, cells: Sequence[object]) -> Row:
        return cls(cells, orjson.dumps(cells, default=str))


@dataclass(slots=True)  # not frozen: made once per row
class Reply:
    """What came back. `error` is empty if `prediction` is one; `body` is the response as the bytes it came in."""

    arm: str
    latency_ms: float
    prediction: Any = None
    error: str = ""
    body: bytes = b""


def target(endpoint: Endpoint, path: str) -> URL | Proxied:
    """Where requests for `path` go: to a URL, or to a Service through the API server."""
    return Proxied(endpoint.through, path) if endpoint.through else URL(endpoint.url + path)


async def ask(sender: Sender, route: Route, row: Row, puid: str) -> Reply:
    """Send one row. Raises GaveUp, Stopping and Forbidden as `Sender.post` does."""
    v2 = route.endpoint.protocol == V2
    if route.picks is not None:
        row = Row.of([row.cells[place] for place in route.picks])
    try:
        if v2 and route.inputs is None:
            route.inputs = await _inputs(sender, route)
        body = route.body(row, puid)
    except InvalidPayload as error:
        return Reply(route.name, 0.0, error=error.sentence)
    headers = {**route.headers, PUID_HEADER: puid}
    answer = await sender.post(route.predictions, body, headers, (PREDICTING, route.name), waits=True)
    if answer.status >= 400:
        arm = answering_arm(answer.headers, None, route.endpoint) or route.name
        return Reply(arm, answer.latency_ms, error=answer.words)
    try:
        parsed = orjson.loads(answer.body)
        (prediction,) = infer_values(parsed) if v2 else response_values(parsed)
    except (orjson.JSONDecodeError, InvalidPayload, ValueError) as error:
        return Reply(route.name, answer.latency_ms, error=f"the answer is not one prediction: {error}")
    arm = answering_arm(answer.headers, parsed, route.endpoint)
    return Reply(arm, answer.latency_ms, prediction, body=answer.body)


async def _inputs(sender: Sender, route: Route) -> Inputs:
    """What the model says that it takes. Behind a split, the first arm is asked: the arms go by different names."""
    asked = route.endpoint.arms[0].endpoint if route.endpoint.arms else route.endpoint
    path = metadata_path(asked.model)
    headers = json_headers(dict(asked.headers))
    answer = await sender.get(target(asked, path), headers, (DESCRIBING, route.name), waits=True)
    try:
        return Inputs(route.columns, read_metadata(orjson.loads(answer.body)) if answer.status < 400 else ())
    except orjson.JSONDecodeError:
        return Inputs(route.columns)


def unwrap(value: Any) -> Any:
    """[[v]] as v: models answer a row in either shape."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value
