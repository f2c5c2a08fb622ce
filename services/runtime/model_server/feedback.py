"""Rewards: counted at the arm that made the prediction, wherever the gateway sent the feedback.

Feedback goes through the same weighted gateway as predictions, so it lands on any arm. The answer it carries names the
arm that gave it (meta.requestPath, or meta.tags where the client got tags); feedback for another arm is sent on once,
pinned to that arm by a request header. Feedback with the answer of another system, which names no arm, is counted where
it landed; feedback with no answer at all is refused, unless the client pinned it itself.

A missing reward beside a response counts as 0: Protobuf's JSON leaves zeros out, so that is how SeldonClient says 0.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

import aiohttp
import orjson

from services.errors import InvalidPayload
from services.runtime.model_server.failures import RequestFailed
from services.runtime.model_server.instruments import Instruments
from services.runtime.model_server.options import PREDICTOR_KEY, ServerOptions
from services.runtime.model_server.seldon import parse_object

PREDICTOR_HEADER = "x-decant-predictor"
FORWARDED_HEADER = "x-decant-forwarded"
_FORWARD_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 2.0
_CONNECTIONS = 32
_KNOWN_ARMS = re.compile(r"Its predictors: ([a-z0-9, -]+)\.")  # as the gateway says it


class Feedback(NamedTuple):
    """A reward (finite, >= 0), the arm it is for (empty: unknown), and whether it came with an answer."""

    reward: float
    predictor: str
    puid: str
    answered: bool = True


def read_feedback(body: bytes) -> Feedback:
    """Raises InvalidPayload naming the field."""
    try:
        message = parse_object(body)
    except InvalidPayload as error:
        _refuse_non_finite(body, error)
        raise
    response = message.get("response")
    if response is not None and type(response) is not dict:
        raise InvalidPayload("response", "must be the answer to a prediction, as an object.")
    meta = (response or {}).get("meta")
    meta = meta if type(meta) is dict else {}
    if "reward" in message:
        reward = _read_reward(message["reward"])
    elif response:
        reward = 0.0
    else:
        raise InvalidPayload("reward", "is missing.")
    puid = meta.get("puid")
    return Feedback(reward, _predictor(meta), puid if type(puid) is str else "", bool(response))


def _refuse_non_finite(body: bytes, error: InvalidPayload) -> None:
    """Name the reward where it is what keeps a body from being JSON: NaN, Infinity, or a number beyond all floats."""
    try:
        message = json.loads(body)  # unlike orjson, takes all three
    except (ValueError, RecursionError):
        return
    reward = message.get("reward") if isinstance(message, dict) else None
    while isinstance(reward, list) and len(reward) == 1:
        reward = reward[0]
    if isinstance(reward, float) and not math.isfinite(reward):
        raise InvalidPayload("reward", f"must be finite, but is {reward}.") from error


def _read_reward(value: Any) -> float:
    while type(value) is list and len(value) == 1:  # numpy scalars arrive as [[0.3]]
        value = value[0]
    if type(value) not in (int, float):
        text = "must be finite, but is" if value in ("NaN", "Infinity", "-Infinity") else "must be a number, but is"
        raise InvalidPayload("reward", f"{text} {orjson.dumps(value).decode()[:60]}.")
    number = float(value)
    if not math.isfinite(number):
        raise InvalidPayload("reward", "must be finite.")
    if number < 0:
        raise InvalidPayload(
            "reward",
            f"is negative ({number:g}), but it is summed in a Prometheus counter, and counters only grow.",
            "Use a reward of 0 or more, such as the bounded reward 1/(1+(error/scale)^2), which lies between 0 and 1.",
        )
    return number


def _predictor(meta: dict[str, Any]) -> str:
    for holder, key in ((meta.get("tags"), "predictor"), (meta.get("requestPath"), PREDICTOR_KEY)):
        name = holder.get(key) if type(holder) is dict else None
        if type(name) is str and name:
            return name
    return ""


class FeedbackDesk:
    """Counts feedback for this arm and passes the rest on."""

    def __init__(self, options: ServerOptions, instruments: Instruments) -> None:
        self._options, self._instruments = options, instruments
        self._session: aiohttp.ClientSession | None = None

    async def take(self, body: bytes, *, forwarded: bool = False, pinned: str = "") -> Feedback:
        """Count or pass on. Raises InvalidPayload, or RequestFailed where the other arm cannot be reached."""
        feedback = read_feedback(body)
        if not feedback.answered and pinned != self._options.predictor:
            raise InvalidPayload(
                "response",
                "is missing.",
                "Send the response of the prediction with its reward, so that the reward reaches the arm that "
                "earned it.",
            )
        if feedback.predictor in ("", self._options.predictor):
            self._instruments.reward(feedback.reward)
            return feedback
        if forwarded:
            raise RequestFailed(
                409,
                f"This feedback is for predictor “{feedback.predictor}”, but reached “{self._options.predictor}”.",
                f"Deployment {self._options.deployment} has no predictor of that name now.",
                "WRONG_PREDICTOR",
            )
        await self._pass_on(feedback, body)
        self._instruments.forwarded += 1
        return feedback

    async def _pass_on(self, feedback: Feedback, body: bytes) -> None:
        name = feedback.predictor
        if not self._options.gateway_url:
            raise RequestFailed(502, f"This feedback is for predictor “{name}”, and no gateway is set to pass it on.")
        if not (name.isascii() and name.isprintable() and len(name) <= 63):
            raise InvalidPayload("response.meta", f"names an impossible predictor: {name[:63]!r}.")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=15),
                timeout=aiohttp.ClientTimeout(total=_FORWARD_TIMEOUT_S, sock_connect=_CONNECT_TIMEOUT_S),
            )
        headers = {"content-type": "application/json", PREDICTOR_HEADER: name, FORWARDED_HEADER: "1"}
        try:
            async with self._session.post(self._options.feedback_url, data=body, headers=headers) as answer:
                status, words = answer.status, await answer.read()
        except aiohttp.ClientConnectorError as error:
            raise RequestFailed(
                503,
                f"Feedback for predictor “{name}” was not counted: the gateway cannot be reached.",
                "Send it again.",
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RequestFailed(
                502,
                f"Feedback for predictor “{name}” was passed on, but no answer came back ({type(error).__name__}).",
                "It may have been counted.",
            ) from error
        if status != 200:
            raise _refused(self._options.deployment, name, status, words)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _refused(deployment: str, name: str, status: int, words: bytes) -> RequestFailed:
    try:
        info = str(orjson.loads(words)["status"]["info"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        info = words[:200].decode("utf-8", "replace")
    if status in (404, 409):
        known = _KNOWN_ARMS.search(info)
        text = f"Feedback for predictor “{name}” was not counted: {deployment} has no predictor of that name."
        return RequestFailed(404, text, f"Its predictors: {known[1]}." if known else "", "UNKNOWN_PREDICTOR")
    text = f"Feedback for predictor “{name}” was not counted: {info or f'HTTP {status}'}"
    return RequestFailed(503 if status == 503 else 502, text, "Send it again.")
