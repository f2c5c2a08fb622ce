"""Replays and the rows they share: a row counts once, however many replays have sent it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.domain import PAIRED
from services.evidence.database import open_database
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.verdict.ledger_side import live_side, paired_side
from services.verdict.rule import Rule
from tests.support.outcomes import outcome, paired

RULE = Rule("a", "b")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


def replay(store: EvidenceStore, start: int, rows: int, digest: str = "wines", **spec: Any) -> ReplayRecord:
    stored = {"dataset": "wine-quality", "digest": digest, "start": start, "rows": rows, "mode": "live", **spec}
    return store.replays.add("seldon", "wine", stored, rows * spec.get("passes", 1), "done", "ann")


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"start": 0, "rows": 10}, {"start": 10, "rows": 10}, False),
        ({"start": 0, "rows": 11}, {"start": 10, "rows": 10}, True),
        ({"start": 20, "rows": 5}, {"start": 0, "rows": 100}, True),
        ({"start": 0, "rows": 10}, {"start": 0, "rows": 10, "digest": "other"}, False),
        ({"start": 0, "rows": 10, "passes": 3}, {"start": 10, "rows": 10}, False),
        ({"start": 0, "rows": 10, "sample_seed": 1}, {"start": 10, "rows": 10, "sample_seed": 1}, False),
        ({"start": 0, "rows": 10, "sample_seed": 1}, {"start": 10, "rows": 10, "sample_seed": 2}, True),
        ({"start": 0, "rows": 10, "sample_seed": 1}, {"start": 10, "rows": 10}, True),
        ({"start": 0, "rows": 10, "shuffle_seed": 1, "sample_seed": None}, {"start": 10, "rows": 10}, False),
        ({"start": 0, "rows": 10, "shuffle_seed": 1}, {"start": 10, "rows": 10}, True),  # as it once meant a sample
    ],
)
def test_a_row_is_its_dataset_and_its_number(
    store: EvidenceStore, one: dict[str, Any], other: dict[str, Any], shared: bool
) -> None:
    first, second = replay(store, **one), replay(store, **other)
    assert first.shares_rows(second) is second.shares_rows(first) is shared


def test_parts_of_a_dataset_all_count_and_rows_sent_again_do_not(store: EvidenceStore) -> None:
    parts = [replay(store, 0, 60), replay(store, 60, 40), replay(store, 50, 30)]
    for part in parts:
        start, rows = part.spec["start"], part.spec["rows"]
        store.ledger.record([outcome(n, "ab"[n % 2], part.id) for n in range(start, start + rows)])
    side = live_side(RULE, parts, store.ledger.blocks("seldon", "wine"))
    assert (side.replays, side.left_out) == ((1, 2), (3,))
    ((a, b),) = side.strata
    assert (a.sent, b.sent) == (50, 50)


def test_pairs_of_two_halves_are_those_of_the_whole(store: EvidenceStore) -> None:
    halves = [replay(store, start, 50, mode="paired", arms=["a", "b"]) for start in (0, 50)]
    for half in halves:
        start = half.spec["start"]
        store.ledger.record([paired(n, arm, half.id) for n in range(start, start + 50) for arm in "ab"])
    blocks = store.ledger.blocks("seldon", "wine")
    side = paired_side(RULE, halves, store.ledger.pair_blocks("seldon", "wine"), blocks)
    assert {block.segment for block in blocks} == {PAIRED}
    assert (side.pairs, side.a.sent, side.b.sent, side.left_out) == (100, 100, 100, ())
