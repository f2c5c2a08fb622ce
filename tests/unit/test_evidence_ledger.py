"""The ledger's sums: they are those of its rows, whatever comes twice, late, in halves or not at all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.domain import PAIRED, Outcome, OutcomeStatus
from services.errors import Unavailable
from services.evidence.blocks import BLOCK_ROWS, Block, PairBlock
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from tests.support.outcomes import (
    AT,
    FAILED,
    agrees,
    check_pairs,
    check_sums,
    new_replay,
    outcome,
    paired,
    paired_replay,
    some_outcomes,
    total,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield made
    made.dispose()


@pytest.fixture
def store(database: sa.Engine) -> EvidenceStore:
    return EvidenceStore(database)


def blocks(store: EvidenceStore, **scope: object) -> list[Block]:
    return store.ledger.blocks("seldon", "wine", **scope)  # type: ignore[arg-type]


def pair_blocks(store: EvidenceStore, **scope: object) -> list[PairBlock]:
    return store.ledger.pair_blocks("seldon", "wine", **scope)  # type: ignore[arg-type]


def test_the_sums_are_those_of_the_rows(store: EvidenceStore) -> None:
    new_replay(store)
    batch = some_outcomes(range(1000), seed=1)
    for start in range(0, 1000, 70):
        store.ledger.record(batch[start : start + 70])
    check_sums(store, "a")
    check_sums(store, "b")
    assert all(b.sent == BLOCK_ROWS for b in blocks(store) if b.predictor == "a") is False
    assert len(blocks(store)) <= 1000 / BLOCK_ROWS + 2
    first = blocks(store)[0]
    assert (first.replay, first.segment, first.paired, first.first_at) == (1, "a=80,b=20", False, AT)


def test_a_row_that_comes_twice_changes_nothing(store: EvidenceStore) -> None:
    new_replay(store)
    batch = some_outcomes(range(300), seed=2)
    assert store.ledger.record(batch) == 300
    before = blocks(store)
    again = [outcome(row, "b", reward=99.0) for row in range(300)]
    assert store.ledger.record(again) == 0
    assert blocks(store) == before
    assert store.ledger.record([*again[:5], *(outcome(300, "a") for _ in range(3))]) == 1
    check_sums(store, "a")
    check_sums(store, "b")


def test_an_arm_that_answers_the_second_time_does_not_count_a_row_again(store: EvidenceStore) -> None:
    new_replay(store)
    assert store.ledger.record([outcome(1, "", **FAILED)]) == 1
    assert store.ledger.record([outcome(1, "a")]) == 0
    assert store.ledger.record([outcome(1, "b")]) == 0
    assert [(b.predictor, b.sent) for b in blocks(store)] == [("", 1)]


def test_both_answers_to_a_row_of_a_paired_replay_count_and_each_once(store: EvidenceStore) -> None:
    paired_replay(store)
    both = [paired(1, "a"), paired(1, "b")]
    assert store.ledger.record(both) == 2
    assert store.ledger.record([*both, paired(1, "b", reward=0.0)]) == 0
    assert sorted(store.outcomes("seldon", "wine"), key=lambda o: o.predictor) == both
    assert {(b.predictor, b.segment, b.paired) for b in blocks(store)} == {("a", PAIRED, True), ("b", PAIRED, True)}


def test_pairs_are_differences_of_challenger_and_champion(store: EvidenceStore) -> None:
    paired_replay(store)
    batch = some_outcomes(range(250), seed=3, make=paired)
    for start in range(0, 500, 60):
        store.ledger.record(batch[start : start + 60])
    found = pair_blocks(store)
    assert {(b.a, b.b, b.replay) for b in found} == {("a", "b", 1)}
    assert len(found) == -(-check_pairs(store) // BLOCK_ROWS)


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_pair_may_be_completed_later(store: EvidenceStore, first: str) -> None:
    paired_replay(store)
    second = {"a": "b", "b": "a"}[first]
    rewards = {"a": 0.25, "b": 1.0}
    store.ledger.record([paired(row, first, reward=rewards[first]) for row in range(5)])
    assert pair_blocks(store) == []
    store.ledger.record([paired(row, second, reward=rewards[second]) for row in range(3)])
    store.ledger.record([paired(row, second, reward=rewards[second]) for row in range(5)])
    (block,) = pair_blocks(store)
    assert (block.n, block.reward.n, block.reward.total, block.agree) == (5, 5, 3.75, 5)


def test_a_row_that_one_arm_failed_is_no_pair(store: EvidenceStore) -> None:
    paired_replay(store)
    store.ledger.record([paired(1, "a"), paired(1, "b", **FAILED), paired(2, "a"), paired(2, "b")])
    (block,) = pair_blocks(store)
    assert block.n == 1


def test_passes_are_rows_of_their_own(store: EvidenceStore) -> None:
    paired_replay(store)
    store.ledger.record([paired(1, arm, pass_=number) for number in range(3) for arm in "ab"])
    assert pair_blocks(store)[0].n == 3


def test_blocks_of_a_stretch_of_time_hold_exactly_its_rows(store: EvidenceStore) -> None:
    paired_replay(store)
    batch = some_outcomes(range(250), seed=4, make=paired)
    store.ledger.record(batch)
    since, until = AT + timedelta(seconds=33), AT + timedelta(seconds=180)
    inside = [o for o in batch if since <= o.at < until]
    found = blocks(store, since=since, until=until)
    assert sum(b.sent for b in found) == len(inside)
    assert agrees(total([b.reward for b in found]), [o.reward for o in inside if o.reward is not None])
    assert min(b.first_at for b in found) == since and max(b.last_at for b in found) == until - timedelta(seconds=1)

    ok = {(o.predictor, o.row) for o in inside if o.status is not OutcomeStatus.PREDICTION_FAILED}
    pairs = pair_blocks(store, since=since, until=until)
    assert sum(b.n for b in pairs) == sum(("a", r) in ok and ("b", r) in ok for r in range(33, 180))
    assert blocks(store, since=AT + timedelta(hours=1)) == pair_blocks(store, until=AT) == []


def test_replays_and_deployments_are_kept_apart(store: EvidenceStore) -> None:
    new_replay(store), new_replay(store)
    store.ledger.record([outcome(1), outcome(1, replay=2), outcome(1, replay=None, puid="lone")])
    assert [b.replay for b in blocks(store)] == [1, 2, None]
    assert [b.replay for b in blocks(store, replay=2)] == [2]
    assert store.ledger.blocks("seldon", "beer") == []


def test_a_batch_is_written_whole_or_not_at_all(store: EvidenceStore) -> None:
    new_replay(store)
    with pytest.raises(Unavailable):
        store.ledger.record([outcome(1), outcome(2), outcome(3, replay=99)])  # there is no replay 99
    assert blocks(store) == [] and store.outcomes("seldon", "wine") == []


def test_the_largest_disagreements_and_the_largest_rewards(store: EvidenceStore) -> None:
    paired_replay(store)
    chance = random.Random(5)
    batch = [paired(r, arm, prediction=chance.gauss(5, 1), reward=chance.random()) for r in range(700) for arm in "ab"]
    store.ledger.record(batch)
    by_row = {(o.predictor, o.row): o for o in batch}
    gaps = {r: abs(by_row["a", r].prediction - by_row["b", r].prediction) for r in range(700)}  # type: ignore[operator]
    found = store.ledger.largest_disagreements([1], limit=7)
    assert [pair.row for pair in found] == sorted(gaps, key=lambda r: -gaps[r])[:7]
    top = by_row["b", found[0].row]
    assert (found[0].prediction_b, found[0].reward_b, found[0].truth) == (top.prediction, top.reward, 6)


def test_the_largest_rewards_of_an_arm_whatever_their_sign(store: EvidenceStore) -> None:
    paired_replay(store)
    new_replay(store)
    chance = random.Random(5)
    rows = [paired(r, arm, reward=chance.gauss(0.5, 1)) for r in range(700) for arm in "ab"]
    more = [outcome(r, "b", replay=2, reward=chance.gauss(0.5, 1) if r % 3 else None) for r in range(300)]
    store.ledger.record([*rows, *more])

    def largest(outcomes: Sequence[Outcome]) -> list[float]:
        return sorted((o.reward for o in outcomes if o.predictor == "b" and o.reward is not None), key=abs)[::-1]

    assert list(store.ledger.top_rewards([1], "b", 20)) == largest(rows)[:20]
    assert list(store.ledger.top_rewards([1, 2], "b", 200)) == largest([*rows, *more])[:200]
    assert list(store.ledger.top_rewards([2], "b", 1000)) == largest(more)
    assert len(store.ledger.top_rewards([], "b", 20)) == len(store.ledger.top_rewards([2], "a", 20)) == 0


@pytest.mark.parametrize("limit", [1, 20, 150, 5000])
def test_the_largest_rewards_of_many_replays_are_those_of_all_rows(store: EvidenceStore, limit: int) -> None:
    chance = random.Random(limit)
    numbers = [new_replay(store) for _ in range(40)]

    def reward(number: int) -> float:
        """Rounded, so that some are equal; of a replay all are negative, or none, or both occur."""
        return round(chance.gauss((number % 3 - 1) * 2, chance.choice([0.1, 2, 9])), 1)

    rows = [outcome(row, "b", replay=number, reward=reward(number)) for number in numbers for row in range(30)]
    store.ledger.record(rows)
    found = list(store.ledger.top_rewards(numbers, "b", limit))
    everything = [o.reward for o in rows if o.reward is not None]
    assert [abs(r) for r in found] == sorted(map(abs, everything), reverse=True)[:limit]
    assert not Counter(found) - Counter(everything)


def test_a_replay_is_asked_only_for_what_is_larger_than_is_held(store: EvidenceStore, database: sa.Engine) -> None:
    for number in [new_replay(store) for _ in range(5)]:
        store.ledger.record([outcome(row, "b", replay=number, reward=row / number) for row in range(90)])
    asked: list[tuple[str, Any]] = []
    sa.event.listen(database, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    store.ledger.top_rewards([1, 2, 3, 4, 5], "b", 30)
    queries = [said for said in asked if said[0].startswith("SELECT")]
    with database.connect() as connection:
        read = [len(connection.exec_driver_sql(*said).all()) for said in queries]
    assert read == [30, *[0] * 9], "the first holds the 30 largest"


def test_the_largest_rewards_are_read_in_order_and_not_sought(store: EvidenceStore, database: sa.Engine) -> None:
    """A million rows must not be looked through: the index holds all that is asked, from both ends."""
    asked: list[tuple[str, Any]] = []
    sa.event.listen(database, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    store.ledger.top_rewards([1], "b", 20)
    queries = [(statement, values) for statement, values in asked if statement.startswith("SELECT")]
    assert len(queries) == 2
    with database.connect() as connection:
        for statement, values in queries:
            (step,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert step.detail.startswith("SEARCH outcomes USING COVERING INDEX outcomes_by_reward")


def test_all_pairs_of_a_replay_as_arrays(store: EvidenceStore) -> None:
    paired_replay(store)
    store.ledger.record([paired(2, "b", reward=None), paired(2, "a"), paired(1, "a"), paired(1, "b", **FAILED)])
    store.ledger.record([paired(0, "b", prediction="x"), paired(0, "a", reward=0.5)])
    store.ledger.record([paired(3, "a"), paired(3, "b", reward=0.6)])
    rows = store.ledger.pair_rows(1)
    assert list(rows.row) == [0, 3] and list(rows.pass_) == [0, 0], "a pair with one reward tells nothing of B - A"
    assert list(rows.reward_a) == [0.5, 0.8] and list(rows.reward_b) == [0.8, 0.6]
    assert len(store.ledger.pair_rows(99).row) == 0
