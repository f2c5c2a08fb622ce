"""The queue between whoever asks for background work and the worker that does it.

A message is a task name and a job id, nothing else: what the job is, and whether it still has to be done, is in the
evidence store. So a lost message loses nothing (the worker looks for forgotten jobs) and a doubled one does no harm
(a job is taken once).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from huey import Huey
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import RedisStorage, SqliteStorage
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from services.errors import InvalidInput, Unavailable, without_secrets
from services.jobs.sql_storage import SqlStorage
from services.settings import Settings

PART = "The job queue"
REDIS = ("redis", "rediss", "unix")
REDIS_TIMEOUT_S = 5
_FAILURES = (sqlite3.Error, OSError, RedisError, SQLAlchemyError)


class JobKind(StrEnum):
    """What the worker knows how to do; the value is the task's name in the queue."""

    TRAINING = "train"
    REPLAY = "replay"
    PUBLICATION = "publish"


class JsonSerializer(Serializer):  # type: ignore[misc]  # huey ships without types
    """Messages as JSON: pickled ones would let whoever can write to the queue run code in the worker."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        found = json.loads(data)
        message = Message(*found)
        return message._replace(args=tuple(message.args))  # JSON has no tuples


class JobQueue(Huey):  # type: ignore[misc]
    """Huey with its tasks declared by name: enqueueing needs no import of the code that runs them.

    `place` says in words where the messages are; `shared` whether workers of several machines take them from there.
    """

    def __init__(self, place: str, *, shared: bool, **storage: Any) -> None:
        super().__init__("decant", results=False, utc=True, serializer=JsonSerializer(), **storage)
        self.place, self.shared = place, shared
        self._handlers: dict[JobKind, Callable[[int], None]] = {}
        self._tasks = {kind: self.task(name=kind.value)(self._runner(kind)) for kind in JobKind}

    def handle(self, kind: JobKind, handler: Callable[[int], None]) -> None:
        """Say what runs a job of this kind; only the worker does."""
        self._handlers[kind] = handler

    def put(self, kind: JobKind, job_id: int) -> None:
        """Hand a job to the worker. Raises Unavailable."""
        try:
            self._tasks[kind](job_id)
        except _FAILURES as error:
            raise self._away(
                error, f"Job {kind} {job_id} is recorded, and starts by itself once the queue answers."
            ) from error

    def waiting(self) -> int:
        """How many messages nobody has taken. Raises Unavailable."""
        try:
            return int(self.pending_count())
        except _FAILURES as error:
            raise self._away(error) from error

    def clear(self) -> None:
        """Forget all messages: the store knows what is to be done. Raises Unavailable."""
        try:
            self.flush()
        except _FAILURES as error:
            raise self._away(error) from error

    def _away(self, error: Exception, hint: str = "") -> Unavailable:
        detail = without_secrets(str(getattr(error, "orig", None) or error)).strip()
        return Unavailable(PART, f"{self.place}: {detail}", hint or "Check DECANT_QUEUE_URL.")

    def _runner(self, kind: JobKind) -> Callable[[int], None]:
        def run(job_id: int) -> None:
            self._handlers[kind](job_id)

        return run


def open_queue(settings: Settings) -> JobQueue:
    """The queue that the settings name: a Redis, a PostgreSQL, else a file in the state folder.

    Raises InvalidInput for an address that is none, Unavailable if it cannot be opened.
    """
    url = settings.queue_address
    if not url:
        return _in_a_file(settings)
    place = without_secrets(url)
    try:
        if url.split(":")[0] in REDIS:
            limits = {"socket_timeout": REDIS_TIMEOUT_S, "socket_connect_timeout": REDIS_TIMEOUT_S}
            pool = _redis_pool(url, limits)
            return JobQueue(place, shared=True, storage_class=RedisStorage, connection_pool=pool)
        return JobQueue(place, shared=True, storage_class=SqlStorage, url=url)
    except DBAPIError as error:
        raise Unavailable(PART, f"{place}: {str(error.orig).strip()}", "Check DECANT_QUEUE_URL.") from error
    except (ValueError, SQLAlchemyError, ModuleNotFoundError) as error:
        raise InvalidInput(
            f"DECANT_QUEUE_URL cannot be used: {without_secrets(str(error))}.",
            "Use redis://<host>:6379/0, rediss://..., postgresql+psycopg://<user>:<password>@<host>/<database>, or "
            "leave it unset.",
        ) from error


def _redis_pool(url: str, limits: dict[str, int]) -> Any:
    from redis import ConnectionPool

    return ConnectionPool.from_url(url, **limits)


def _in_a_file(settings: Settings) -> JobQueue:
    file = settings.paths.jobs / "queue.db"
    try:
        settings.paths.jobs.mkdir(parents=True, exist_ok=True)
        return JobQueue(str(file), shared=False, storage_class=SqliteStorage, filename=str(file))
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(PART, str(error), f"Check the folder {settings.paths.jobs}.") from error


def enqueue_training(queue: JobQueue, job_id: int) -> None:
    """Ask the worker to run a training. Raises Unavailable."""
    queue.put(JobKind.TRAINING, job_id)


def enqueue_publication(queue: JobQueue, job_id: int) -> None:
    """Ask the worker to publish models and apply what waits for them. Raises Unavailable."""
    queue.put(JobKind.PUBLICATION, job_id)


def enqueue_replay(queue: JobQueue, job_id: int) -> None:
    """Ask the worker to run a replay. Raises Unavailable."""
    queue.put(JobKind.REPLAY, job_id)
