"""Another host for tests: a network namespace of its own, joined to this machine by a pair of virtual cards.

For what refuses to talk to loopback, as an API server's proxy does. Needs root and iproute2.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDS = "Another host on this machine needs root and iproute2 (`ip netns`)."
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class NetworkHost:
    """A host that only this machine reaches, at `address`."""

    name: str
    address: str

    def enter(self) -> None:
        """Let the calling thread, and what it opens from now on, belong to that host. There is no way back."""
        with Path(f"/var/run/netns/{self.name}").open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"the namespace {self.name} cannot be entered")


@contextmanager
def network_host() -> Iterator[NetworkHost | None]:
    """Make the host, and remove it afterwards; None where this machine does not allow it."""
    tag = secrets.token_hex(3)
    name, here, there = f"decant-{tag}", f"dh{tag}", f"dt{tag}"
    third = secrets.randbelow(250) + 1
    subnet = f"198.18.{third}"  # set aside for tests between networks (RFC 2544)
    commands = (
        f"netns add {name}",
        f"link add {here} type veth peer name {there}",
        f"link set {there} netns {name}",
        f"addr add {subnet}.1/30 dev {here}",
        f"link set {here} up",
        f"-n {name} addr add {subnet}.2/30 dev {there}",
        f"-n {name} link set {there} up",
        f"-n {name} link set lo up",
    )
    if os.geteuid() or not shutil.which("ip"):
        yield None
        return
    try:
        made = all(_ip(command) for command in commands)
        yield NetworkHost(name, f"{subnet}.2") if made else None
    finally:
        _ip(f"link del {here}")
        _ip(f"netns del {name}")


def _ip(command: str) -> bool:
    return subprocess.run(["ip", *command.split()], capture_output=True, check=False, timeout=10).returncode == 0
