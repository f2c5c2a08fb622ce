"""The evidence: every outcome of every replay, and every change anybody made.

Prometheus holds rates and forgets; this holds rows and does not. Several processes write at once (dashboard, worker,
command line), so each method is one short transaction and uniqueness is the database's business, not the callers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from services.domain import Change, Outcome
from services.evidence.decision_table import DecisionTable
from services.evidence.door import connect
from services.evidence.export import ExportForm, ExportScope, Progress, count, export_bytes, export_file
from services.evidence.files import FileTable
from services.evidence.leases import Leases
from services.evidence.ledger import Ledger
from services.evidence.publication_table import PublicationTable
from services.evidence.replay_table import ReplayTable
from services.evidence.rows import outcome_of
from services.evidence.schema import blocks, changes, outcomes
from services.evidence.share_table import ShareTable
from services.evidence.tests_table import ABTestTable

_PASS = outcomes.c["pass"]  # a keyword in Python, so never an attribute


@dataclass(frozen=True)
class ArmLedger:
    """What the ledger knows of one arm of one replay: the sums from which its counters are made again."""

    predictor: str
    answered: int
    prediction_failed: int
    feedback_failed: int
    reward_n: int
    reward_sum: float
    latency_ms_sum: float


class EvidenceStore:
    """Reads and writes the evidence. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self.replays = ReplayTable(database)
        self.shares = ShareTable(database)
        self.ledger = Ledger(database)
        self.tests = ABTestTable(database)
        self.decisions = DecisionTable(database)
        self.publications = PublicationTable(database)
        self.files = FileTable(database)
        self.leases = Leases(database)

    def ping(self) -> None:
        """Return if the store answers."""
        with connect(self._database) as connection:
            connection.execute(sa.select(sa.func.count()).select_from(sa.select(changes.c.id).limit(1).subquery()))

    # -- changes ---------------------------------------------------------------------------------------------------

    def record_change(self, change: Change) -> Change:
        """Record something that has happened. Returns it with its id."""
        return self._add_change(change, pending=False)

    def intend_change(self, change: Change, engine: str = "") -> Change:
        """Record something about to be tried; it shows in no history until `confirm_change`. Returns it with its id.

        `engine` is the key of the engine that it is tried on: see services.deployments.identity.
        """
        return self._add_change(change, pending=True, engine=engine)

    def confirm_change(self, change: Change) -> Change:
        """The intended change has happened, as `change` now says (its time and texts may be exacter than planned)."""
        values = {"at": change.at, "before": change.before, "after": change.after, "pending": False}
        with connect(self._database) as connection:
            connection.execute(sa.update(changes).where(changes.c.id == change.id).values(values))
        return change

    def drop_change(self, change_id: int) -> None:
        """The intended change did not happen."""
        with connect(self._database) as connection:
            connection.execute(sa.delete(changes).where(changes.c.id == change_id, changes.c.pending.is_(True)))

    def intended_changes(self, namespace: str, deployment: str, engine: str | None = None) -> list[Change]:
        """Intents of which nobody knows yet whether they happened, oldest first; of one engine if that is given."""
        here = (changes.c.namespace == namespace, changes.c.deployment == deployment, *_on(engine))
        query = sa.select(changes).where(*here, changes.c.pending.is_(True)).order_by(changes.c.id)
        with connect(self._database) as connection:
            return [_change(row) for row in connection.execute(query).mappings()]

    def changes(
        self,
        namespace: str | None = None,
        deployment: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        engine: str | None = None,
    ) -> list[Change]:
        """What happened, newest first; on one engine if that is given."""
        query = sa.select(changes).where(changes.c.pending.is_(False), *_on(engine))
        if namespace is not None:
            query = query.where(changes.c.namespace == namespace)
        if deployment is not None:
            query = query.where(changes.c.deployment == deployment)
        if since is not None:
            query = query.where(changes.c.at >= since)
        query = query.order_by(changes.c.at.desc(), changes.c.id.desc()).limit(limit)
        with connect(self._database) as connection:
            return [_change(row) for row in connection.execute(query).mappings()]

    def first_change(self, namespace: str, deployment: str, *, after: datetime) -> Change | None:
        """The first thing that happened to a deployment after a moment; None if nothing has."""
        mine = (changes.c.namespace == namespace) & (changes.c.deployment == deployment)
        query = sa.select(changes).where(changes.c.pending.is_(False), mine, changes.c.at > after)
        with connect(self._database) as connection:
            found = connection.execute(query.order_by(changes.c.at, changes.c.id).limit(1)).mappings().first()
        return _change(found) if found is not None else None

    def _add_change(self, change: Change, *, pending: bool, engine: str = "") -> Change:
        values = {
            "at": change.at,
            "who": change.who,
            "what": change.what,
            "namespace": change.namespace,
            "deployment": change.deployment,
            "before": change.before,
            "after": change.after,
            "why": change.why,
            "pending": pending,
            "engine": engine,
        }
        with connect(self._database) as connection:
            key = connection.execute(sa.insert(changes).values(values)).inserted_primary_key
        return replace(change, id=int(key[0]) if key else None)

    # -- outcomes --------------------------------------------------------------------------------------------------

    def record_outcomes(self, batch: Sequence[Outcome]) -> int:
        """Add to the ledger in one transaction; a row of a replay that is already there stays as it is.

        Returns how many were new.
        """
        return self.ledger.record(batch)

    def outcomes(self, namespace: str, deployment: str, limit: int = 100, replay: int | None = None) -> list[Outcome]:
        """The newest outcomes first."""
        query = sa.select(outcomes).where(*_of(namespace, deployment, replay))
        query = query.order_by(outcomes.c.at.desc(), outcomes.c.id.desc()).limit(limit)
        with connect(self._database) as connection:
            return [outcome_of(row) for row in connection.execute(query).mappings()]

    def recorded_rows(self, replay: int) -> set[tuple[int, int]]:
        """The (pass, row) pairs of a replay that the ledger already has."""
        query = sa.select(_PASS, outcomes.c.row).where(outcomes.c.replay == replay)
        with connect(self._database) as connection:
            return {(int(pass_), int(row)) for pass_, row in connection.execute(query)}

    def arm_ledger(self, replay: int) -> list[ArmLedger]:
        """The sums per arm of a replay, by name."""
        columns = (blocks.c.sent, blocks.c.failed, blocks.c.feedback_failed)
        sums = (blocks.c.reward_n, blocks.c.reward_total, blocks.c.latency_ms_total)
        query = (
            sa.select(blocks.c.predictor, *(sa.func.sum(column) for column in (*columns, *sums)))
            .where(blocks.c.replay == replay)
            .group_by(blocks.c.predictor)
            .order_by(blocks.c.predictor)
        )
        with connect(self._database) as connection:
            return [
                ArmLedger(name, int(sent - bad), int(bad), int(unfed), int(n), float(total), float(latency))
                for name, sent, bad, unfed, n, total, latency in connection.execute(query)
            ]

    # -- files -----------------------------------------------------------------------------------------------------

    def export_scope(
        self,
        namespace: str | None = None,
        deployment: str | None = None,
        *,
        replay: int | None = None,
        test: int | None = None,
    ) -> ExportScope:
        """Which outcomes to export; those of an A/B test are those of its deployment, in its time.

        Raises NotFound if there is no such test or replay.
        """
        since = until = None
        if test is not None:
            found = self.tests.get(test)
            namespace, deployment, since, until = found.namespace, found.deployment, found.started_at, found.ended_at
        if replay is not None:
            self.replays.get(replay)
        return ExportScope(namespace, deployment, replay, since, until)

    def count_outcomes(self, scope: ExportScope) -> int:
        """How many outcomes are in the scope."""
        return count(self._database, scope)

    def export_outcomes(
        self, path: Path, form: ExportForm, scope: ExportScope, progress: Progress | None = None
    ) -> int:
        """Write outcomes to a file; returns how many. See services.evidence.export for the columns."""
        return export_file(self._database, path, form, scope, progress)

    def outcomes_as(self, form: ExportForm, scope: ExportScope) -> bytes:
        """The same as bytes, for a download from a page."""
        return export_bytes(self._database, form, scope)


def _of(namespace: str, deployment: str, replay: int | None) -> list[sa.ColumnElement[bool]]:
    found = [outcomes.c.namespace == namespace, outcomes.c.deployment == deployment]
    return found if replay is None else [*found, outcomes.c.replay == replay]


def _on(engine: str | None) -> list[sa.ColumnElement[bool]]:
    """What was begun on an engine. What was begun before that was noted may have been, too."""
    return [] if engine is None else [changes.c.engine.in_(("", engine))]


def _change(row: sa.RowMapping) -> Change:
    return Change(**{key: row[key] for key in row if key not in ("pending", "engine")})
