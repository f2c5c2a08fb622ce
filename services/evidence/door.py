"""The one door to the database: its exceptions become Decant's, its values become plain ones.

A disk that is full, a folder that is gone and a lock that lasts too long are all the same to a reader of a page: the
store does not answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.errors import Unavailable

PART = "The evidence store"


@contextmanager
def connect(database: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction: committed at the end, rolled back on any error. Raises Unavailable for the database's own."""
    try:
        with database.begin() as connection:
            yield connection
    except (DBAPIError, PoolTimeout) as error:
        detail = str(getattr(error, "orig", None) or error)
        raise Unavailable(PART, detail, "Check the disk, the folder's permissions and DECANT_DATABASE_URL.") from error
    except OSError as error:
        raise Unavailable(PART, str(error), "Check the disk and the folder's permissions.") from error


@contextmanager
def write(database: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that reads before it writes: what it has read stays true until it commits.

    SQLite takes its write lock at the start, not at the first write, because a lock that comes late is refused if
    somebody else wrote meanwhile. On PostgreSQL the caller locks the rows that matter. Raises as `connect` does.
    """
    with connect(database) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def plain(value: object) -> Any:
    """What JSON can hold, of whatever a dataset or a model gave: numpy scalars and arrays, times, odd floats.

    Floats that JSON has no word for become the text "nan", "inf" or "-inf", which `float()` reads back.
    """
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    to_list = getattr(value, "tolist", None)  # numpy arrays and scalars, without importing numpy here
    if callable(to_list):
        return plain(to_list())
    if isinstance(value, float | int):
        return plain(float(value)) if isinstance(value, float) else int(value)
    return str(value)
