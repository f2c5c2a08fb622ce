"""Lines of a log with the times that the kubelet writes before them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.deployments.kubernetes.times import read_time


@dataclass(frozen=True, slots=True)
class Stamped:
    """One line; `at` is None where no time stands before it."""

    text: str
    at: datetime | None = None


def stamped(lines: Iterable[str]) -> list[Stamped]:
    """Read lines that were asked for with `timestamps=true`."""
    return [_read(line) for line in lines]


def _read(line: str) -> Stamped:
    first, _, rest = line.partition(" ")
    at = read_time(first) if first[:4].isdigit() else None
    return Stamped(rest, at) if at else Stamped(line)
