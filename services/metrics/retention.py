"""How far back Prometheus remembers: whether it still holds the beginning of a time, and until when it will.

A server that forgets does so silently, and not every one says after how long: Thanos, Mimir and proxies have no
`/api/v1/status`. So what is asked first is what every one answers: was anything watched when the time began
(beginnings.py)? Its own words are used to say why not, and when it is going to happen.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.domain.text import moment
from services.metrics.door import PrometheusDoor

SOON_SHARE = 1 / 3
"""With less than this share of the retention left, a beginning that is going to be forgotten is told."""

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


@dataclass(frozen=True, slots=True)
class Kept:
    """What Prometheus holds of the time from `start` to `as_of`.

    Attributes:
        since: from when on there are samples to count by; `start` itself where none is missing, or nobody can tell.
        retention: how long samples are kept, in Prometheus' words (`15d`, `15d or 10GiB`); "" where it does not say.
        forgotten: whether what is missing was forgotten (or may have been), so that `since` moves on as time goes by.
            Otherwise Prometheus came later than the test, or was away just then.
        untold: whether there is no `up`, as behind a remote write that lets only some metrics pass, and no counter from
            the beginning either: then nobody can tell whether it is held.
    """

    start: datetime
    as_of: datetime
    since: datetime
    retention: str = ""
    forgotten: bool = False
    untold: bool = False

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


def has_forgotten(door: PrometheusDoor, oldest: float) -> bool:
    """Whether what was before the oldest sample, of this unix time, may have been dropped, as Prometheus tells."""
    retention = door.retention()
    return bool(retention) and may_have_forgotten(retention, timedelta(seconds=time.time() - oldest))


def may_have_forgotten(retention: str, age: timedelta) -> bool:
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


UNTOLD = (
    "Whether Prometheus still holds this test from its beginning cannot be told: it has counters, but no `up`, which "
    "says what was watched when."
)
LET_UP_THROUGH = "Let `up` pass to it too, where a remote write or a relabelling names the metrics that may."


def to_raise(kept: Kept) -> str:
    """What to do for samples to be kept for longer, as far as what answers lets us know what it is."""
    if not kept.retention:
        return (
            "Raise the retention where the samples are stored (Thanos: --retention.resolution-raw of the compactor; "
            "Mimir: compactor_blocks_retention_period)"
        )
    flags = "--storage.tsdb.retention.time"
    if span_of(kept.retention) is None or " or " in kept.retention:
        flags += " and --storage.tsdb.retention.size"
    return f"Raise the retention (of Decant's own Prometheus: DECANT_PROMETHEUS_RETENTION; else its {flags})"
