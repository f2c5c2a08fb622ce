"""Writing outcomes: rows and their sums in one transaction, each row of a replay once.

Whoever is killed in here leaves either a whole batch, with its sums, or nothing of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from services.domain import OutcomeStatus
from services.evidence.blocks import BLOCK_ROWS, Block, FiveSums, PairBlock, to_columns
from services.evidence.schema import MEASURES, blocks, outcomes, pair_blocks, replays
from services.stats.sums import Sums

T = TypeVar("T")
B = TypeVar("B", Block, PairBlock)
NewRow = dict[str, Any]
"""A row of `outcomes` that is being written: `block` and `pair` are filled in here."""

ASKED_AT_ONCE = 500
"""Values in one IN (...): well under what databases take."""

_SUMS = [f"{measure}_{part}" for measure in MEASURES for part in ("n", "total", "squares", "largest")]
_HEAD = ("replay", "segment", "predictor", "first_at", "last_at", "sent", "failed", "feedback_failed")
_PAIR_HEAD = ("replay", "a", "b", "first_at", "last_at", "n", "agree", "widest")
BLOCK_COLUMNS = [blocks.c[name] for name in (*_HEAD, *_SUMS, "latency_counts")]
PAIR_COLUMNS = [pair_blocks.c[name] for name in (*_PAIR_HEAD, *_SUMS)]


def read_block(values: Sequence[Any]) -> Block:
    """The values of BLOCK_COLUMNS as a block."""
    parts: list[Any] = [*values[:8], *_read_sums(values), tuple(values[28])]
    return Block(*parts)


def read_pair_block(values: Sequence[Any]) -> PairBlock:
    """The values of PAIR_COLUMNS as a block."""
    parts: list[Any] = [*values[:8], *_read_sums(values)]
    return PairBlock(*parts)


def _read_sums(values: Sequence[Any]) -> FiveSums:
    return (
        Sums(*values[8:12]),
        Sums(*values[12:16]),
        Sums(*values[16:20]),
        Sums(*values[20:24]),
        Sums(*values[24:28]),
    )


def record(connection: sa.Connection, rows: Sequence[NewRow]) -> int:
    """Add the rows that are not there yet, with their sums; returns how many those were.

    The connection must hold the write lock (`door.write`).
    """
    lock_replays(connection, {row["replay"] for row in rows})
    new = _unknown(connection, rows)
    if new:
        place(connection, new)
        connection.execute(sa.insert(outcomes), new)
    return len(new)


def adopt(connection: sa.Connection, limit: int = 5_000) -> int:
    """Give up to `limit` rows without a block theirs: rows from before there were blocks. Returns how many."""
    query = sa.select(outcomes).where(outcomes.c.block.is_(None)).order_by(outcomes.c.id).limit(limit)
    rows: list[NewRow] = [dict(row) for row in connection.execute(query).mappings()]
    if rows:
        place(connection, rows)
        values: dict[str, Any] = {"block": sa.bindparam("to_block"), "pair": sa.bindparam("to_pair")}
        statement = sa.update(outcomes).where(outcomes.c.id == sa.bindparam("of")).values(values)
        connection.execute(statement, [{"of": r["id"], "to_block": r["block"], "to_pair": r["pair"]} for r in rows])
    return len(rows)


def lock_replays(connection: sa.Connection, ids: Iterable[int | None]) -> None:
    """Let one transaction at a time write outcomes of a replay. SQLite has one writer anyway."""
    wanted = sorted(number for number in ids if number is not None)
    if wanted and connection.dialect.name != "sqlite":
        query = sa.select(replays.c.id).where(replays.c.id.in_(wanted)).order_by(replays.c.id)
        connection.execute(query.with_for_update()).all()


def place(connection: sa.Connection, rows: Sequence[NewRow]) -> None:
    """Add rows that no block knows to the blocks and pair blocks, and write into each row which ones they are."""
    groups: defaultdict[tuple[Any, ...], list[NewRow]] = defaultdict(list)
    for row in rows:
        row["block"], row["pair"] = None, row.get("pair")
        groups[row["namespace"], row["deployment"], row["replay"], row["segment"], row["predictor"]].append(row)
    for key, members in groups.items():
        alike = dict(zip(("namespace", "deployment", "replay", "segment", "predictor"), key, strict=True))
        for block, chunk in _fill(connection, blocks, BLOCK_COLUMNS, alike, members, read_block, Block.of):
            for row in chunk:
                row["block"] = block
    _pair(connection, [row for row in rows if row["arm"] and row["pair"] is None and _answered(row)])


def _pair(connection: sa.Connection, rows: Sequence[NewRow]) -> None:
    """Complete the pairs that these rows complete; the other half may have been there before."""
    found: defaultdict[int, defaultdict[tuple[int, int], dict[str, NewRow]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        found[row["replay"]][row["pass"], row["row"]][row["arm"]] = row
    for replay, halves in found.items():
        arms = arms_of(connection, replay)
        if arms is None:
            continue
        lone = [key for key, half in halves.items() if len(half) < 2]
        for row in _stored(connection, replay, lone):
            halves[row["pass"], row["row"]].setdefault(row["arm"], row)
        a, b = arms
        pairs = [(half[a], half[b]) for half in halves.values() if a in half and b in half]
        if not pairs:
            continue
        alike = {name: pairs[0][0][name] for name in ("namespace", "deployment", "replay")} | {"a": a, "b": b}
        for block, chunk in _fill(connection, pair_blocks, PAIR_COLUMNS, alike, pairs, read_pair_block, PairBlock.of):
            for row in (row for pair in chunk for row in pair):
                row["pair"] = block
                if "id" in row:  # it is in the table already
                    connection.execute(sa.update(outcomes).where(outcomes.c.id == row["id"]).values(pair=block))


def arms_of(connection: sa.Connection, replay: int) -> tuple[str, str] | None:
    """Champion and challenger of a paired replay, as its spec names them; None for others."""
    spec = connection.execute(sa.select(replays.c.spec).where(replays.c.id == replay)).scalar()
    arms = spec.get("arms") if isinstance(spec, Mapping) else None
    return (str(arms[0]), str(arms[1])) if arms and len(arms) == 2 else None


def _fill(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[sa.Column[Any]],
    alike: Mapping[str, Any],
    members: Sequence[T],
    read: Callable[[Sequence[Any]], B],
    make: Callable[[Sequence[T]], B],
) -> Iterator[tuple[int, Sequence[T]]]:
    """Put members into the last block of their kind while it has room, then into new ones."""
    same = [table.c[name].is_(None) if value is None else table.c[name] == value for name, value in alike.items()]
    newest = sa.select(table.c.id, *columns).where(*same).order_by(table.c.id.desc()).limit(1).with_for_update()
    last = connection.execute(newest).first()
    start = 0
    if last is not None:
        block = read(last[1:])
        start = min(len(members), BLOCK_ROWS - _size(block))
        if start > 0:
            fuller = block.plus(make(members[:start]))
            connection.execute(sa.update(table).where(table.c.id == last[0]).values(to_columns(fuller)))
            yield last[0], members[:start]
    for chunk in chunks(members[max(start, 0) :], BLOCK_ROWS):
        made = connection.execute(sa.insert(table).values({**to_columns(make(chunk)), **alike}))
        yield int(made.inserted_primary_key[0]), chunk  # type: ignore[index]


def _size(block: Block | PairBlock) -> int:
    return block.sent if isinstance(block, Block) else block.n


def _unknown(connection: sa.Connection, rows: Sequence[NewRow]) -> list[NewRow]:
    """The rows that are not there yet, without doubles; requests that belong to no row of a dataset never are."""
    keyed: dict[tuple[Any, ...], NewRow] = {}
    for row in rows:
        if None not in _key(row):
            keyed.setdefault(_key(row), row)
    asked: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for replay, pass_, number, _ in keyed:
        asked[replay, pass_].append(number)
    for (replay, pass_), numbers in asked.items():
        for some in chunks(numbers, ASKED_AT_ONCE):
            query = sa.select(outcomes.c.row, outcomes.c.arm).where(
                outcomes.c.replay == replay, outcomes.c["pass"] == pass_, outcomes.c.row.in_(some)
            )
            for number, arm in connection.execute(query):
                keyed.pop((replay, pass_, number, arm), None)
    return [row for row in rows if None in _key(row) or keyed.get(_key(row)) is row]


def _key(row: NewRow) -> tuple[Any, ...]:
    return row["replay"], row["pass"], row["row"], row["arm"]


def _stored(connection: sa.Connection, replay: int, keys: Sequence[tuple[int, int]]) -> Iterator[NewRow]:
    """The answered rows of a replay with these (pass, row) that no pair has yet."""
    asked: defaultdict[int, list[int]] = defaultdict(list)
    for pass_, number in keys:
        asked[pass_].append(number)
    for pass_, numbers in asked.items():
        for some in chunks(numbers, ASKED_AT_ONCE):
            query = sa.select(outcomes).where(
                outcomes.c.replay == replay,
                outcomes.c["pass"] == pass_,
                outcomes.c.row.in_(some),
                outcomes.c.arm != "",
                outcomes.c.pair.is_(None),
                outcomes.c.status != OutcomeStatus.PREDICTION_FAILED.value,
            )
            for row in connection.execute(query).mappings():
                yield dict(row)


def _answered(row: NewRow) -> bool:
    return bool(row["status"] != OutcomeStatus.PREDICTION_FAILED.value)


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive parts of at most `size` values."""
    return (values[start : start + size] for start in range(0, len(values), size))
