"""Databases as Decant made them before: of before it counted the revisions of its tables, and of revision 0002."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from services.evidence.upgrade import MIGRATIONS

OLD = (Path(__file__).parent / "evidence_0001.sql").read_text(encoding="utf-8")
"""The tables as Decant made them before it counted revisions, from `.schema` of such a database."""


def make_old(path: Path, rows: int = 250) -> None:
    """A database from before revisions, with one replay of `rows` rows, and one single request."""
    with sqlite3.connect(path) as old:
        old.executescript(OLD)
        old.execute(
            "INSERT INTO replays VALUES (1, 'seldon', 'wine', ?, 'done', ?, ?, '{}', '', 0, 'ann', ?, NULL, NULL)",
            (json.dumps({"dataset": "wine-quality"}), rows, rows, "2026-01-01 12:00:00.000000"),
        )
        old.executemany(
            "INSERT INTO outcomes (puid, namespace, deployment, predictor, segment, replay, row, pass, prediction, "
            "truth, reward, latency_ms, status, error, at) VALUES (?, 'seldon', 'wine', ?, 'a=80,b=20', ?, ?, 0, '5.5',"
            " '6', ?, 2.5, 'ok', '', '2026-01-01 12:00:00.000000')",
            [(f"r1-0-{row}", "ab"[row % 2], 1, row, row / 100) for row in range(rows)]
            + [("lone", "a", None, None, 1.0)],
        )
        old.execute(
            "INSERT INTO changes VALUES (1, '2026-01-01 12:00:00.000000', 'ann', 'split', 'seldon', 'wine', '', '', "
            "'', 0)"
        )
    old.close()


def make_0002(connection: sa.Connection) -> None:
    """The tables of revision 0002 in an empty database, with rows of every kind; their puids are in `ROUTED_OF_0002`.

    The connection is in a transaction.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")
    specs: list[dict[str, Any]] = [
        {},
        {"mode": "live"},
        {"mode": "paired", "arms": ["a", "b"]},
        {"mode": "pinned", "predictor": "b"},
    ]
    for number, spec in enumerate(specs, start=1):
        statement = (
            "INSERT INTO replays (id, namespace, deployment, spec, state, cursor, total, counters, message, "
            "cancel_requested, who, created_at) VALUES (:id, 'seldon', 'wine', :spec, 'done', 1, 1, '{}', '', "
            ":no, 'ann', :at)"
        )
        values = {"id": number, "spec": json.dumps({"dataset": "wine-quality", **spec}), "no": False, "at": _AT}
        connection.execute(sa.text(statement), values)
    rows = [
        ("no-mode", 1, 0, "", "a=80,b=20"),
        ("live", 2, 0, "", "a=80,b=20"),
        ("pair-a", 3, 0, "a", "paired"),
        ("pair-b", 3, 0, "b", "paired"),
        ("one-arm", 4, 0, "", "pinned:b"),
        ("one-arm-by-its-mode", 4, 1, "", "a=80,b=20"),
        ("by-hand", None, None, "", "a=80,b=20"),
    ]
    for puid, replay, row, arm, segment in rows:
        statement = (
            "INSERT INTO outcomes (puid, namespace, deployment, predictor, segment, replay, row, pass, arm, digest, "
            "prediction, latency_ms, status, error, at) VALUES (:puid, 'seldon', 'wine', :predictor, :segment, "
            ":replay, :row, 0, :arm, 'd', '5.5', 2.5, 'ok', '', :at)"
        )
        values = {"puid": puid, "replay": replay, "arm": arm, "segment": segment, "at": _AT}
        values |= {"predictor": arm or "b", "row": row}
        connection.execute(sa.text(statement), values)


_AT = "2026-01-01 12:00:00.000000+00:00"
ROUTED_OF_0002 = {
    "no-mode": True,
    "live": True,
    "pair-a": False,
    "pair-b": False,
    "one-arm": False,
    "one-arm-by-its-mode": False,
    "by-hand": True,  # nothing says; it is assumed
}
"""By puid of the rows that `make_0002` makes: whether the split chose the arm."""
