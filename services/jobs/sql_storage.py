"""Huey's messages in a PostgreSQL, through SQLAlchemy, which is there anyway; Huey's own SQL storage needs another ORM.

Only what Decant uses of Huey: messages now, nothing scheduled, no results.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from huey.constants import EmptyData
from huey.storage import BaseStorage

_LOCK = 0x0DECA18
"""Advisory lock under which the table is made; one beside that of the evidence store's migrations."""

_messages = sa.Table(
    "decant_queue",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)


class SqlStorage(BaseStorage):  # type: ignore[misc]  # huey ships without types
    """First in, first out; a message is taken by one worker. Raises SQLAlchemyError."""

    def __init__(self, name: str = "huey", *, url: str) -> None:
        super().__init__(name)
        self._database = sa.create_engine(url, pool_pre_ping=True)
        if self._database.dialect.name != "postgresql":
            raise ValueError(f"a queue on {self._database.dialect.name} is not supported")
        with self._database.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            _messages.create(connection, checkfirst=True)

    def close(self) -> None:
        self._database.dispose()

    def enqueue(self, data: bytes, priority: float | None = None) -> None:  # noqa: ARG002 - huey's signature
        with self._database.begin() as connection:
            connection.execute(sa.insert(_messages).values(data=data))

    def dequeue(self) -> bytes | None:
        first = sa.select(_messages.c.id).order_by(_messages.c.id).limit(1).with_for_update(skip_locked=True)
        taking = sa.delete(_messages).where(_messages.c.id == first.scalar_subquery()).returning(_messages.c.data)
        with self._database.begin() as connection:
            found = connection.execute(taking).scalar()
        return None if found is None else bytes(found)

    def queue_size(self) -> int:
        with self._database.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_messages)).scalar() or 0)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        query = sa.select(_messages.c.data).order_by(_messages.c.id).limit(limit)
        with self._database.connect() as connection:
            return [bytes(found) for found in connection.execute(query).scalars()]

    def flush_queue(self) -> None:
        with self._database.begin() as connection:
            connection.execute(sa.delete(_messages))

    # What Huey's consumer asks for all the same: nothing is scheduled, kept as a result or revoked.

    def read_schedule(self, ts: datetime) -> list[bytes]:  # noqa: ARG002
        return []

    def flush_schedule(self) -> None:
        return

    def flush_results(self) -> None:
        return

    def flush_counters(self) -> None:
        return

    def peek_data(self, key: str) -> object:  # noqa: ARG002
        return EmptyData

    def pop_data(self, key: str) -> object:  # noqa: ARG002
        return EmptyData

    def has_data_for_key(self, key: str) -> bool:  # noqa: ARG002
        return False
