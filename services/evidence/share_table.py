"""What each sender of a shared replay says of itself; how far the replay is, is in the ledger.

A sender writes its own row and no other; the worker that watches them reads all rows, and clears them when it begins
anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.evidence.door import connect, plain
from services.evidence.schema import replay_shares

_TOLD = ("shares", "busy", "errors", "waiting", "failure")


@dataclass(frozen=True)
class ShareRecord:
    """Share `share` of `shares`, counted from 0.

    Attributes:
        busy: share of one processor core that its process takes.
        errors: the last few, in words.
        waiting: which arm its rows wait for; empty if for none.
        failure: why it gave up for good; empty if it did not.
    """

    replay: int
    share: int
    shares: int
    busy: float = 0.0
    errors: Sequence[str] = ()
    waiting: str = ""
    failure: str = ""


class ShareTable:
    """Access to the shares. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def put(self, share: ShareRecord) -> None:
        """Write what a sender says now in the place of what it said before."""
        values = {**asdict(share), "errors": plain(share.errors), "at": datetime.now(UTC)}
        with connect(self._database) as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            adding = dialect.insert(replay_shares).values(values)
            told = {name: values[name] for name in (*_TOLD, "at")}
            connection.execute(adding.on_conflict_do_update(index_elements=["replay", "share"], set_=told))

    def of(self, replay: int) -> list[ShareRecord]:
        """What the senders of a replay said last, in the order of their numbers."""
        columns = [replay_shares.c[name] for name in ("replay", "share", *_TOLD)]
        query = sa.select(*columns).where(replay_shares.c.replay == replay).order_by(replay_shares.c.share)
        with connect(self._database) as connection:
            return [
                ShareRecord(**{**row, "errors": tuple(row["errors"])}) for row in connection.execute(query).mappings()
            ]

    def clear(self, replay: int) -> None:
        """Forget what earlier senders said."""
        with connect(self._database) as connection:
            connection.execute(sa.delete(replay_shares).where(replay_shares.c.replay == replay))
