"""Time in a replay: when the next row may go, how fast rows went lately, how long a place has been silent."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

SLACK_S = 0.05
"""How far a paced replay may run behind and catch up; a longer delay is not made up by a burst."""

WINDOW_S = 5.0
"""The stretch over which rows per second are counted."""


class Pacer:
    """Spreads rows evenly: one every 1/rate seconds, over all tasks together. Without a rate it never waits."""

    def __init__(self, rate: float | None) -> None:
        self._interval_s = 1 / rate if rate else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the next row may be sent."""
        if not self._interval_s:
            return
        now = asyncio.get_running_loop().time()
        slot = max(self._next, now - SLACK_S)
        self._next = slot + self._interval_s
        if slot > now:
            await asyncio.sleep(slot - now)


class RateWindow:
    """Growth per second over the last WINDOW_S seconds, from samples of a count or a clock that only grows."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, now_s: float, count: float) -> None:
        self._samples.append((now_s, count))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - WINDOW_S:
            self._samples.popleft()

    @property
    def per_s(self) -> float:
        """0 before there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (then_s, before), (now_s, after) = self._samples[0], self._samples[-1]
        return (after - before) / (now_s - then_s) if now_s > then_s else 0.0


Place = tuple[str, str]
"""A service and the arm that should answer; "" where nothing names one."""


@dataclass(slots=True)
class Outage:
    """A stretch of time in which a place has answered nothing usable.

    Attributes:
        since: when its first failure was noticed.
        first: the request that failed first.
        sure: whether it is the place that is down, and not one request that it cannot answer.
        asked_at: when somebody who should know was asked last.
    """

    since: float
    first: int
    sure: bool = False
    asked_at: float = -math.inf


class Outages:
    """Which places have answered nothing usable, and since when. A good answer ends the outage of its place."""

    def __init__(self) -> None:
        self._by_place: dict[Place, Outage] = {}

    def failed(self, place: Place, now_s: float, request: int, *, unreachable: bool = False) -> Outage:
        """Note that `request` failed there. Two that fail in a row, or a dead connection, make an outage sure."""
        outage = self._by_place.setdefault(place, Outage(now_s, request))
        outage.sure = outage.sure or unreachable or outage.first != request
        return outage

    def answered(self, *places: Place) -> None:
        if self._by_place:
            for place in places:
                self._by_place.pop(place, None)

    def longest(self, service: str, now_s: float) -> tuple[str, float] | None:
        """The arm that is surely down for longest, and for how many seconds; None if none is."""
        found = [(now_s - o.since, arm) for (of, arm), o in self._by_place.items() if o.sure and of == service]
        return (max(found)[1], max(found)[0]) if found else None


async def every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Act again and again, with so much time in between, until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        await act()


async def end_all(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel them and wait until they have noticed."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
