"""Whose a state folder is: one `up` at a time. A lock, which the kernel drops with its holder, and a note beside it.

The note says who holds the folder and whether everything answers; it counts only while the lock is held.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from services.errors import AlreadyRunning
from services.files import read_text, write_atomically
from services.settings import Settings

LOCK_PATIENCE_S = 1.0
"""`running` holds the lock for an instant to see whether it is free: that must not look like another `up`."""


@dataclass(frozen=True, slots=True)
class Running:
    """The `up` that holds the state folder. `pid` is 0 for the instant in which it has not said yet who it is."""

    pid: int
    address: str
    ready: bool = False


def running(settings: Settings) -> Running | None:
    """Who holds the state folder now, if anybody."""
    lock = FileLock(_lock_path(settings))
    if not _lock_path(settings).exists():
        return None
    try:
        with lock.acquire(timeout=0):
            return None
    except Timeout:
        pass
    try:
        data = json.loads(read_text(_note_path(settings)) or "")
        # One that was started by an older Decant does not say whether it is ready.
        return Running(int(data["pid"]), str(data["address"]), bool(data.get("ready", True)))
    except (ValueError, KeyError):
        return Running(0, settings.dashboard_url)


@contextmanager
def sole_owner(settings: Settings) -> Iterator[None]:
    """Hold the state folder, and say so to `running`. Raises AlreadyRunning."""
    lock = FileLock(_lock_path(settings))
    try:
        lock.acquire(timeout=LOCK_PATIENCE_S)
    except Timeout as error:
        present = running(settings) or Running(0, settings.dashboard_url)
        raise AlreadyRunning(str(settings.paths.root), present.address, present.pid) from error
    try:
        # What one that was killed left behind may by now be the number of somebody else's process.
        _note_path(settings).unlink(missing_ok=True)
        tell(settings, ready=False)
        yield
    finally:
        _note_path(settings).unlink(missing_ok=True)
        lock.release()


def tell(settings: Settings, *, ready: bool) -> None:
    """Let others know whether everything answers. For the owner alone."""
    write_atomically(_note_path(settings), json.dumps(asdict(Running(os.getpid(), settings.dashboard_url, ready))))


def _lock_path(settings: Settings) -> Path:
    return settings.paths.root / "up.lock"


def _note_path(settings: Settings) -> Path:
    return settings.paths.root / "up.json"
