"""Looking at what runs: which model servers answer, what their logs say."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.files import tail_lines
from services.runtime.controller.replicas import Replica
from services.runtime.supervisor.client import ProcessInfo
from services.runtime.supervisor.config import log_path
from services.settings import StatePaths

PROBE_TIMEOUT_S = 1.0
PROBE_THREADS = 16
LOG_TAIL_LINES = 15
_ENDED = ("BACKOFF", "FATAL")
_TOO_QUICK = "Exited too quickly"
_QUIET = re.compile(r"^\S+ \S+ (?:INFO|WARNING) ")
"""A last line that complains of nothing: a model server that gives up says why."""
_LOG_MARKS = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [A-Z]+ [\w.]+: ")


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer of one model server to "is your model loaded?". `identity` is the predictor it says it serves."""

    ready: bool
    detail: str = ""


def probe_all(pool: ThreadPoolExecutor, replicas: Iterable[Replica]) -> dict[str, Probe]:
    """Ask every replica at once; by program name. Takes at most PROBE_TIMEOUT_S or so."""
    wanted = list(replicas)
    return dict(zip((r.program for r in wanted), pool.map(_probe, (r.port for r in wanted)), strict=True))


def _probe(port: int) -> Probe:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        body = response.read(4096)
    except (OSError, http.client.HTTPException):
        return Probe(False)
    finally:
        connection.close()
    if response.status == 200:
        return Probe(True)
    return Probe(False, _info(body))


def _info(body: bytes) -> str:
    try:
        return str(json.loads(body)["status"]["info"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", errors="replace")[:200]


def describe_failure(paths: StatePaths, replica: Replica, process: ProcessInfo | None) -> tuple[str, tuple[str, ...]]:
    """Why a replica failed, in one sentence, and the last lines of its log."""
    lines = tuple(line for line in tail_lines(log_path(paths, replica.program), LOG_TAIL_LINES) if line.strip())
    if process is not None and process.state in _ENDED and (not lines or _QUIET.search(lines[-1])):
        if process.problem and _TOO_QUICK not in process.problem:
            return process.problem, lines
        return "its process ended without a word, as when it is killed for its memory", lines
    if lines:
        return plain_words(lines[-1]), lines
    if process is not None and process.problem:
        return process.problem, ()
    return "its process ended without a word", ()


def plain_words(line: str) -> str:
    """A log line without time, level and logger: what it says to people."""
    return _LOG_MARKS.sub("", line).strip()


class RetryClock:
    """When to try a failed replica again: 5 s after the first failure, then twice as long each time, up to 2 minutes.

    A model may fail for a reason that passes (MLflow was down), so no failure is final.
    """

    FIRST_S, LONGEST_S = 5.0, 120.0

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def due(self, program: str) -> bool:
        """Note a failure when it is first seen; True once its waiting time is over."""
        now = time.monotonic()
        if program not in self._due:
            failures = self._failures.get(program, 0)
            self._failures[program] = failures + 1
            self._due[program] = now + min(self.FIRST_S * 2**failures, self.LONGEST_S)
        if now < self._due[program]:
            return False
        del self._due[program]
        return True

    def forget(self, alive: Mapping[str, bool]) -> None:
        """Start afresh for replicas that are ready now, and drop those that are gone."""
        for program in list(self._failures):
            if alive.get(program, True):
                self._failures.pop(program, None)
                self._due.pop(program, None)


class Stopwatch:
    """For how long something has been the case without a break."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def keep(self, names: Iterable[str]) -> None:
        """It is the case for these names now, and for no others."""
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in names}

    def seconds(self, name: str) -> float:
        """0 where it is not the case."""
        return time.monotonic() - self._since[name] if name in self._since else 0.0
