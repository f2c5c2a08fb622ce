"""A process and everything it started, named so that it can still be found and ended after our own end.

The process leads a session of its own. Its children stay in that session even when the leader is gone, and the pair
of process id and creation time cannot be mistaken for a later process that got the same number.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from services.files import read_text, write_atomically
from services.runtime.tether import end

_CLOCK_SLACK_S = 1.0


@dataclass(frozen=True)
class ProcessTree:
    """The leader of a session. `created_at` is psutil's, in seconds since the epoch."""

    pid: int
    created_at: float

    @classmethod
    def of(cls, pid: int) -> ProcessTree:
        """For a child of ours that was not waited for yet."""
        return cls(pid, psutil.Process(pid).create_time())

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> ProcessTree | None:
        """None when there is no such file or it holds something else."""
        try:
            return cls(**json.loads(read_text(path) or "null"))
        except (ValueError, TypeError):
            return None

    def members(self) -> list[psutil.Process]:
        """What of it still runs, the leader first."""
        leader = _process(self.pid)
        if leader and abs(leader.create_time() - self.created_at) > _CLOCK_SLACK_S:
            return []  # the number belongs to another process now, so nothing of ours holds on to it
        found = {leader.pid: leader} if leader and _runs(leader) else {}
        for child in leader.children(recursive=True) if found and leader else []:
            found[child.pid] = child
        for process in psutil.process_iter():
            if process.pid not in found and self._in_session(process):
                found[process.pid] = process
        return list(found.values())

    def end(self, grace_s: float) -> None:
        """TERM, and KILL after `grace_s` seconds; repeated for what was started in between."""
        for _ in range(3):
            members = self.members()
            if not members:
                return
            end(members, grace_s)

    def _in_session(self, process: psutil.Process) -> bool:
        try:
            mine = os.getsid(process.pid) == self.pid
            return mine and process.create_time() >= self.created_at - _CLOCK_SLACK_S and _runs(process)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            return False


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
