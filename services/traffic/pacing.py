"""Time in a replay: when the next row may go, how fast rows went lately, how long a route has been silent."""

from __future__ import annotations

import asyncio
from collections import deque

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


class Outages:
    """Since when each route has answered nothing usable. A good answer ends the outage of its route."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def failed(self, route: str, now_s: float) -> float:
        """Note a failure; returns the seconds since the route's first one in a row."""
        return now_s - self._since.setdefault(route, now_s)

    def answered(self, route: str) -> None:
        if self._since:
            self._since.pop(route, None)
