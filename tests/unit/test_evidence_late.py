"""Truths and rewards that come late: into the rows, into the sums, once, and to whom."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.domain import Outcome, OutcomeStatus
from services.evidence.database import open_database
from services.evidence.late import PAST_SPLIT, Fate, LateTruth
from services.evidence.schema import corrections
from services.evidence.store import EvidenceStore
from tests.support.outcomes import (
    FAILED,
    NearTruth,
    check_pairs,
    check_sums,
    new_replay,
    outcome,
    paired,
    paired_replay,
    some_outcomes,
)

BARE: dict[str, Any] = {"truth": None, "reward": None}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield made
    made.dispose()


@pytest.fixture
def store(database: sa.Engine) -> EvidenceStore:
    return EvidenceStore(database)


class Luck(NearTruth):
    """A formula without rhyme or reason, so that rewards are replaced too."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def reward(self, *_: object) -> float | None:
        return self._chance.choice([None, 0.5])


def attach(store: EvidenceStore, *late: LateTruth, **options: Any) -> tuple[list[Fate], list[int]]:
    fates, to_feed = store.ledger.attach(late, NearTruth(), who="ann", **options)
    return [one.fate for one in fates], to_feed


def row(store: EvidenceStore, puid: str) -> Outcome:
    (found,) = [o for o in store.outcomes("seldon", "wine", limit=1000) if o.puid == puid]
    return found


def test_a_truth_makes_a_reward_by_the_formula_of_its_replay(store: EvidenceStore) -> None:
    new_replay(store)
    store.ledger.record([outcome(1, "b", prediction=5.5, **BARE), outcome(2, **BARE)])
    fates, to_feed = attach(store, LateTruth("r1-0-1", truth=6))
    assert fates == [Fate.ATTACHED] and len(to_feed) == 1
    found = row(store, "r1-0-1")
    assert (found.truth, found.reward, found.status) == (6, 0.5, OutcomeStatus.FEEDBACK_FAILED)
    assert "counter" in found.error
    assert row(store, "r1-0-2").truth is None
    check_sums(store, "a")
    check_sums(store, "b")


def test_a_reward_may_come_without_a_truth_and_a_truth_without_a_formula(store: EvidenceStore) -> None:
    store.ledger.record([outcome(n, replay=None, puid=f"p{n}", **BARE) for n in (1, 2)])
    fates, to_feed = attach(store, LateTruth("p1", reward=0.25), LateTruth("p2", truth="red"))
    assert fates == [Fate.ATTACHED, Fate.ATTACHED] and len(to_feed) == 1
    assert (row(store, "p1").reward, row(store, "p1").truth) == (0.25, None)
    assert (row(store, "p2").reward, row(store, "p2").truth) == (None, "red")
    assert row(store, "p2").status is OutcomeStatus.OK
    check_sums(store, "a")


def test_the_same_file_again_changes_nothing(store: EvidenceStore) -> None:
    new_replay(store)
    store.ledger.record([outcome(n, **BARE) for n in range(300)])
    late = [LateTruth(f"r1-0-{n}", truth=n % 7) for n in range(300)]
    fates, to_feed = attach(store, *late)
    assert fates == [Fate.ATTACHED] * 300 and len(to_feed) == 300
    before = store.ledger.blocks("seldon", "wine")
    fates, to_feed = attach(store, *late)
    assert fates == [Fate.KEPT] * 300 and to_feed == []
    assert attach(store, LateTruth("r1-0-1", truth=1.0), overwrite=True)[0] == [Fate.KEPT]
    assert store.ledger.blocks("seldon", "wine") == before
    check_sums(store, "a")


