"""Bringing a database to the tables that this version knows, whatever made it and however many start at once.

Databases from before revisions were counted have the tables of the first one and nothing that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from services.errors import StartFailed
from services.evidence.recording import adopt
from services.evidence.schema import REVISION, VERSION_TABLE, metadata, outcomes

MIGRATIONS = Path(__file__).parent / "migrations"
FIRST = "0001"
PATIENCE_MS = 600_000
"""How long to wait for another process that is migrating; a million rows take it two minutes."""

_LOCK = 0x0DECA17
"""PostgreSQL's advisory locks are numbers, the same for all programs: this one is Decant's."""

_version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def upgrade(database: sa.Engine, busy_timeout_ms: int) -> None:
    """Make or migrate the tables. Quick if there is nothing to do; waits for another process that is at it.

    Raises:
        StartFailed: if the tables are newer than this code.
        DBAPIError: what the database says.
    """
    with database.connect() as connection:
        ready = current(connection) == REVISION and not _orphans(connection)
    if ready:
        return
    with _alone(database, busy_timeout_ms) as connection:
        _bring_up(connection)
    adopted = True
    while adopted:  # in several transactions, so that a million rows block nobody for long and a kill loses little
        with _alone(database, busy_timeout_ms) as connection:
            adopted = adopt(connection) > 0


def current(connection: sa.Connection) -> str | None:
    """The revision of the tables; None if nothing says so."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(sa.select(_version.c.version_num)).scalar()
    return found


def _bring_up(connection: sa.Connection) -> None:
    version = current(connection)
    if version == REVISION:
        return
    if version is None:
        _version.create(connection, checkfirst=True)
        empty = not sa.inspect(connection).has_table(outcomes.name)
        if empty:
            metadata.create_all(connection)
        version = REVISION if empty else FIRST
        connection.execute(sa.insert(_version).values(version_num=version))
    if version != REVISION:
        _migrate(connection, version)


def _migrate(connection: sa.Connection, version: str) -> None:
    # Imported late: Alembic takes a while, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    if version not in {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}:
        raise StartFailed(
            "The evidence store",
            f"a newer Decant has made its tables (revision {version}; this one knows them up to {REVISION})",
            hint="Start that newer Decant, or point DECANT_DATABASE_URL at another database.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _orphans(connection: sa.Connection) -> bool:
    query = sa.select(outcomes.c.id).where(outcomes.c.block.is_(None)).limit(1)
    return connection.execute(query).first() is not None


@contextmanager
def _alone(database: sa.Engine, busy_timeout_ms: int) -> Iterator[sa.Connection]:
    """A transaction that no other process has at the same time."""
    with database.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA busy_timeout={PATIENCE_MS}")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.commit()
            finally:
                connection.rollback()
                connection.exec_driver_sql(f"PRAGMA busy_timeout={busy_timeout_ms}")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection
            connection.commit()
