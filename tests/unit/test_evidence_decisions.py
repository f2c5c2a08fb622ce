"""Tests and decisions in the store: one test runs per deployment, and a decision moves only from where it was."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.decisions.model import State
from services.errors import Conflict, NotFound
from services.evidence.database import open_database
from services.evidence.decision_table import DOING, DONE, UNDOING, UNFINISHED
from services.evidence.store import EvidenceStore
from tests.support.decision_races import assert_one_is_taken


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


def test_a_test_ends_the_one_that_ran(store: EvidenceStore) -> None:
    assert store.tests.running("seldon", "wine") is None
    first = store.tests.start("seldon", "wine", {"alpha": 0.05}, "m:/1", "m:/2", "ann", "why not")
    beer = store.tests.start("seldon", "beer", {}, "m:/1", "m:/2", "bob")
    assert store.tests.running("seldon", "wine") == first
    assert (first.rule, first.model_b, first.why, first.ended_at) == ({"alpha": 0.05}, "m:/2", "why not", None)
    second = store.tests.start("seldon", "wine", {}, "m:/1", "m:/3", "ann")
    ended = store.tests.get(first.id)
    assert ended.ended_at == second.started_at and "another test" in ended.ended_why
    assert store.tests.recent("seldon", "wine") == [second, ended]
    assert store.tests.recent() == [second, beer, ended]
    assert store.tests.end(second.id, "promoted b") and not store.tests.end(second.id, "again")
    assert store.tests.get(second.id).ended_why == "promoted b"
    assert store.tests.running("seldon", "wine") is None
    with pytest.raises(NotFound):
        store.tests.get(99)


def test_of_tests_started_at_once_one_runs(store: EvidenceStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.tests.start("seldon", "wine", {"n": n}, "a", "b", "ann"), range(16)))
    recent = store.tests.recent("seldon", "wine", limit=100)
    assert len(recent) == 16 and [test.ended_at for test in recent].count(None) == 1


def test_a_decision_moves_from_state_to_state(store: EvidenceStore) -> None:
    test = store.tests.start("seldon", "wine", {}, "a", "b", "ann")
    made = store.decisions.add(
        test.id, "seldon", "wine", call="promote", winner="b", who="ann", why="better", steps=["deploy"],
        evidence={"n": 400}, override=True,
    )  # fmt: skip
    assert (made.state, made.steps, made.evidence, made.override) == (DOING, ["deploy"], {"n": 400}, True)
    assert store.decisions.unfinished() == [made] == store.decisions.recent("seldon", "wine")
    assert store.decisions.move(made.id, [DOING], steps=[{"deploy": "done"}], report="r.html")
    assert not store.decisions.move(made.id, [UNDOING], state=DONE)
    now = datetime.now(UTC)
    assert store.decisions.move(made.id, [DOING], state=DONE, finished_at=now)
    done = store.decisions.get(made.id)
    assert (done.state, done.steps, done.report, done.finished_at) == (DONE, [{"deploy": "done"}], "r.html", now)
    assert store.decisions.unfinished() == []
    assert store.decisions.move(made.id, [DONE], state=UNDOING)
    assert [one.id for one in store.decisions.unfinished()] == [made.id]
    assert store.decisions.recent("seldon", "beer") == []
    with pytest.raises(NotFound):
        store.decisions.get(99)


def test_of_decisions_taken_at_once_one_is(store: EvidenceStore) -> None:
    test = store.tests.start("seldon", "wine", {}, "a", "b", "ann")
    other = store.tests.start("seldon", "beer", {}, "a", "b", "ann")
    assert_one_is_taken(store, test.id)
    (made,) = store.decisions.unfinished()
    beer = store.decisions.add(other.id, "seldon", "beer", call="end-test", winner="", who="ann", why="")
    with pytest.raises(Conflict, match=f"decision {made.id} by ann is not finished"):
        store.decisions.add(test.id, "seldon", "wine", call="keep", winner="a", who="bob", why="")
    store.decisions.move(made.id, [DOING], state=DONE)
    newer = store.decisions.add(test.id, "seldon", "wine", call="keep", winner="a", who="bob", why="")
    with pytest.raises(Conflict, match=f"decision {newer.id} by bob"):
        store.decisions.reopen(store.decisions.get(made.id), state=UNDOING)
    store.decisions.move(newer.id, [DOING], state=DONE)
    assert store.decisions.reopen(store.decisions.get(made.id), state=UNDOING)
    assert [one.id for one in store.decisions.unfinished()] == [made.id, beer.id]


def test_whoever_carries_decisions_out_knows_every_state_that_is_left_unfinished() -> None:
    assert set(UNFINISHED) == {state.value for state in State if not state.final}
