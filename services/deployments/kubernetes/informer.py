"""A live copy of one kind of object: listed once, then kept by a watch, so that reading costs the API server nothing.

The watch survives what watches meet: its end after some minutes (resumed where it was), an expired resource version
(410: listed anew), a network that goes away (tried again, ever more slowly, while the last copy stays readable and says
how old it is).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.errors import DecantError, Unavailable

log = logging.getLogger(__name__)

Object = dict[str, Any]

GONE = 410
WATCH_S = 240
"""Seconds after which the server is asked to end a watch, so that a connection that died unnoticed costs no longer."""
SILENCE_S = WATCH_S + 30.0
FIRST_SYNC_S = 10.0
PAGE = 500
BACKOFF_S = (0.2, 30.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every object by (namespace, name); `stale_since` and `error` tell of a copy that is no longer kept up."""

    objects: Mapping[tuple[str, str], Object]
    stale_since: datetime | None = None
    error: DecantError | None = None

    @property
    def problem(self) -> str:
        """The error in words; empty while the copy is kept up."""
        return str(self.error or "")


@dataclass
class _State:
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    version: str = ""  # everything up to here is in `objects`, or has been deleted
    synced: bool = False
    error: DecantError | None = None
    stale_since: datetime | None = None


class Informer:
    """Keeps the objects of one path. Started by the first read; `close` ends it."""

    def __init__(self, cluster: Cluster, path: str, query: Mapping[str, str] | None = None) -> None:
        self._cluster, self._path, self._query = cluster, path, dict(query or {})
        self._state = _State()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def read(self) -> Snapshot:
        """The copy as it stands. The first read waits for it. Raises what keeps it from ever having been made, and
        Unavailable while the server is silent: an empty copy would read as if there were nothing."""
        self._start()
        with self._changed:
            self._changed.wait_for(lambda: self._state.synced or self._state.error is not None, FIRST_SYNC_S)
            state = self._state
            if not state.synced:
                raise state.error or Unavailable(
                    "The cluster",
                    f"it has not listed {self._path.rsplit('/', 1)[-1]} within {FIRST_SYNC_S:g} s",
                    "Look again shortly; if it stays so, ask whoever runs the API server.",
                )
            return Snapshot(dict(state.objects), state.stale_since, state.error)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds, looking whenever the copy changes. It may read this copy again."""
        self._start()
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def put(self, found: Object) -> None:
        """Take in what a write returned, so that the next read shows it though the watch has not said so yet."""
        with self._changed:
            key = key_of(found)
            known = self._state.objects.get(key)
            # What the copy should hold by now and does not has been deleted since.
            gone = known is None and not _later(_version(found), self._state.version)
            if not gone and (known is None or _newer(found, known)):
                self._state.objects[key] = found
                self._changed.notify_all()

    def close(self) -> None:
        """End the watch; it notices at the latest when the server ends it."""
        self._closed.set()

    def _start(self) -> None:
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=f"watch {self._path}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause_s = BACKOFF_S[0]
        version = ""
        while not self._closed.is_set():
            try:
                version = version or self._list()
                version = self._follow(version)
                pause_s = BACKOFF_S[0]
            except ApiRefused as error:
                if error.status == GONE:
                    version = ""
                    continue
                self._failed(error)
            except DecantError as error:
                self._failed(error)
            else:
                continue
            self._closed.wait(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_S[1])

    def _list(self) -> str:
        """Read everything; returns the version to watch from."""
        objects: dict[tuple[str, str], Object] = {}
        query = {**self._query, "limit": str(PAGE)}
        while True:
            page = self._cluster.get(self._path, query)
            objects.update((key_of(item), item) for item in page.get("items") or [])
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        version = str(metadata.get("resourceVersion", ""))
        with self._changed:
            self._state = _State(objects, version, synced=True)
            self._changed.notify_all()
        return version

    def _follow(self, version: str) -> str:
        query = {
            **self._query,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        with self._cluster.watch(self._path, query, silence_s=SILENCE_S) as events:
            self._recovered()
            for event in events:
                found = event.get("object") or {}
                if event.get("type") == "ERROR":
                    status, words = int(found.get("code", 500)), str(found.get("message"))
                    raise ApiRefused(status, words, str(found.get("reason", "")))
                version = str((found.get("metadata") or {}).get("resourceVersion") or version)
                if self._closed.is_set():
                    return version
                self._take(str(event.get("type")), found, version)
        return version

    def _recovered(self) -> None:
        with self._changed:
            self._state.error, self._state.stale_since = None, None

    def _take(self, kind: str, found: Object, version: str) -> None:
        with self._changed:
            self._state.version = version
            known = self._state.objects.get(key_of(found))
            # A write's answer may be ahead of the watch.
            if known is None or _version(known) == _version(found) or _newer(found, known):
                if kind == "DELETED":
                    self._state.objects.pop(key_of(found), None)
                elif kind in ("ADDED", "MODIFIED"):
                    self._state.objects[key_of(found)] = found
            self._changed.notify_all()

    def _failed(self, error: DecantError) -> None:
        log.warning("the watch of %s: %s", self._path, error)
        with self._changed:
            self._state.error = error
            self._state.stale_since = self._state.stale_since or datetime.now(UTC)
            self._changed.notify_all()


def key_of(found: Object) -> tuple[str, str]:
    """(namespace, name) of an object."""
    metadata = found.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _newer(one: Object, other: Object) -> bool:
    """Whether `one` is a later state of the same object."""
    return _later(_version(one), _version(other))


def _later(first: str, second: str) -> bool:
    """Versions are numbers on every API server there is; where they are not, what comes later is taken for newer."""
    if first.isdigit() and second.isdigit():
        return int(first) > int(second)
    return True


def _version(found: Object) -> str:
    return str((found.get("metadata") or {}).get("resourceVersion", ""))
