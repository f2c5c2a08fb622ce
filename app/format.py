"""Numbers to text for the pages and the command line; what the services write into reports reads the same way."""

from __future__ import annotations

from services.domain.text import (
    NONE,
    THIN,
    ago,
    alike,
    aware,
    clock,
    count,
    decimals,
    duration,
    fixed,
    latency,
    moment,
    number,
    percent,
    rate,
    short_arms,
    size,
)

__all__ = [
    "NONE",
    "THIN",
    "ago",
    "alike",
    "aware",
    "clock",
    "count",
    "decimals",
    "duration",
    "fixed",
    "latency",
    "moment",
    "number",
    "percent",
    "rate",
    "short_arms",
    "size",
]
