"""Files that several machines need: datasets of replays, logs of trainings, reports of decisions.

On one machine they lie in the state folder. Where a PostgreSQL is shared, nobody else sees that folder, so they are
kept in the database too, in parts of a few MiB.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from services.evidence.door import connect
from services.evidence.schema import files

PART_BYTES = 4 * 1024 * 1024


class FileTable:
    """Reads and writes the table `files`. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self.shared = database.dialect.name != "sqlite"
        """Whether other machines may look for files here; where it is False nothing needs to be kept."""

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` under `name`, in place of what was there."""
        now = datetime.now(UTC)
        starts = range(0, max(len(content), 1), PART_BYTES)
        with connect(self._database) as connection:
            # Two who write the same name at once take turns; on SQLite they do so anyway.
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(name))))
            connection.execute(sa.delete(files).where(files.c.name == name))
            for part, start in enumerate(starts):
                piece = content[start : start + PART_BYTES]
                connection.execute(sa.insert(files).values(name=name, part=part, content=piece, at=now))

    def get(self, name: str) -> bytes | None:
        """What is kept under `name`; None if nothing is."""
        query = sa.select(files.c.content).where(files.c.name == name).order_by(files.c.part)
        with connect(self._database) as connection:
            parts = [bytes(part) for part in connection.execute(query).scalars()]
        return b"".join(parts) if parts else None

    def has(self, name: str) -> bool:
        with connect(self._database) as connection:
            return connection.execute(sa.select(files.c.part).where(files.c.name == name).limit(1)).first() is not None
