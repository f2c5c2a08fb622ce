"""One request at a time, for people: the Traffic page and `predict`. The only door to httpx for predictions."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from services.domain import V2, Endpoint, Prediction, Relay
from services.errors import InvalidPayload, Rejected, Unavailable
from services.traffic.inference import Inputs, Tensor, infer_path, metadata_path, read_metadata
from services.traffic.protocol import (
    FEEDBACK,
    PREDICTIONS,
    PUID_HEADER,
    error_words,
    feedback_body,
    no_feedback,
    read_prediction,
    request_body,
)

CONNECT_TIMEOUT_S = 3.0
MAX_CONNECTIONS = 32
METADATA_KEPT_S = 15.0
"""How long it is remembered what a V2 model takes; another model may come to serve under its name."""


class PredictionClient:
    """Sends requests over kept connections. Thread-safe: all sessions of the dashboard share one.

    Args:
        timeout_s: for one request.
        relay: passes requests to Services that have no address here; None where all have one.
    """

    def __init__(self, timeout_s: float = 30, relay: Relay | None = None) -> None:
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            trust_env=False,  # what answers is on this machine or in this cluster; never behind a web proxy
        )
        self._timeout_s, self._relay = timeout_s, relay
        self._metadata: dict[Endpoint, tuple[float, tuple[Tensor, ...]]] = {}

    def for_person(self, *, who: str) -> PredictionClient:
        """The same client, whose requests through an API server go with the rights of `who` where it asks for them."""
        theirs = copy.copy(self)
        theirs._relay = self._relay.for_person(who) if self._relay else None
        return theirs

    def close(self) -> None:
        self._http.close()

    def predict(
        self,
        endpoint: Endpoint,
        rows: Sequence[Sequence[object]],
        names: Sequence[str] = (),
        puid: str | None = None,
    ) -> tuple[Prediction, dict[str, Any], dict[str, Any]]:
        """Ask for the predictions of `rows`; returns them with the request and the response as they went by.

        Raises:
            Rejected: the model, or what is in front of it, answered with an error; it carries the words.
            Unavailable: nobody answered.
            Forbidden: the way leads through an API server that does not let us pass.
            InvalidPayload: a value cannot be sent, or the answer holds no predictions.
        """
        endpoint = endpoint.chosen()
        request = self.request_for(endpoint, rows, names, puid)
        prediction, response = self.send(endpoint, request, puid)
        return prediction, request, response

    def request_for(
        self, endpoint: Endpoint, rows: Sequence[Sequence[object]], names: Sequence[str] = (), puid: str | None = None
    ) -> dict[str, Any]:
        """The body that asks for `rows` in the endpoint's protocol; V2 models are asked first what they take.

        Raises InvalidPayload for rows that cannot be written so, and Unavailable and Forbidden as `predict` does.
        """
        if endpoint.protocol != V2:
            return request_body(rows, names)
        return Inputs(names, self._tensors(endpoint)).body(rows, puid or "")

    def send(
        self, endpoint: Endpoint, request: Mapping[str, Any], puid: str | None = None
    ) -> tuple[Prediction, dict[str, Any]]:
        """Send a body that `request_for` made. Raises as `predict` does."""
        headers = {**dict(endpoint.headers), **({PUID_HEADER: puid} if puid else {})}
        path = infer_path(endpoint.model) if endpoint.protocol == V2 else PREDICTIONS
        started = time.perf_counter()
        status, answered, body = self._exchange(endpoint, path, headers, request)
        latency_ms = (time.perf_counter() - started) * 1000
        return read_prediction(body, answered, endpoint, latency_ms, status), body

    def feedback(
        self,
        endpoint: Endpoint,
        request: Mapping[str, Any],
        response: Mapping[str, Any],
        reward: float,
        truth: object = None,
    ) -> None:
        """Tell an arm what its answer was worth. Raises as `predict` does, and InvalidPayload where V2 has no feedback.

        `endpoint` is that of the arm: what goes through an ingress of Seldon's is divided again, whoever answered.
        """
        if not endpoint.feeds:
            raise no_feedback()
        self._exchange(endpoint, FEEDBACK, dict(endpoint.headers), feedback_body(request, response, reward, truth))

    def _tensors(self, endpoint: Endpoint) -> tuple[Tensor, ...]:
        """What the model declares that it takes; nothing where it does not say."""
        asked = endpoint.arms[0].endpoint if endpoint.arms else endpoint  # behind the split the arms have other names
        kept, now = self._metadata.get(asked), time.monotonic()
        if kept is not None and now < kept[0]:
            return kept[1]
        try:
            _, _, body = self._exchange(asked, metadata_path(asked.model), dict(asked.headers), None)
            tensors = read_metadata(body)
        except Rejected:
            tensors = ()
        self._metadata[asked] = now + METADATA_KEPT_S, tensors
        return tensors

    def _exchange(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        try:
            content = None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError as error:
            raise InvalidPayload("data", str(error)) from error
        status, answered, found = self._pass(endpoint, path, {"Content-Type": "application/json", **headers}, content)
        try:
            parsed = orjson.loads(found) if found else {}
        except orjson.JSONDecodeError:
            parsed = None
        if status >= 400 or not isinstance(parsed, dict):
            raise Rejected(endpoint.part, status, error_words(parsed, found.decode("utf-8", errors="replace")))
        return status, answered, parsed

    def _pass(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], content: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        if endpoint.through is not None:
            if self._relay is None:
                raise Unavailable(endpoint.part, f"no way leads to {endpoint.url}")
            return self._relay(endpoint.through, path, content, headers, self._timeout_s)
        url = endpoint.url + path
        try:
            answer = self._direct(url, headers, content, again=endpoint.protocol == V2)
        except httpx.TimeoutException as error:
            hint = "Is the model loaded? See the Deploy page."
            raise Unavailable(endpoint.part, f"no answer from {url} in time", hint) from error
        except httpx.TransportError as error:
            here = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
            hint = "Start Decant with `make run`." if here else "Is it ready, and may this machine reach that address?"
            raise Unavailable(endpoint.part, f"{url}: {error}", hint) from error
        return answer.status_code, answer.headers, answer.content

    def _direct(self, url: str, headers: Mapping[str, str], content: bytes | None, *, again: bool) -> httpx.Response:
        """One request; with `again` a second time if the connection broke: MLServer cuts it after an error of a model.

        Only where nothing is counted by the other side.
        """
        method = "GET" if content is None else "POST"
        try:
            return self._http.request(method, url, content=content, headers=headers)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if not again:
                raise
            return self._http.request(method, url, content=content, headers=headers)
