"""Which split was in force when in the time of a test: by the history, and by the engine where that knows more."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from services.deployments.engine import Engine
from services.deployments.history_text import split_of
from services.domain import Change, Split
from services.domain.text import count
from services.errors import DecantError
from services.evidence.store import EvidenceStore
from services.verdict.live import split_history
from services.verdict.rule import ABTest

MOST_CHANGES = 1000


class Moves:
    """The changes of one test's deployment, up to `until`. Raises Unavailable without the evidence store."""

    def __init__(self, store: EvidenceStore, engine: Engine, test: ABTest, until: datetime) -> None:
        self._store, self._engine, self._test, self._until = store, engine, test, until
        self._where = (test.namespace, test.deployment)

    @cached_property
    def changes(self) -> list[Change]:
        """Everything anybody changed while the test ran, oldest first."""
        return [change for change in self._newest if self._test.started_at <= change.at <= self._until]

    @cached_property
    def _newest(self) -> list[Change]:
        return self._store.changes(*self._where, since=self._test.started_at, limit=MOST_CHANGES)[::-1]

    @property
    def lost(self) -> str:
        """Why it is not known which split was in force when; "" where it is."""
        if len(self._newest) < MOST_CHANGES:
            return ""
        return (
            f"only the newest {count(MOST_CHANGES)} changes are read, so the splits at the test's beginning are unknown"
        )

    def splits(self) -> list[tuple[float, Split]]:
        """Since when which split was asked for, oldest first, as `live_intervals` takes it."""
        moves = [(c.at, split_of(c.before), split_of(c.after)) for c in self.changes]
        known = [(at, before, after) for at, before, after in moves if before is not None or after is not None]
        now = Split(()) if known else self._unmoved
        known += self._not_yet_told(*(known[-1][::2] if known else (self._test.started_at, self._before)))
        return split_history(known, now)

    def _not_yet_told(self, since: datetime, last: Split | None) -> list[tuple[datetime, Split | None, Split | None]]:
        """A move of the split by another tool that the history does not have yet; it ends with `last`, from `since`."""
        if self._test.ended_at is not None or last is None:
            return []
        try:
            status = self._engine.get(*self._where)
        except DecantError:
            return []
        at = status.changed_at
        if not status.managed_by or at is None or status.requested.as_dict() == last.as_dict():
            return []
        if at < self._test.started_at:  # before it: what stands now has stood all the time
            return []
        return [(max(at, since), last, status.requested)]

    @cached_property
    def _before(self) -> Split | None:
        """The split that the history ends with, of a test in which it tells of no move; None where it tells nothing."""
        newest = next(iter(self._store.changes(*self._where, limit=1)), None)
        return split_of(newest.after) if newest is not None else None

    @cached_property
    def _unmoved(self) -> Split:
        """The split of a test in which nobody moved it; empty where nothing tells.

        It may have been moved since: then the first change after the test knows what was there before it.
        """
        if self._test.ended_at is not None:
            later = self._store.first_change(*self._where, after=self._until)
            before = split_of(later.before) if later is not None else None
            if before is not None:
                return before
        try:
            return self._engine.get(*self._where).requested
        except DecantError:
            return Split(())
