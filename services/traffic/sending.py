"""The asynchronous door to the gateway: many requests at once, repeated while a part restarts.

Lean on purpose, since every row of a replay passes here twice: bodies arrive as bytes, connections stay open, nothing
is decoded that nobody reads. What has no address here goes through the API server, in a few threads: its client knows
the certificates and renews the token, and it serves the whole cluster beside us.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import aiohttp
import orjson
from yarl import URL

from services.domain import ProxiedService, Relay, Relayed
from services.errors import DecantError, Unavailable
from services.traffic.pacing import Outages
from services.traffic.protocol import error_words

PATIENCE_S = 60.0
"""How long a request is repeated. Longer than any part takes to be restarted, model servers included."""

FIRST_BACKOFF_S = 0.02
LONGEST_BACKOFF_S = 1.0
PASSING_STATUSES = frozenset({408, 429, 502, 503, 504})
"""What a gateway says while the part behind it is away, stopped in the middle, or has too much to do."""

RELAYED_AT_ONCE = 8
"""Requests under way through the API server, which has some hundred places for the whole cluster."""

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


@dataclass(frozen=True, slots=True)
class Proxied:
    """A path of a Service behind the API server, where others have a URL."""

    service: ProxiedService
    path: str


class Sender:
    """Posts JSON over kept connections. Use as an async context manager, in one event loop."""

    def __init__(
        self, connections: int, timeout_s: float, patience_s: float = PATIENCE_S, relay: Relay | None = None
    ) -> None:
        self._relay = relay
        self._threads: ThreadPoolExecutor | None = None
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
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End all waiting between attempts: the requests concerned raise Stopping."""
        self._stopping.set()

    async def post(self, target: URL | Proxied, body: bytes, headers: Mapping[str, str], route: str) -> Answer:
        """Post once, and again while the other side is away; an answer with another error status is returned as it is.

        Raises:
            GaveUp: after `patience_s` without an answer, counted from this request's or its route's first failure.
            Stopping: if `stop` was called while it would have waited.
            Forbidden: if the API server does not let us pass to a Service.
        """
        return await self._repeated(target, body, headers, route)

    async def get(self, target: URL | Proxied, headers: Mapping[str, str], route: str) -> Answer:
        """GET in the same way."""
        return await self._repeated(target, None, headers, route)

    async def _repeated(
        self, target: URL | Proxied, body: bytes | None, headers: Mapping[str, str], route: str
    ) -> Answer:
        backoff_s, first_failure = FIRST_BACKOFF_S, 0.0
        while True:
            try:
                answer = await self._once(target, body, headers)
                if answer.status not in PASSING_STATUSES:
                    self._outages.answered(route)
                    return answer
                words = answer.words
            except TimeoutError:
                words = f"no answer within {self._timeout_s:g} s"
            except Unavailable as error:
                words = error.sentence
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

    async def _once(self, target: URL | Proxied, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        started = time.perf_counter()
        if isinstance(target, Proxied):
            status, found, content = await self._relayed(target, body, headers)
            return Answer(status, found, content, (time.perf_counter() - started) * 1000)
        method = "GET" if body is None else "POST"
        async with self._session.request(method, target, data=body, headers=headers) as response:
            content = await response.read()
            return Answer(response.status, response.headers, content, (time.perf_counter() - started) * 1000)

    async def _relayed(self, target: Proxied, body: bytes | None, headers: Mapping[str, str]) -> Relayed:
        relay = self._relay
        if relay is None:
            raise Unavailable("The gateway", f"no way leads to {target.service.path}")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(RELAYED_AT_ONCE, thread_name_prefix="relay")
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: relay(target.service, target.path, body, headers, self._timeout_s)
        )

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopping


def json_headers(extra: Mapping[str, str]) -> dict[str, str]:
    """The headers of a JSON body, with others."""
    return {"Content-Type": _JSON, **extra}
