"""How far back Prometheus remembers: whether it still holds the beginning of a time, and until when it will.

A server that forgets does so silently, and not every one says after how long: Thanos, Mimir and proxies have no
`/api/v1/status`. So what is asked first is what every one answers: was anything watched when the time began? Its own
words are used to say why not, and when it is going to happen.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.domain.text import moment
from services.metrics import queries
from services.metrics.door import PrometheusDoor
from services.metrics.queries import Labels

GRACE_S = 120
"""A Prometheus whose first sample comes no later than this after the beginning began with it."""

SCRAPES = 2
"""After its oldest sample Prometheus has seen every target within this many scrapes."""

SOON_SHARE = 1 / 3
"""With less than this share of the retention left, a beginning that is going to be forgotten is told."""

POINTS = 100
"""Where the oldest sample lies is sought among so many points, and once more between two of them."""

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")

RAISE = (
    "Raise the retention (of Decant's own Prometheus: DECANT_PROMETHEUS_RETENTION; else its "
    "--storage.tsdb.retention.time)"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What Prometheus holds of the time from `start` to `as_of`.

    Attributes:
        since: from when on there are samples to count by; `start` itself where none is missing, or nobody can tell.
        retention: how long samples are kept, in Prometheus' words (`15d`, `15d or 10GiB`); "" where it does not say.
        forgotten: whether what is missing was forgotten (or may have been), so that `since` moves on as time goes by.
            Otherwise Prometheus came later than the test, or was away just then.
    """

    start: datetime
    as_of: datetime
    since: datetime
    retention: str = ""
    forgotten: bool = False

    @property
    def whole(self) -> bool:
        return self.since == self.start

    @property
    def soon(self) -> datetime | None:
        """When the beginning is going to be forgotten, if that is near and has not come about; at the earliest."""
        span = span_of(self.retention)
        if span is None or not self.whole:
            return None
        until = self.start + span
        return until if self.as_of >= until - SOON_SHARE * span else None


def read_kept(door: PrometheusDoor, labels: Labels, start: datetime, now: datetime, scrape_s: int) -> Kept:
    """What is held of the time from `start` to `now`. Raises what the door raises."""
    watched = f"count(up{labels.braces()})"
    there = bool(door.instant(watched, start))
    retention = door.retention()
    whole = Kept(start, now, start, retention)
    if there or now <= start:
        return whole
    oldest = _oldest(door, watched, start, now)
    if oldest is None or oldest <= start + timedelta(seconds=GRACE_S):
        return whole
    before = bool(door.instant(queries.watched_before(labels), start))
    since = min(oldest + timedelta(seconds=SCRAPES * scrape_s), now)
    return Kept(start, now, since, retention, forgotten=not before and _may_have_forgotten(retention, now - oldest))


def _oldest(door: PrometheusDoor, watched: str, start: datetime, end: datetime) -> datetime | None:
    """When something was watched for the first time, to a ten thousandth of the time; None if never."""
    for _ in range(2):
        # Counted back from the end, so that not even the newest sample lies between two points.
        step_s = math.ceil((end - start).total_seconds() / POINTS)
        rows = door.range(watched, end - timedelta(seconds=POINTS * step_s), end, max(1, step_s))
        times = [datetime.fromtimestamp(float(at), UTC) for row in rows for at, _ in row["values"]]
        later = [at for at in times if at > start]
        if not later:
            return None
        end = min(later)
        start = max(start, end - timedelta(seconds=step_s))
    return end


def has_forgotten(door: PrometheusDoor, oldest: float) -> bool:
    """Whether what was before the oldest sample, of this unix time, may have been dropped, as Prometheus tells."""
    retention = door.retention()
    return bool(retention) and _may_have_forgotten(retention, timedelta(seconds=time.time() - oldest))


def _may_have_forgotten(retention: str, age: timedelta) -> bool:
    """Whether samples older than those of this age can have been dropped. Only a limit by time alone says no."""
    span = span_of(retention)
    return span is None or " or " in retention or age >= 0.9 * span


def span_of(retention: str) -> timedelta | None:
    """The time in Prometheus' words for its retention: `15d`, `1w3d`, `15d or 10GiB`; None if there is none."""
    words = retention.partition(" or ")[0]
    if not re.fullmatch(rf"({_PART.pattern})+", words):
        return None
    span = sum((int(n) * _UNITS[unit] for n, unit in _PART.findall(words)), timedelta())
    return span or None


def lost(kept: Kept) -> str:
    """The sentence that the beginning is missing, and why."""
    if not kept.forgotten:
        why = "it was not watching then, or has lost its data"
    elif kept.retention:
        why = f"it keeps samples for {kept.retention}"
    else:
        why = "it has forgotten them, or was not watching then"
    return f"Prometheus holds no samples of this test from before {moment(kept.since)}: {why}."


def going(kept: Kept) -> str:
    """The sentence that the beginning is going to be missing; "" where it is not."""
    until = kept.soon
    if until is None:
        return ""
    if kept.as_of >= until:
        return f"This test is older than Prometheus' retention of {kept.retention}: its start may be lost any time."
    on = f"{until.day} {until:%B}"
    return f"This test will outlast Prometheus' retention of {kept.retention} on {on}: its start will be lost then."
