"""Waiting in tests: poll a condition until a deadline, never sleep and hope."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.05


def share_of(ports: range) -> range:
    """What of `ports` is for this one of pytest's workers, so that two of them never pick the same."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    each = len(ports) // workers
    return ports[mine * each : (mine + 1) * each]


PORTS = share_of(range(10000, 20000))
"""Below those that the system lends to outgoing connections, one of which might else take the port first."""


def wait_until(condition: Callable[[], T], *, timeout_s: float = 30, what: str = "the condition") -> T:
    """Return the first truthy value of `condition`; fail with `what` and the last value after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; last value: {value!r}")
        time.sleep(POLL_S)


def free_port() -> int:
    """A TCP port on loopback that nobody uses right now."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Distinct free ports."""
    found: list[int] = []
    chance = random.Random()  # of its own: tests seed the shared one, and would then all try the same ports
    while len(found) < count:
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
