"""Opening the evidence store: SQLite (WAL) by default, PostgreSQL by URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from services.errors import InvalidInput, Unavailable, without_secrets
from services.evidence.upgrade import upgrade

BUSY_TIMEOUT_MS = 15_000  # several processes write: dashboard, worker, command line
SUPPORTED = ("sqlite", "postgresql")
_HINT = "Use sqlite:///<path> or postgresql+psycopg://<user>:<password>@<host>/<database>, or leave it unset."


def open_database(url: str) -> sa.Engine:
    """Connect, and bring the tables to what this version of Decant knows, keeping every row.

    Raises:
        InvalidInput: if the URL is none, or names a database that is not supported or whose driver is missing.
        Unavailable: if the database cannot be opened.
        StartFailed: if a newer Decant has made its tables.
    """
    made, database = _prepare(url)
    if database.dialect.name == "sqlite":
        sa.event.listen(database, "connect", _tune_sqlite)
    try:
        upgrade(database, BUSY_TIMEOUT_MS)
    except DBAPIError as error:
        raise Unavailable("The evidence store", str(error.orig), f"Check DECANT_DATABASE_URL ({made!r}).") from error
    return database


def _prepare(url: str) -> tuple[sa.URL, sa.Engine]:
    try:
        made = sa.make_url(url)
        if made.get_backend_name() not in SUPPORTED:
            raise InvalidInput(f"DECANT_DATABASE_URL names a database that Decant does not know: {made!r}.", _HINT)
        if made.get_backend_name() == "sqlite" and made.database:
            Path(made.database).parent.mkdir(parents=True, exist_ok=True)
        return made, sa.create_engine(made, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:  # ValueError: a port that is no number
        raise InvalidInput(f"DECANT_DATABASE_URL cannot be used: {without_secrets(str(error))}.", _HINT) from error
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"DECANT_DATABASE_URL ({made!r}) needs the module {error.name}, which is not installed.", _HINT
        ) from error
    except OSError as error:
        raise Unavailable("The evidence store", str(error), f"Check DECANT_DATABASE_URL ({made!r}).") from error


def _tune_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")  # first: the next one has to wait its turn too
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
