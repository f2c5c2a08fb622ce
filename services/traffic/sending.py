"""The asynchronous door to the gateway: many requests at once, repeated while a part restarts.

Lean on purpose, since every row of a replay passes here twice: bodies arrive as bytes, connections stay open, nothing
is decoded that nobody reads. What has no address here goes through the API server, in a few threads: its client knows
the certificates and renews the token, and it serves the whole cluster beside us.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import aiohttp
import orjson
from yarl import URL

from services.domain import ProxiedService, Relay, Relayed
from services.errors import DecantError, Unavailable
from services.traffic.attribution import ARM_HEADER
from services.traffic.pacing import Outage, Outages, Place
from services.traffic.protocol import error_words

PATIENCE_S = 60.0
"""How long a request is repeated while others are answered where it is not."""

OUTAGE_S = 1800.0
"""How long rows wait for an arm that answers nobody: a large model or its environment can take that long to be back."""

ASK_AFTER_S, ASK_EVERY_S = 1.0, 5.0
"""When and how often somebody who should know is asked whether an arm is down, if the failures do not say."""

PREDICTING, FEEDING, DESCRIBING = "predictions", "feedback", "metadata"
"""What an arm is asked for."""

FIRST_BACKOFF_S = 0.02
LONGEST_BACKOFF_S = 1.0
NOT_FOUND = 404
PASSING_STATUSES = frozenset({408, 429, 502, 503, 504})
"""What a gateway says while the part behind it is away, stopped in the middle, or has too much to do."""

RELAYED_AT_ONCE = 8
"""Requests under way through the API server, which has some hundred places for the whole cluster."""

_JSON = "application/json"


class GaveUp(DecantError):
    """A request got no usable answer in time. `silent`: nor did any other from the same arm, all that time."""

    def __init__(self, words: str, *, silent: bool) -> None:
        super().__init__(words)
        self.words, self.silent = words, silent


class Stopping(DecantError):
    """The replay is being stopped; the request was given up without blame."""

    def __init__(self) -> None:
        super().__init__("The replay is being stopped.")


@dataclass(slots=True)  # not frozen: made twice per row
class Answer:
    """A response with its body unread. `latency_ms` runs from the first attempt that an arm let fail, if any did: a
    client would have waited so long. Time in which nothing could be reached at all is nobody's latency."""

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
    """Posts JSON over kept connections. Use as an async context manager, in one event loop.

    Args:
        patience_s: how long a request is repeated where others are answered.
        relay: passes requests to arms that have no address here.
        outage_s: how long a request that may wait is kept while its arm answers nobody; None: no longer than others.
        down: says whether an arm ("": all of them) can answer nothing now; asked where one request alone fails.
    """

    def __init__(
        self,
        connections: int,
        timeout_s: float,
        patience_s: float = PATIENCE_S,
        relay: Relay | None = None,
        *,
        outage_s: float | None = None,
        down: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._outage_s = patience_s if outage_s is None else outage_s
        self._down = down
        self._numbers = itertools.count()
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

    @property
    def waiting_for(self) -> tuple[str, float] | None:
        """The arm ("": all of them) that has answered no prediction for longest, and for how many seconds."""
        return self._outages.longest(PREDICTING, time.monotonic())

    async def post(
        self, target: URL | Proxied, body: bytes, headers: Mapping[str, str], place: Place, *, waits: bool = False
    ) -> Answer:
        """Post once, and again while the other side is away; an answer with another error status is returned as it is.

        With `waits`, time in which `place` surely answers nobody is no fault of the request: it goes on trying, for as
        long as `outage_s`. Without it, a request that finds its place dead for long tries once and gives up.

        Raises:
            GaveUp: after `patience_s` in which the request had no answer where others had, or after `outage_s`.
            Stopping: if `stop` was called while it would have waited.
            Forbidden: if the API server does not let us pass to a Service.
        """
        return await self._repeated(target, body, headers, place, waits)

    async def get(
        self, target: URL | Proxied, headers: Mapping[str, str], place: Place, *, waits: bool = False
    ) -> Answer:
        """GET in the same way."""
        return await self._repeated(target, None, headers, place, waits)

    async def _repeated(
        self, target: URL | Proxied, body: bytes | None, headers: Mapping[str, str], place: Place, waits: bool
    ) -> Answer:
        (service, arm), number = place, next(self._numbers)
        backoff_s, blamed_s, first, before = FIRST_BACKOFF_S, 0.0, math.inf, math.inf
        drawn, tried_at = "", math.nan
        while True:
            named, unreachable = arm or drawn, False
            began = time.perf_counter()
            try:
                # Once the split has drawn an arm the request stays there: drawn again, it would go to who answers.
                answer = await self._once(target, body, {**headers, ARM_HEADER: drawn} if drawn else headers)
                if drawn and answer.status == NOT_FOUND:  # it was removed meanwhile
                    drawn, tried_at = "", math.nan
                    continue
                named = answer.headers.get(ARM_HEADER) or named
                if answer.status not in PASSING_STATUSES:
                    self._outages.answered(place, (service, named))
                    if tried_at < began:
                        answer.latency_ms += (began - tried_at) * 1000
                    return answer
                words = answer.words
                drawn = "" if arm else named
            except TimeoutError:
                words = f"no answer within {self._timeout_s:g} s"
            except Unavailable as error:
                words, unreachable = error.sentence, True
            except aiohttp.ClientError as error:
                words, unreachable = str(error) or type(error).__name__, True
            if named or not unreachable:
                tried_at = began if math.isnan(tried_at) else tried_at
            now = time.monotonic()
            outage = self._outages.failed((service, named), now, number, unreachable=unreachable)
            silent_s, first = now - outage.since, min(first, now)
            if not waits:
                if max(silent_s, now - first) > self._patience_s:
                    raise GaveUp(words, silent=silent_s > self._patience_s)
            else:
                if outage.since > before:  # others had an answer since this one tried last
                    blamed_s += now - before
                await self._inquire(outage, named, now, last=blamed_s + silent_s > self._patience_s)
                if outage.sure and silent_s > self._outage_s:
                    raise GaveUp(words, silent=True)
                if blamed_s + (0.0 if outage.sure else silent_s) > self._patience_s:
                    raise GaveUp(words, silent=False)
            before = now
            await self._pause(backoff_s * random.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _inquire(self, outage: Outage, arm: str, now: float, *, last: bool) -> None:
        """Where one request alone fails it may be its own fault: whoever knows the arms is asked, now and then.

        `last` says that the request would be given up now.
        """
        due = last or (now - outage.since > ASK_AFTER_S and now - outage.asked_at > ASK_EVERY_S)
        if self._down is not None and not outage.sure and due:
            outage.asked_at = now
            outage.sure = await self._down(arm)

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
            raise Unavailable(f"The Service {target.service.name}", "no way leads to it from here")
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
