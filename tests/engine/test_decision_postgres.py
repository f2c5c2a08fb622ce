"""Decisions in a PostgreSQL that several machines share: no lock of one machine keeps the others from deciding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.errors import Conflict
from services.evidence.database import open_database
from services.evidence.decision_table import DOING, DONE, UNDOING
from services.evidence.store import EvidenceStore
from tests.support.decision_races import assert_one_is_taken


@pytest.fixture
def store(postgres_url: str) -> Iterator[EvidenceStore]:
    database = open_database(postgres_url)
    yield EvidenceStore(database)
    database.dispose()


def test_of_decisions_taken_at_once_one_is(store: EvidenceStore) -> None:
    test = store.tests.start("seldon", "wine", {}, "a", "b", "ann")
    for _ in range(5):
        assert_one_is_taken(store, test.id)
        (made,) = store.decisions.unfinished()
        assert store.decisions.move(made.id, [DOING], state=DONE)


def test_one_is_not_taken_back_while_another_is_under_way(store: EvidenceStore) -> None:
    test = store.tests.start("seldon", "wine", {}, "a", "b", "ann")
    made = store.decisions.add(test.id, "seldon", "wine", call="keep", winner="a", who="ann", why="")
    store.decisions.move(made.id, [DOING], state=DONE)
    newer = store.decisions.add(test.id, "seldon", "wine", call="end-test", winner="", who="bob", why="")
    with pytest.raises(Conflict, match=f"decision {newer.id} by bob is not finished"):
        store.decisions.reopen(store.decisions.get(made.id), state=UNDOING)
    assert store.decisions.get(made.id).state == DONE
