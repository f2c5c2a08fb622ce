"""The asynchronous door to the gateway: many requests at once, repeated while a part restarts.

Lean on purpose, since every row of a replay passes here twice: bodies arrive as bytes, connections stay open, nothing
is decoded that nobody reads.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import orjson
from yarl import URL

from services.errors import DecantError
from services.traffic.pacing import Outages
from services.traffic.protocol import error_words

PATIENCE_S = 60.0
"""How long a request is repeated. Longer than any part takes to be restarted, model servers included."""

FIRST_BACKOFF_S = 0.02
LONGEST_BACKOFF_S = 1.0
PASSING_STATUSES = frozenset({408, 502, 503, 504})
"""What a gateway says while the part behind it is away, or stopped in the middle."""

_JSON = "application/json"


class GaveUp(DecantError):
    """A request got no usable answer in time. `route_silent`: nor did any other on its route, all that time."""

    def __init__(self, words: str, *, route_silent: bool) -> None:
        super().__init__(words)
        self.words, self.route_silent = words, route_silent


class Stopping(DecantError):
    """The replay is being stopped; the request was given up without blame."""

    def __init__(self) -> None:
        super().__init__("The replay is being stopped.")


@dataclass(slots=True)  # not frozen: made twice per row
class Answer:
    """A response with its body unread. `latency_ms` is that of the attempt that succeeded."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_ms: float

    @property
    def words(self) -> str:
        """What an error answer says."""
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            parsed = None
        return f"{self.status}: {error_words(parsed, self.body.decode('utf-8', errors='replace'))}"


class Sender:
    """Posts JSON over kept connections. Use as an async context manager, in one event loop."""

    def __init__(self, connections: int, timeout_s: float, patience_s: float = PATIENCE_S) -> None:
        self._connections = connections
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._outages = Outages()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Sender:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def stop(self) -> None:
        """End all waiting between attempts: the requests concerned raise Stopping."""
        self._stopping.set()

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str], route: str) -> Answer:
        """Post once, and again while the other side is away; an answer with another error status is returned as it is.

        Raises:
            GaveUp: after `patience_s` without an answer, counted from this request's or its route's first failure.
            Stopping: if `stop` was called while it would have waited.
        """
        backoff_s, first_failure = FIRST_BACKOFF_S, 0.0
        while True:
            try:
                answer = await self._once(url, body, headers)
                if answer.status not in PASSING_STATUSES:
                    self._outages.answered(route)
                    return answer
                words = answer.words
            except TimeoutError:
                words = f"no answer within {self._timeout_s:g} s"
            except aiohttp.ClientError as error:
                words = str(error) or type(error).__name__
            now = time.monotonic()
            silent_s = self._outages.failed(route, now)
            first_failure = first_failure or now
            # A row that finds its route dead for long does not wait all over again, but it does try once.
            if max(silent_s, now - first_failure) > self._patience_s:
                raise GaveUp(words, route_silent=silent_s > self._patience_s)
            await self._pause(backoff_s * random.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _once(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        started = time.perf_counter()
        async with self._session.post(url, data=body, headers=headers) as response:
            content = await response.read()
            return Answer(response.status, response.headers, content, (time.perf_counter() - started) * 1000)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopping


def json_headers(extra: Mapping[str, str]) -> dict[str, str]:
    """The headers of a JSON body, with others."""
    return {"Content-Type": _JSON, **extra}
