"""Files that other processes read while we write them: a reader sees the old text or the new one, never half.

What is written here is readable by its owner alone, and survives a crash at any point.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` by renaming a complete temporary file over it."""
    with _complete(path, text) as temporary:
        temporary.replace(path)


def write_once(path: Path, text: str) -> str:
    """Write `text` to `path` unless something is there; returns what is there.

    Of several processes that do so at once, the first one's text stays, and all get to read it.
    """
    if (present := read_text(path)) is not None:
        return present
    with _complete(path, text) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return path.read_text(encoding="utf-8")
    return text


def write_if_changed(path: Path, text: str) -> bool:
    """Like `write_atomically`, but leave an equal file alone. Returns whether it wrote."""
    if read_text(path) == text:
        return False
    write_atomically(path, text)
    return True


def read_text(path: Path) -> str | None:
    """The file's text, or None if it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def tail_lines(path: Path, count: int, max_bytes: int = 256 * 1024) -> list[str]:
    """The last `count` lines of a log, newest last, without reading more than `max_bytes` of it."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - max_bytes))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return lines[-count:]


@contextmanager
def _complete(path: Path, text: str) -> Iterator[Path]:
    """A file with `text` beside `path`, under a name of its own; gone after the block unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
