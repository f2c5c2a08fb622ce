"""One request at a time, for people: the Traffic page and `predict`. The only door to httpx for predictions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson

from services.domain import Endpoint, Prediction
from services.errors import InvalidPayload, Rejected, Unavailable
from services.traffic.protocol import (
    FEEDBACK,
    PREDICTIONS,
    PUID_HEADER,
    error_words,
    feedback_body,
    read_prediction,
    request_body,
)

GATEWAY = "The gateway"
CONNECT_TIMEOUT_S = 3.0
MAX_CONNECTIONS = 32


class PredictionClient:
    """Sends requests over kept connections. Thread-safe: all sessions of the dashboard share one."""

    def __init__(self, timeout_s: float = 30) -> None:
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            trust_env=False,  # the gateway is on this machine or in this cluster; never behind a web proxy
        )

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
            Rejected: the model or the gateway answered with an error; it carries the words.
            Unavailable: nobody answered.
            InvalidPayload: a value cannot be sent, or the answer holds no predictions.
        """
        request = request_body(rows, names)
        headers = {**dict(endpoint.headers), **({PUID_HEADER: puid} if puid else {})}
        started = time.perf_counter()
        answer, body = self._post(endpoint.url + PREDICTIONS, request, headers)
        latency_ms = (time.perf_counter() - started) * 1000
        return read_prediction(body, answer.headers, endpoint, latency_ms, answer.status_code), request, body

    def feedback(
        self,
        endpoint: Endpoint,
        request: Mapping[str, Any],
        response: Mapping[str, Any],
        reward: float,
        truth: object = None,
    ) -> None:
        """Tell the deployment what its answer was worth. Raises as `predict` does.

        Through the split or pinned makes no difference to the count: the arm named in `response` gets it.
        """
        self._post(endpoint.url + FEEDBACK, feedback_body(request, response, reward, truth), dict(endpoint.headers))

    def _post(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[httpx.Response, dict[str, Any]]:
        try:
            content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError as error:
            raise InvalidPayload("data", str(error)) from error
        try:
            answer = self._http.post(url, content=content, headers={"Content-Type": "application/json", **headers})
        except httpx.TimeoutException as error:
            raise Unavailable(
                GATEWAY, f"no answer from {url} in time", "Is the model loaded? See the Deploy page."
            ) from error
        except httpx.TransportError as error:
            raise Unavailable(GATEWAY, f"{url}: {error}", "Start Decant with `make run`.") from error
        try:
            parsed = orjson.loads(answer.content) if answer.content else {}
        except orjson.JSONDecodeError:
            parsed = None
        if answer.is_error or not isinstance(parsed, dict):
            raise Rejected(GATEWAY, answer.status_code, error_words(parsed, answer.text))
        return answer, parsed
