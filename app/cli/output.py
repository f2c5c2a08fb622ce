"""Words and data for a terminal: progress on stderr, tables or JSON on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import click


def say(sentence: str) -> None:
    """Tell how far things are."""
    click.echo(sentence, err=True)


def put_json(data: object) -> None:
    """Write data for programs. Keys are part of the interface: they are added, never renamed."""
    click.echo(json.dumps(plain(data), indent=2, ensure_ascii=False))


def plain(value: object) -> Any:
    """Anything the services return, as what JSON knows; times in ISO 8601."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    item = getattr(value, "item", None)  # numpy scalars, which have come all the way from a dataset
    return plain(item()) if callable(item) else str(value)


def put_table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Write aligned columns. `right` holds the indexes of the columns with numbers."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headers), *cells]) for i in range(len(headers))]

    def line(parts: Sequence[str]) -> str:
        padded = (p.rjust(w) if i in right else p.ljust(w) for i, (p, w) in enumerate(zip(parts, widths, strict=True)))
        return "  ".join(padded).rstrip()

    click.echo(click.style(line(list(headers)), bold=True))
    for row in cells:
        click.echo(line(row))


class ProgressLine:
    """One line on stderr that changes in place on a terminal; elsewhere a line now and then, and the last."""

    EVERY_S = 5.0

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._text = ""
        self._written = ""
        self._next_at = 0.0

    def show(self, text: str) -> None:
        if self._live:
            click.echo("\r" + text.ljust(len(self._written)), err=True, nl=False)
            self._written = text
        elif time.monotonic() >= self._next_at:
            self._write(text)
        self._text = text

    def done(self) -> None:
        """Leave the last text standing."""
        if self._live and self._written:
            click.echo(err=True)
        elif self._text != self._written:
            self._write(self._text)

    def _write(self, text: str) -> None:
        click.echo(text, err=True)
        self._written = text
        self._next_at = time.monotonic() + self.EVERY_S
