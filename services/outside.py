"""What other tools change (kubectl, a Git operator), written into the history as it is seen.

Decant writes down its own changes as it makes them (services.operations). Which split was in force when is read from
that history: by the check of the split, by the weights of live traffic, by the marks in the charts. So a split that
somebody moved with another tool has to be in it as well, with the time that the API server noted.

A look sees the newest state alone: of two changes between two looks the first is never known by itself. What Decant
changes next tells that there was one, as its "before" is not what the entry before it left.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.deployments.engine import Engine
from services.deployments.history_text import NOTHING, manifest_text, read_split, split_text
from services.deployments.manifest import from_yaml
from services.domain import Change, Deployment, DeploymentStatus
from services.errors import DecantError, InvalidInput
from services.evidence.store import EvidenceStore

log = logging.getLogger(__name__)

OUTSIDE = "outside"
"""The kind of entry; its `who` is the field manager that made the change."""

LOOK_S = 2.0
CLOCK_S = timedelta(seconds=1)
"""The API server notes whole seconds, rounded down."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A deployment as a look left it: what is known of it, the newest entry then, the version that this accounts for,
    and one that is not believed yet."""

    deployment: Deployment | None
    newest: int | None
    version: str = ""
    candidate: str = ""


class OutsideChanges:
    """Finds changes by other tools and records each once. For one thread of one process."""

    def __init__(self, engine: Engine, store: EvidenceStore) -> None:
        self._engine, self._store = engine, store
        self._seen: dict[tuple[str, str], _Seen] = {}

    def look(self) -> list[Change]:
        """Record what has changed since the last look; returns the new entries. Raises what engine and store raise.

        Two looks in a row have to see the same version: a copy of the cluster's state may be a moment old, and what
        Decant changed meanwhile would then read as if another tool had changed it back.
        """
        found = []
        for status in self._engine.list():
            if not status.deleting:
                found += self._of(status)
        return found

    def _of(self, status: DeploymentStatus) -> list[Change]:
        now = status.deployment
        key = (now.namespace, now.name)
        seen = self._seen.get(key)
        if seen and seen.version == status.version:
            return []
        if self._store.intended_changes(*key):
            return []  # Decant is at it; the next look knows what came of it
        newest = next(iter(self._store.changes(*key, limit=1)), None)
        number = newest.id if newest else None
        before = _before(seen, newest, now)
        change = _between(before, status, newest) if before is not None and status.managed_by else None
        if change is None or (seen and seen.candidate == status.version and seen.newest != number):
            self._seen[key] = _Seen(now, number, status.version)
            return []
        if seen is None or seen.candidate != status.version:
            self._seen[key] = _Seen(before, number, candidate=status.version)
            return []
        made = self._store.record_change(change)
        log.info("%s changed %s/%s: %s", change.who, *key, change.after if read_split(change.after) else "its manifest")
        self._seen[key] = _Seen(now, made.id, status.version)
        return [made]


def _before(seen: _Seen | None, newest: Change | None, now: Deployment) -> Deployment | None:
    """What the deployment was when it was last known; None if it never was."""
    known = seen.deployment if seen else None
    if newest is None or (seen and seen.newest == newest.id):
        return known
    try:
        split = read_split(newest.after)
        if split is not None:  # all but the split is taken to be as it was
            return (known or now).with_split(split)
        return None if newest.after == NOTHING else from_yaml(newest.after)
    except InvalidInput:
        return known


def _between(before: Deployment, status: DeploymentStatus, newest: Change | None) -> Change | None:
    """The entry for what lies between; None where nothing does, or where it was there before the newest entry."""
    now = status.deployment
    texts = manifest_text(before), manifest_text(now)
    if texts[0] == texts[1]:
        return None
    at = status.changed_at or datetime.now(UTC)
    if newest is not None:
        if at + CLOCK_S < newest.at:
            return None
        at = max(at, newest.at + timedelta(milliseconds=1))
    if set(before.split.names) == set(now.split.names) and manifest_text(before.with_split(now.split)) == texts[1]:
        texts = split_text(before.split), split_text(now.split)
    return Change(at, status.changed_by, OUTSIDE, now.namespace, now.name, *texts)


def keep_looking(changes: OutsideChanges, stop: threading.Event) -> None:
    """Look every LOOK_S seconds until `stop` is set; parts that do not answer are asked again."""
    silent = ""
    while not stop.wait(LOOK_S):
        try:
            changes.look()
            silent = ""
        except DecantError as error:
            if str(error) != silent:
                log.warning("cannot see what other tools change: %s", error)
            silent = str(error)
        except Exception:  # the last line of defence: without this look, splits would go uncounted unnoticed
            log.exception("looking for other tools' changes failed")
