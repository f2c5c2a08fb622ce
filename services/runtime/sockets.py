"""Paths for unix sockets, which the kernel limits to 107 bytes."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

MAX_SOCKET_PATH_BYTES = 107 - len(".12345678")  # supervisord binds a temporary name with the pid appended


def socket_path(wanted: Path) -> Path:
    """`wanted` if the kernel takes it, else a short path derived from it, the same one every time."""
    if len(str(wanted).encode()) <= MAX_SOCKET_PATH_BYTES:
        return wanted
    digest = hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"decant-{digest}-{wanted.name}"
