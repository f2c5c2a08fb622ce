"""Decisions as the store keeps them: what was decided on which evidence, and how far it has been carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.errors import Conflict, NotFound
from services.evidence.door import connect, plain, write
from services.evidence.schema import ab_tests, decisions

DOING, DONE, UNDOING, UNDONE = "doing", "done", "undoing", "undone"
UNFINISHED = (DOING, UNDOING)


@dataclass(frozen=True)
class DecisionRecord:
    """One row of the table.

    `call` is promote, keep or end; `state` doing, done, undoing or undone; `steps` and `evidence` are plain
    data of whoever decides; `report` is a path, empty without one; `override` says that it was made against red checks.
    """

    id: int
    test: int
    namespace: str
    deployment: str
    call: str
    winner: str
    state: str
    steps: Any
    evidence: Any
    report: str
    who: str
    why: str
    override: bool
    at: datetime
    finished_at: datetime | None


class DecisionTable:
    """Access to the decisions. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def add(
        self,
        test: int,
        namespace: str,
        deployment: str,
        *,
        call: str,
        winner: str,
        who: str,
        why: str,
        steps: Sequence[Any] | Mapping[str, Any] = (),
        evidence: Mapping[str, Any] | None = None,
        report: str = "",
        override: bool = False,
        state: str = DOING,
    ) -> DecisionRecord:
        """A decision that is about to be carried out. Raises Conflict while another of the deployment is unfinished."""
        values = {
            "test": test,
            "namespace": namespace,
            "deployment": deployment,
            "call": call,
            "winner": winner,
            "state": state,
            "steps": plain(steps),
            "evidence": plain(evidence or {}),
            "report": report,
            "who": who,
            "why": why,
            "override": override,
            "at": datetime.now(UTC),
        }
        with write(self._database) as connection:
            _check_alone(connection, namespace, deployment)
            key = connection.execute(sa.insert(decisions).values(values)).inserted_primary_key
        return self.get(int(key[0]) if key else -1)

    def get(self, decision_id: int) -> DecisionRecord:
        """Raises NotFound."""
        with connect(self._database) as connection:
            row = connection.execute(sa.select(decisions).where(decisions.c.id == decision_id)).mappings().first()
        if row is None:
            raise NotFound("decision", str(decision_id))
        return DecisionRecord(**row)

    def move(self, decision_id: int, origins: Sequence[str], **values: Any) -> bool:
        """Write `values` if the decision is in one of the states `origins`; returns whether it was."""
        with connect(self._database) as connection:
            return connection.execute(_moving(decision_id, origins, values)).rowcount > 0

    def reopen(self, record: DecisionRecord, **values: Any) -> bool:
        """As `move`, of a finished decision that becomes unfinished: raises Conflict while another one is."""
        with write(self._database) as connection:
            _check_alone(connection, record.namespace, record.deployment)
            return connection.execute(_moving(record.id, [record.state], values)).rowcount > 0

    def unfinished(self) -> list[DecisionRecord]:
        """Those that somebody began to carry out and did not finish, oldest first."""
        query = sa.select(decisions).where(decisions.c.state.in_(UNFINISHED)).order_by(decisions.c.id)
        with connect(self._database) as connection:
            return [DecisionRecord(**row) for row in connection.execute(query).mappings()]

    def recent(
        self, namespace: str | None = None, deployment: str | None = None, limit: int = 20
    ) -> list[DecisionRecord]:
        """Newest first."""
        query = sa.select(decisions).order_by(decisions.c.at.desc(), decisions.c.id.desc()).limit(limit)
        if namespace is not None:
            query = query.where(decisions.c.namespace == namespace)
        if deployment is not None:
            query = query.where(decisions.c.deployment == deployment)
        with connect(self._database) as connection:
            return [DecisionRecord(**row) for row in connection.execute(query).mappings()]


def _moving(decision_id: int, origins: Sequence[str], values: Mapping[str, Any]) -> sa.Update:
    statement = sa.update(decisions).where(decisions.c.id == decision_id, decisions.c.state.in_(list(origins)))
    kept = {key: value if isinstance(value, datetime) else plain(value) for key, value in values.items()}
    return statement.values(kept)


def _check_alone(connection: sa.Connection, namespace: str, deployment: str) -> None:
    """Nobody decides on the deployment until the transaction of `write` ends, from whichever machine.

    On PostgreSQL the rows of its tests are the lock: who comes second waits here, then sees what the first one wrote.
    """
    here = (ab_tests.c.namespace == namespace, ab_tests.c.deployment == deployment)
    connection.execute(sa.select(ab_tests.c.id).where(*here).order_by(ab_tests.c.id).with_for_update()).all()
    query = sa.select(decisions.c.id, decisions.c.who).where(
        decisions.c.namespace == namespace, decisions.c.deployment == deployment, decisions.c.state.in_(UNFINISHED)
    )
    found = connection.execute(query).first()
    if found is not None:
        raise Conflict(f"The test of {namespace}/{deployment}", f"decision {found.id} by {found.who} is not finished")
