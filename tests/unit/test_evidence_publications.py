"""Publications in the store: progress, states, and which address stands for which model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.domain import ChangeNote
from services.errors import NotFound
from services.evidence.database import open_database
from services.evidence.publication_table import PublicationTable

ADA = ChangeNote("ada", "the new wines", take_over=True)


@pytest.fixture
def table(tmp_path: Path) -> PublicationTable:
    return PublicationTable(open_database(f"sqlite:///{tmp_path / 'decant.db'}"))


def test_an_address_stands_for_the_model_that_was_noted_last(table: PublicationTable) -> None:
    table.note_address("s3://b/x", "models:/m-1", "ada")
    table.note_address("s3://b/x", "models:/m-2", "bo", "ab", 7)
    assert table.source_of("s3://b/x") == "models:/m-2"
    assert table.source_of("s3://b/y") is None


def test_several_may_note_the_same_address_at_once(table: PublicationTable) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda who: table.note_address("s3://b/x", "models:/m-1", who), "abcdefgh")
        )  # raises what they do
    assert table.source_of("s3://b/x") == "models:/m-1"


def test_a_publication_moves_only_from_the_states_named(table: PublicationTable) -> None:
    made = table.add("seldon", "wine", "kind: x", [{"predictor": "a"}], "queued", ADA, "v1")
    assert (made.who, made.why, made.take_over, made.expected_version) == ("ada", "the new wines", True, "v1")
    assert not table.move(made.id, ["running"], state="done")
    assert table.move(made.id, ["queued", "running"], state="running", models=[{"predictor": "a", "n": 1}])
    assert table.get(made.id).models == [{"predictor": "a", "n": 1}]
    assert [r.id for r in table.in_state(["running"])] == [made.id]
    assert [r.id for r in table.recent("seldon", "wine", 5)] == [made.id]
    assert table.recent("seldon", "other", 5) == []
    with pytest.raises(NotFound):
        table.get(made.id + 1)
