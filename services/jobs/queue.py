"""The queue between whoever asks for background work and the worker that does it.

A message is a task name and a job id, nothing else: what the job is, and whether it still has to be done, is in the
evidence store. So a lost message loses nothing (the worker looks for forgotten jobs) and a doubled one does no harm
(the worker takes each job once).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import StrEnum

from huey import SqliteHuey

from services.errors import Unavailable
from services.settings import Settings


class JobKind(StrEnum):
    """What the worker knows how to do; the value is the task's name in the queue."""

    TRAINING = "train"
    REPLAY = "replay"
    PUBLICATION = "publish"


class JobQueue(SqliteHuey):  # type: ignore[misc]  # huey ships without types
    """Huey on SQLite, with its tasks declared by name: enqueueing needs no import of the code that runs them."""

    def __init__(self, filename: str) -> None:
        super().__init__("decant", filename=filename, results=False, utc=True)
        self._handlers: dict[JobKind, Callable[[int], None]] = {}
        self._tasks = {kind: self.task(name=kind.value)(self._runner(kind)) for kind in JobKind}

    def handle(self, kind: JobKind, handler: Callable[[int], None]) -> None:
        """Say what runs a job of this kind; only the worker does."""
        self._handlers[kind] = handler

    def put(self, kind: JobKind, job_id: int) -> None:
        """Hand a job to the worker. Raises Unavailable."""
        try:
            self._tasks[kind](job_id)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable("The job queue", str(error)) from error

    def _runner(self, kind: JobKind) -> Callable[[int], None]:
        def run(job_id: int) -> None:
            self._handlers[kind](job_id)

        return run


def open_queue(settings: Settings) -> JobQueue:
    """Open (and make) the queue in the state folder. Raises Unavailable."""
    try:
        settings.paths.jobs.mkdir(parents=True, exist_ok=True)
        return JobQueue(str(settings.paths.jobs / "queue.db"))
    except (sqlite3.Error, OSError) as error:
        raise Unavailable("The job queue", str(error), f"Check the folder {settings.paths.jobs}.") from error


def enqueue_training(queue: JobQueue, job_id: int) -> None:
    """Ask the worker to run a training. Raises Unavailable."""
    queue.put(JobKind.TRAINING, job_id)


def enqueue_publication(queue: JobQueue, job_id: int) -> None:
    """Ask the worker to publish models and apply what waits for them. Raises Unavailable."""
    queue.put(JobKind.PUBLICATION, job_id)


def enqueue_replay(queue: JobQueue, job_id: int) -> None:
    """Ask the worker to run a replay. Raises Unavailable."""
    queue.put(JobKind.REPLAY, job_id)