def test_what_is_there_stays_unless_it_is_to_be_replaced_and_then_that_is_recorded(
    store: EvidenceStore, database: sa.Engine
) -> None:
    new_replay(store)
    store.ledger.record([outcome(1, prediction=5.5, truth=6, reward=0.5), outcome(2)])
    done, to_feed = store.ledger.attach([LateTruth("r1-0-1", truth=5, line=2)], NearTruth(), who="ann")
    assert ([one.fate for one in done], to_feed) == ([Fate.CONTRADICTS], [])
    assert done[0].words == "the truth stored for r1-0-1 is 6, the file says 5"
    assert attach(store, LateTruth("r1-0-1", reward=0.25))[0] == [Fate.CONTRADICTS]
    assert attach(store, LateTruth("r1-0-1", truth=6, reward=0.5))[0] == [Fate.KEPT]
    assert row(store, "r1-0-1").truth == 6
    fates, to_feed = attach(store, LateTruth("r1-0-1", truth=5.25), overwrite=True, why="the lab erred")
    assert (fates, to_feed) == ([Fate.REPLACED], [])  # a counter cannot take back what it has counted
    assert (row(store, "r1-0-1").truth, row(store, "r1-0-1").reward) == (5.25, 0.75)
    check_sums(store, "a")
    with database.connect() as connection:
        (note,) = connection.execute(sa.select(corrections)).mappings()
    assert (note["truth_before"], note["truth_after"], note["reward_before"], note["reward_after"]) == (
        6,
        5.25,
        0.5,
        0.75,
    )
    assert (note["who"], note["why"]) == ("ann", "the lab erred")


def test_what_cannot_be_attached_is_told_and_changes_nothing(store: EvidenceStore) -> None:
    new_replay(store)
    store.ledger.record([outcome(1, **BARE), outcome(2, "", **(FAILED | {"truth": None}))])
    late = (LateTruth("nobody", truth=1), LateTruth("r1-0-2", truth=1), LateTruth("r1-0-1", truth="red"))
    done, to_feed = store.ledger.attach(late, NearTruth(), who="ann")
    assert [one.fate for one in done] == [Fate.UNKNOWN, Fate.UNANSWERED, Fate.BAD] and to_feed == []
    assert "“red” is not a number" in done[2].words
    assert attach(store, LateTruth("r1-0-1", truth=1), only=("seldon", "beer"))[0] == [Fate.UNKNOWN]
    assert row(store, "r1-0-1").truth is None
    check_sums(store, "")


def test_a_dry_run_tells_and_changes_nothing(store: EvidenceStore) -> None:
    new_replay(store)
    store.ledger.record([outcome(1, **BARE)])
    before = store.ledger.blocks("seldon", "wine")
    assert attach(store, LateTruth("r1-0-1", truth=6), dry_run=True)[0] == [Fate.ATTACHED]
    assert row(store, "r1-0-1").truth is None and store.ledger.blocks("seldon", "wine") == before


def test_a_negative_reward_stays_in_the_ledger(store: EvidenceStore) -> None:
    store.ledger.record([outcome(1, replay=None, puid="p", **BARE)])
    assert attach(store, LateTruth("p", reward=-2.0)) == ([Fate.ATTACHED], [])
    assert (row(store, "p").reward, row(store, "p").status) == (-2.0, OutcomeStatus.OK)


def test_rewards_that_may_be_negative_are_not_for_the_counters(store: EvidenceStore) -> None:
    new_replay(store)
    store.ledger.record([outcome(1, **BARE)])
    _, to_feed = store.ledger.attach([LateTruth("r1-0-1", truth=6)], NearTruth(counted=False), who="ann")
    assert (to_feed, row(store, "r1-0-1").reward, row(store, "r1-0-1").status) == ([], 0.5, OutcomeStatus.OK)


