"""Replays as the store keeps them: what was asked, how far it got, who asked.

The spec and the counters are plain data here; services.jobs.replays gives them their types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.errors import NotFound
from services.evidence.door import connect, plain
from services.evidence.schema import replays


@dataclass(frozen=True)
class ReplayRecord:
    """One row of the table. `cursor` counts the rows recorded, `total` the rows asked for."""

    id: int
    namespace: str
    deployment: str
    spec: dict[str, Any]
    state: str
    cursor: int
    total: int
    counters: dict[str, Any]
    message: str
    cancel_requested: bool
    who: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    def shares_rows(self, other: ReplayRecord) -> bool:
        """Whether both were asked to send some row of the same dataset."""
        return self.overlaps(other.spec, other.total)

    def overlaps(self, spec: Mapping[str, Any], total: int) -> bool:
        """Whether it was asked to send some row that `spec` asks for, in all passes together `total` times.

        A row is its dataset's digest and its number. Two samples that were drawn with other seeds, or a sample and a
        part of the file, are taken to share rows.
        """
        if "digest" not in self.spec or self.spec["digest"] != spec.get("digest"):
            return False
        (order, mine), (other_order, others) = _places(self.spec, self.total), _places(spec, total)
        return order != other_order or (mine.start < others.stop and others.start < mine.stop)


def _places(spec: Mapping[str, Any], total: int) -> tuple[int | None, range]:
    """Where the rows stand, and in which order: that of the file (None), or that which a seed draws from all."""
    start = int(spec.get("start") or 0)
    passes = max(1, int(spec.get("passes") or 1))
    # A shuffle once meant that the rows were drawn at random.
    return spec.get("sample_seed", spec.get("shuffle_seed")), range(start, start + total // passes)


class ReplayTable:
    """Access to the replays. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def add(
        self, namespace: str, deployment: str, spec: Mapping[str, Any], total: int, state: str, who: str
    ) -> ReplayRecord:
        """A new replay with nothing sent yet."""
        values = {
            "namespace": namespace,
            "deployment": deployment,
            "spec": plain(spec),
            "state": state,
            "cursor": 0,
            "total": total,
            "counters": {},
            "message": "",
            "cancel_requested": False,
            "who": who,
            "created_at": datetime.now(UTC),
        }
        with connect(self._database) as connection:
            replay_id = connection.execute(sa.insert(replays).values(values)).inserted_primary_key
        return self.get(int(replay_id[0]) if replay_id else -1)

    def get(self, replay_id: int) -> ReplayRecord:
        """Raises NotFound."""
        with connect(self._database) as connection:
            row = connection.execute(sa.select(replays).where(replays.c.id == replay_id)).mappings().first()
        if row is None:
            raise NotFound("replay", str(replay_id))
        return ReplayRecord(**row)

    def recent(self, namespace: str | None, deployment: str | None, limit: int) -> list[ReplayRecord]:
        """Newest first."""
        query = sa.select(replays).order_by(replays.c.created_at.desc(), replays.c.id.desc()).limit(limit)
        if namespace is not None:
            query = query.where(replays.c.namespace == namespace)
        if deployment is not None:
            query = query.where(replays.c.deployment == deployment)
        with connect(self._database) as connection:
            return [ReplayRecord(**row) for row in connection.execute(query).mappings()]

    def in_state(self, states: Sequence[str]) -> list[ReplayRecord]:
        """Oldest first."""
        query = sa.select(replays).where(replays.c.state.in_(list(states))).order_by(replays.c.id)
        with connect(self._database) as connection:
            return [ReplayRecord(**row) for row in connection.execute(query).mappings()]

    def move(self, replay_id: int, origins: Sequence[str], **values: Any) -> bool:
        """Write `values` if the replay is in one of the states `origins`; returns whether it was."""
        statement = sa.update(replays).where(replays.c.id == replay_id, replays.c.state.in_(list(origins)))
        with connect(self._database) as connection:
            return connection.execute(statement.values({k: _plain(v) for k, v in values.items()})).rowcount > 0

    def progress(self, replay_id: int, cursor: int, counters: Mapping[str, Any], message: str = "") -> bool:
        """Note how far a replay is; returns whether somebody asked to cancel it."""
        # Not after its end: what the end wrote is the last word.
        statement = sa.update(replays).where(replays.c.id == replay_id, replays.c.finished_at.is_(None))
        with connect(self._database) as connection:
            connection.execute(statement.values(cursor=cursor, counters=plain(counters), message=message))
            asked = connection.execute(sa.select(replays.c.cancel_requested).where(replays.c.id == replay_id)).scalar()
        return bool(asked)


def _plain(value: object) -> object:
    return value if isinstance(value, datetime) else plain(value)
