"""One table of results: what was measured, against whom, and whether it is what docs/performance.md promises."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement. `ok` is None where nothing is promised."""

    measure: str
    decant: str
    peer: str = ""
    ratio: str = ""
    promised: str = ""
    ok: bool | None = None


def machine() -> str:
    """The machine in one line, so that figures can be compared."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({_cpu()}), {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def table(lines: Iterable[Line]) -> str:
    """Markdown."""
    rows = ["| measure | Decant | peer | ratio | promised | |", "|---|---|---|---|---|---|"]
    for line in lines:
        mark = {True: "ok", False: "**MISSED**", None: ""}[line.ok]
        rows.append(f"| {line.measure} | {line.decant} | {line.peer} | {line.ratio} | {line.promised} | {mark} |")
    return "\n".join(rows)
