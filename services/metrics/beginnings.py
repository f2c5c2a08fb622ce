"""Where that which Prometheus holds begins. What takes several queries to find is remembered for some minutes."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.metrics import queries
from services.metrics.door import PrometheusDoor
from services.metrics.queries import Labels, Selection
from services.metrics.retention import Kept, may_have_forgotten

GRACE_S = 120
"""A Prometheus whose first sample comes no later than this after the beginning began with it."""

SCRAPES = 2
"""After its oldest sample Prometheus has seen every target within this many scrapes."""

POINTS = 100
"""Samples are looked for at so many points at once."""

BEFORE = ((86_400, 300), (15 * 86_400, 12_960))
"""Whether anything was watched before is asked of the last day, then of the last 15: seconds, and seconds of a step.
Prometheus looks back five minutes from each point, so of the last day nothing is missed."""

REMEMBERED_S, MOST_REMEMBERED = 300.0, 64


@dataclass(frozen=True, slots=True)
class _Gone:
    """What was found of a time at whose start nothing is held.

    Attributes:
        oldest: when something was watched for the first time since; None if never.
        before: whether something is held that is older than the start.
        untold: whether there are counters, but no `up` by which to tell when they began.
    """

    oldest: datetime | None = None
    before: bool = False
    untold: bool = False


class Beginnings:
    """Whether Prometheus still holds the beginning of a time. Thread-safe; raises what the door raises."""

    def __init__(self, door: PrometheusDoor, labels: Labels, scrape_s: int) -> None:
        self._door, self._labels, self._scrape_s = door, labels, scrape_s
        self._watched = queries.watched(labels)
        self._lock = threading.Lock()
        self._found: OrderedDict[datetime, tuple[float, _Gone]] = OrderedDict()

    def kept(self, start: datetime, now: datetime) -> Kept:
        """What is held of the time from `start` to `now`."""
        there = bool(self._door.instant(self._watched, start))
        whole = Kept(start, now, start, self._door.retention())
        if there or now <= start + timedelta(seconds=GRACE_S):
            return whole
        gone = self._recall(start) or self._look(start, now)
        if gone.oldest is None:
            return replace(whole, untold=gone.untold)
        if gone.oldest <= start + timedelta(seconds=GRACE_S):
            return whole
        since = min(gone.oldest + timedelta(seconds=SCRAPES * self._scrape_s), now)
        forgotten = not gone.before and may_have_forgotten(whole.retention, now - gone.oldest)
        return replace(whole, since=since, forgotten=forgotten)

    def _recall(self, start: datetime) -> _Gone | None:
        """What was found some minutes ago, if the oldest sample is still held."""
        with self._lock:
            until, gone = self._found.get(start, (0.0, _Gone()))
        if time.monotonic() >= until:
            return None
        return gone if gone.oldest is None or self._door.instant(self._watched, gone.oldest) else None

    def _look(self, start: datetime, now: datetime) -> _Gone:
        oldest = self._oldest(start, now)
        if oldest is None:
            gone = _Gone(untold=self._counted_without_up(start, now))
        else:
            gone = _Gone(oldest, watched_before(self._door, self._labels, start))
        if oldest is not None or gone.untold:  # where nothing is held at all, the first scrape is about to come
            with self._lock:
                self._found[start] = (time.monotonic() + REMEMBERED_S, gone)
                self._found.move_to_end(start)
                while len(self._found) > MOST_REMEMBERED:
                    self._found.popitem(last=False)
        return gone

    def _oldest(self, start: datetime, end: datetime) -> datetime | None:
        """When something was watched for the first time after `start`, to the second; None if never.

        Looked for at whole seconds after `start`, so every look finds the same as long as nothing is forgotten.
        """
        low, high, found = 0, math.ceil((end - start).total_seconds()), False
        while high - low > 1:
            step = math.ceil((high - low) / POINTS)
            last = low + (high - low) // step * step
            first_at, last_at = start + timedelta(seconds=low + step), start + timedelta(seconds=last)
            rows = self._door.range(self._watched, first_at, last_at, step)
            seen = [round(float(at) - start.timestamp()) for row in rows for at, _ in row["values"]]
            if seen:
                low, high = min(seen) - step, min(seen)
            elif found or self._door.instant(self._watched, end):
                low = last  # the newest samples lie behind the last point
            else:
                return None
            found = True
        return start + timedelta(seconds=high)

    def _counted_without_up(self, start: datetime, end: datetime) -> bool:
        counted = f"count({queries.request_counter(Selection(None, None, self._labels))})"
        step = math.ceil((end - start).total_seconds() / POINTS)
        rows = self._door.range(counted, end - timedelta(seconds=POINTS * step), end, step)
        times = [float(at) for row in rows for at, _ in row["values"]]
        return bool(times) and min(times) > start.timestamp() + max(GRACE_S, step)


def watched_before(door: PrometheusDoor, labels: Labels, at: datetime) -> bool:
    """Whether something is held that was watched in the 15 days before. Spells of hours may be missed, but not of the
    last day."""
    return any(
        row["values"]
        for span_s, step_s in BEFORE
        for row in door.range(queries.watched(labels), at - timedelta(seconds=span_s), at, step_s)
    )