def test_what_no_split_divided_earns_for_the_ledger_alone(store: EvidenceStore) -> None:
    pinned = {"segment": "pinned:a", "routed": False} | BARE
    paired_replay(store), new_replay(store, mode="pinned", predictor="a")
    hand = {"replay": None, **BARE}
    store.ledger.record(
        [
            *(paired(1, arm, **BARE) for arm in "ab"),
            outcome(1, replay=2, puid="one-arm", **pinned),
            outcome(1, puid="by-hand", **(hand | pinned)),
            outcome(1, puid="split", **hand),
        ]
    )
    late = [LateTruth(puid, reward=0.5) for puid in ("r1-0-1-a", "r1-0-1-b", "one-arm", "by-hand", "split")]
    found, to_feed = store.ledger.attach(late, NearTruth(), who="ann")
    assert [one.aside for one in found] == [(PAST_SPLIT,)] * 4 + [()]
    assert [one.puid for one in store.ledger.unfed()] == ["split"] and len(to_feed) == 1
    assert {row(store, one.puid).reward for one in late} == {0.5}
    assert row(store, "by-hand").status is OutcomeStatus.OK
    check_sums(store, "a")
    check_sums(store, "b")


def test_pairs_follow_their_rows(store: EvidenceStore) -> None:
    paired_replay(store)
    store.ledger.record([paired(n, arm, prediction=n / 50, **BARE) for n in range(250) for arm in "ab"])
    (first, *_) = store.ledger.pair_blocks("seldon", "wine")
    assert first.reward.n == first.squared_error.n == 0
    order = [f"r1-0-{n}-{arm}" for n in range(250) for arm in "ab"]
    random.Random(1).shuffle(order)
    for start in range(0, 500, 70):
        fates, to_feed = attach(store, *(LateTruth(puid, truth=3) for puid in order[start : start + 70]))
        assert set(fates) == {Fate.ATTACHED} and to_feed == []  # pairs are not for the counters
    assert check_pairs(store) == 250
    fates, _ = attach(store, *(LateTruth(puid, truth=4) for puid in order[:40]), overwrite=True)
    assert set(fates) == {Fate.REPLACED}
    check_pairs(store)
    check_sums(store, "a")
    check_sums(store, "b")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_attached_in_whatever_order_sums_stay_those_of_the_rows(store: EvidenceStore, seed: int) -> None:
    paired_replay(store)
    chance = random.Random(seed)
    rows = some_outcomes(range(200), seed, make=paired)
    for start in range(0, 400, 37):
        store.ledger.record(rows[start : start + 37])
        some = chance.sample(rows, 60)
        late = [
            LateTruth(o.puid, truth=chance.choice([None, 3, 4.5]), reward=chance.choice([None, chance.random()]))
            for o in some
        ]
        store.ledger.attach(late, Luck(chance), who="ann", overwrite=chance.random() < 0.5)
    check_pairs(store)
    check_sums(store, "a")
    check_sums(store, "b")


def test_feedback_that_arrived_is_noted_once(store: EvidenceStore) -> None:
    new_replay(store)
    store.ledger.record([outcome(n, "b", **BARE) for n in range(3)])
    store.ledger.record([outcome(3, "b", status=OutcomeStatus.FEEDBACK_FAILED, error="503")])  # of the replay itself
    _, to_feed = attach(store, *(LateTruth(f"r1-0-{n}", truth=6) for n in range(3)))
    waiting = store.ledger.unfed(ids=to_feed)
    assert [(w.puid, w.predictor, w.prediction, w.truth, w.reward) for w in waiting] == [
        (f"r1-0-{n}", "b", 5.5, 6, 0.5) for n in range(3)
    ]
    results = {to_feed[0]: "", to_feed[1]: "gone", to_feed[2]: ""}
    store.ledger.fed(results)
    store.ledger.fed(results)
    assert [row(store, f"r1-0-{n}").status for n in range(3)] == ["ok", "feedback_failed", "ok"]
    assert row(store, "r1-0-1").error == "gone"
    assert [w.puid for w in store.ledger.unfed()] == ["r1-0-1", "r1-0-3"]
    assert [w.puid for w in store.ledger.unfed(after=to_feed[1])] == ["r1-0-3"]
    assert store.ledger.unfed(only=("seldon", "beer")) == []
    check_sums(store, "b")
