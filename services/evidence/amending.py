"""Writing changed outcomes together with the sums that they are in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.domain import OutcomeStatus
from services.evidence.blocks import Block, Measures, PairBlock, Row, differences, measures, to_columns
from services.evidence.reading import block_rows, pairs_of
from services.evidence.recording import (
    ASKED_AT_ONCE,
    BLOCK_COLUMNS,
    PAIR_COLUMNS,
    chunks,
    read_block,
    read_pair_block,
)
from services.evidence.schema import MEASURES, blocks, corrections, outcomes, pair_blocks
from services.stats.sums import Sums

NOT_SENT_YET = "its reward has not reached the arm's counter yet"
"""The error of an outcome between its late reward and the feedback for it."""


class Changes:
    """The rows of one transaction before and after, to be written with their sums."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._pairs: list[tuple[Row, dict[str, Any]]] = []
        self._replaced: list[tuple[Row, dict[str, Any]]] = []

    @property
    def to_feed(self) -> list[int]:
        return [after["id"] for _, after in self._pairs if after["error"] == NOT_SENT_YET]

    def add(self, before: Row, after: dict[str, Any], replaced: bool) -> None:
        self._pairs.append((before, after))
        if replaced:
            self._replaced.append((before, after))

    def write(self, who: str, why: str) -> None:
        if not self._pairs:
            return
        connection = self._connection
        names = ("truth", "reward", "status", "error")
        statement = (
            sa.update(outcomes)
            .where(outcomes.c.id == sa.bindparam("of"))
            .values({name: sa.bindparam(f"new_{name}") for name in names})
        )
        # The sums of pairs need the other halves as they were, so those are read first.
        pairs = self._pairs_before()
        connection.execute(
            statement, [{"of": after["id"], **{f"new_{n}": after[n] for n in names}} for _, after in self._pairs]
        )
        self._write_blocks()
        self._write_pair_blocks(pairs)
        now = datetime.now(UTC)
        values = [
            {
                "outcome": before["id"], "at": now, "who": who, "why": why,
                "truth_before": before["truth"], "reward_before": before["reward"],
                "truth_after": after["truth"], "reward_after": after["reward"],
            }
            for before, after in self._replaced
        ]  # fmt: skip
        if values:
            connection.execute(sa.insert(corrections), values)

    def _write_blocks(self) -> None:
        touched: defaultdict[int, list[tuple[Row, Row]]] = defaultdict(list)
        for before, after in self._pairs:
            touched[before["block"]].append((before, after))
        stale = []
        for number, block in _locked(self._connection, blocks, BLOCK_COLUMNS, touched, read_block).items():
            steps = [(measures(before), measures(after)) for before, after in touched[number]]
            if any(_lost(*step) for step in steps):
                stale.append(number)
                continue
            failed = sum(
                (after["status"] == OutcomeStatus.FEEDBACK_FAILED.value)
                - (before["status"] == OutcomeStatus.FEEDBACK_FAILED.value)
                for before, after in touched[number]
            )
            fuller = replace(block, feedback_failed=block.feedback_failed + failed, **_grown(block, steps))
            self._save(blocks, number, fuller)
        for number, rows in block_rows(self._connection, stale).items():
            self._save(blocks, number, Block.of(rows))

    def _pairs_before(self) -> dict[int, tuple[Row, Row]]:
        """By id of a changed row that is in a pair: the pair (champion's row, challenger's row) as it was."""
        changed = [before for before, _ in self._pairs if before["pair"] is not None]
        champions = _champions(self._connection, {row["pair"] for row in changed})
        halves: defaultdict[tuple[int, int, int], dict[bool, Row]] = defaultdict(dict)
        for row in _both(self._connection, changed):
            halves[row["replay"], row["pass"], row["row"]][row["predictor"] == champions.get(row["pair"])] = row
        whole = [(half[True], half[False]) for half in halves.values() if len(half) == 2]
        return {row["id"]: pair for pair in whole for row in pair}

    def _write_pair_blocks(self, pairs: Mapping[int, tuple[Row, Row]]) -> None:
        news = {after["id"]: after for _, after in self._pairs}
        touched: defaultdict[int, dict[int, tuple[Row, Row]]] = defaultdict(dict)
        for number in news:
            if number in pairs:
                pair = pairs[number]
                touched[pair[0]["pair"]][pair[0]["id"]] = pair
        stale = []
        for number, block in _locked(self._connection, pair_blocks, PAIR_COLUMNS, touched, read_pair_block).items():
            steps = [
                (differences((a, b)), differences((news.get(a["id"], a), news.get(b["id"], b))))
                for a, b in touched[number].values()
            ]
            if any(_lost(*step) for step in steps):
                stale.append((number, block.a))
            else:
                self._save(pair_blocks, number, replace(block, **_grown(block, steps)))
        for number, a in stale:
            self._save(pair_blocks, number, PairBlock.of(pairs_of(self._connection, [number], a)[number]))

    def _save(self, table: sa.Table, number: int, block: Block | PairBlock) -> None:
        self._connection.execute(sa.update(table).where(table.c.id == number).values(to_columns(block)))


def _lost(before: Measures, after: Measures) -> bool:
    """Whether a value that is in the sums is not what it was."""
    return any(x is not None and x != y for x, y in zip(before, after, strict=True))


def _grown(block: Block | PairBlock, steps: Sequence[tuple[Measures, Measures]]) -> dict[str, Any]:
    """The sums with what is new in them."""
    found: dict[str, Any] = {}
    for position, name in enumerate(MEASURES):
        new = [after[position] for before, after in steps if before[position] is None]
        known = [value for value in new if value is not None]
        if known:
            found[name] = getattr(block, name).plus(Sums.of(known))
    return found


def _locked(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[sa.Column[Any]],
    numbers: Iterable[int],
    read: Callable[[Sequence[Any]], Any],
) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for some in chunks(sorted(numbers), ASKED_AT_ONCE):
        query = sa.select(table.c.id, *columns).where(table.c.id.in_(some)).order_by(table.c.id).with_for_update()
        found |= {row[0]: read(row[1:]) for row in connection.execute(query)}
    return found


def _champions(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, str]:
    """The name of the champion of these pair blocks."""
    found: dict[int, str] = {}
    for some in chunks(sorted(numbers), ASKED_AT_ONCE):
        query = sa.select(pair_blocks.c.id, pair_blocks.c.a).where(pair_blocks.c.id.in_(some))
        found |= {row.id: row.a for row in connection.execute(query)}
    return found


def _both(connection: sa.Connection, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """These rows of paired replays and their other halves, as they are in the table."""
    asked: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for row in rows:
        asked[row["replay"], row["pass"]].add(row["row"])
    for (replay, pass_), numbers in asked.items():
        for some in chunks(sorted(numbers), ASKED_AT_ONCE):
            query = sa.select(outcomes).where(
                outcomes.c.replay == replay,
                outcomes.c["pass"] == pass_,
                outcomes.c.row.in_(some),
                outcomes.c.pair.is_not(None),
            )
            for found in connection.execute(query).mappings():
                yield dict(found)
