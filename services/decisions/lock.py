"""One process at a time for the decisions of a deployment, on this machine and on those that share the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from services.errors import Conflict
from services.evidence.leases import Leases

LEASE_POLL_S = 0.2
PATIENCE_S = 30.0
"""Longer than a settling worker waits for a part that is silent."""


class Lost(Exception):
    """Who held a deployment stood still for longer than its lease lasts, so another process may be at it by now."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A deployment that is held. Whoever acts on it looks first whether it still is."""

    leases: Leases
    lease: str

    def check(self) -> None:
        """Raises Lost."""
        if not self.leases.holds(self.lease):
            raise Lost(self.lease)


class DecisionLock:
    """A file lock and a lease for each deployment. Thread-safe.

    The kernel frees the lock of a process that is killed; its lease, which other machines see, ends soon after.

    Args:
        folder: where the locks of this machine lie.
        leases: keep two machines from carrying out the same decision.
    """

    def __init__(self, folder: Path, leases: Leases) -> None:
        self._folder, self._leases = folder, leases

    @contextmanager
    def held(self, namespace: str, name: str, timeout_s: float = 0.0) -> Iterator[Hold]:
        """Hold a deployment within the block. Raises Timeout if somebody else does, Unavailable without the store."""
        lease = f"decision:{namespace}/{name}"
        self._folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_s
        with FileLock(self._folder / f"{namespace}.{name}.lock", timeout=timeout_s):
            while not self._leases.take(lease):
                if time.monotonic() > deadline:
                    raise Timeout(lease)
                time.sleep(LEASE_POLL_S)
            try:
                yield Hold(self._leases, lease)
            finally:
                self._leases.release(lease)

    @contextmanager
    def waited_for(self, namespace: str, name: str) -> Iterator[Hold]:
        """As `held`, for somebody who wants to decide: waits for a while.

        Raises Conflict if somebody else keeps it, or takes it over from a process that stood still.
        """
        try:
            with self.held(namespace, name, PATIENCE_S) as hold:
                yield hold
        except (Timeout, Lost) as error:
            raise Conflict(f"The test of {namespace}/{name}", "somebody else is deciding on it right now") from error
