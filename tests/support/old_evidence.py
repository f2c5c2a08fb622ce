"""A database as Decant made it before it counted the revisions of its tables."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

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
