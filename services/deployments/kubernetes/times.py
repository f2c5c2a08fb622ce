"""Kubernetes' times as Python's."""

from __future__ import annotations

from datetime import datetime


def read_time(text: object) -> datetime | None:
    """An RFC 3339 time with its zone, or None where there is none."""
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
