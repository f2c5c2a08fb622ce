"""A/B tests as the store keeps them. The rule is plain data here; services.verdict.rule gives it its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.errors import Conflict, NotFound
from services.evidence.door import connect, plain, write
from services.evidence.schema import ab_tests

REPLACED = "another test was started"


@dataclass(frozen=True)
class ABTestRecord:
    """One row of the table. `rule` is what Rule.to_json gave; `ended_at` is None while the test runs."""

    id: int
    namespace: str
    deployment: str
    rule: dict[str, Any]
    model_a: str
    model_b: str
    who: str
    why: str
    started_at: datetime
    ended_at: datetime | None
    ended_why: str


class ABTestTable:
    """Access to the tests; a deployment has at most one that runs. Raises Unavailable without a database."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def start(
        self,
        namespace: str,
        deployment: str,
        rule: Mapping[str, Any],
        model_a: str,
        model_b: str,
        who: str,
        why: str = "",
    ) -> ABTestRecord:
        """A new test, which ends the one that runs. Raises Conflict if somebody starts one at the same moment."""
        now = datetime.now(UTC)
        values = {
            "namespace": namespace,
            "deployment": deployment,
            "rule": plain(rule),
            "model_a": model_a,
            "model_b": model_b,
            "who": who,
            "why": why,
            "started_at": now,
            "ended_at": None,
            "ended_why": "",
        }
        running = sa.and_(
            ab_tests.c.namespace == namespace, ab_tests.c.deployment == deployment, ab_tests.c.ended_at.is_(None)
        )
        with write(self._database) as connection:
            connection.execute(sa.update(ab_tests).where(running).values(ended_at=now, ended_why=REPLACED))
            try:
                key = connection.execute(sa.insert(ab_tests).values(values)).inserted_primary_key
            except IntegrityError as error:
                raise Conflict(
                    f"The A/B test of {namespace}/{deployment}", "somebody else has just started one"
                ) from error
        return self.get(int(key[0]) if key else -1)

    def get(self, test_id: int) -> ABTestRecord:
        """Raises NotFound."""
        with connect(self._database) as connection:
            row = connection.execute(sa.select(ab_tests).where(ab_tests.c.id == test_id)).mappings().first()
        if row is None:
            raise NotFound("A/B test", str(test_id))
        return ABTestRecord(**row)

    def running(self, namespace: str, deployment: str) -> ABTestRecord | None:
        """The test that runs now, if one does."""
        query = sa.select(ab_tests).where(
            ab_tests.c.namespace == namespace, ab_tests.c.deployment == deployment, ab_tests.c.ended_at.is_(None)
        )
        with connect(self._database) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else ABTestRecord(**row)

    def recent(
        self, namespace: str | None = None, deployment: str | None = None, limit: int = 20
    ) -> list[ABTestRecord]:
        """Newest first."""
        query = sa.select(ab_tests).order_by(ab_tests.c.started_at.desc(), ab_tests.c.id.desc()).limit(limit)
        if namespace is not None:
            query = query.where(ab_tests.c.namespace == namespace)
        if deployment is not None:
            query = query.where(ab_tests.c.deployment == deployment)
        with connect(self._database) as connection:
            return [ABTestRecord(**row) for row in connection.execute(query).mappings()]

    def every(self, namespace: str | None = None, deployment: str | None = None) -> list[ABTestRecord]:
        """All there ever were, oldest first."""
        query = sa.select(ab_tests).order_by(ab_tests.c.started_at, ab_tests.c.id)
        for column, wanted in ((ab_tests.c.namespace, namespace), (ab_tests.c.deployment, deployment)):
            query = query if wanted is None else query.where(column == wanted)
        with connect(self._database) as connection:
            return [ABTestRecord(**row) for row in connection.execute(query).mappings()]

    def end(self, test_id: int, why: str, at: datetime | None = None) -> bool:
        """End it, as of `at` (now if None); returns whether it was running."""
        statement = sa.update(ab_tests).where(ab_tests.c.id == test_id, ab_tests.c.ended_at.is_(None))
        with connect(self._database) as connection:
            ended = {"ended_at": at or datetime.now(UTC), "ended_why": why}
            return connection.execute(statement.values(ended)).rowcount > 0

    def conclude(self, test_id: int, why: str) -> None:
        """End it with a decision, which has the last word on why: what it replaced may have ended the test already."""
        now = datetime.now(UTC)
        values = {"ended_at": sa.func.coalesce(ab_tests.c.ended_at, now), "ended_why": why}
        with connect(self._database) as connection:
            connection.execute(sa.update(ab_tests).where(ab_tests.c.id == test_id).values(values))
