"""Operations: what was done is in the history, what was not is not, and undo never overwrites somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services import operations as operations_module
from services.deployments.history_text import manifest_text, read_split, split_text
from services.deployments.identity import EngineIdentity
from services.deployments.local import LocalEngine
from services.domain import Change, ChangeNote, Deployment, Predictor, Split
from services.errors import Conflict, InvalidDeployment, NotFound, Unavailable
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.operations import Operations
from services.settings import Settings
from tests.support.memory_engine import MemoryEngine

ANN = ChangeNote("ann", "first try")
BOB = ChangeNote("bob")
WINE = Deployment(
    "seldon", "wine", (Predictor("a", "models:/m-1", traffic=80), Predictor("b", "models:/m-2", traffic=20))
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield database
    database.dispose()


@pytest.fixture
def store(database: sa.Engine) -> EvidenceStore:
    return EvidenceStore(database)


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def operations(engine: MemoryEngine, store: EvidenceStore) -> Operations:
    return Operations(engine, store)


def split(a: int) -> Split:
    return Split.of({"a": a, "b": 100 - a})


def test_every_change_is_recorded_with_enough_to_undo_it(operations: Operations) -> None:
    operations.apply(WINE, note=ANN)
    operations.set_traffic("seldon", "wine", split(50), note=BOB)
    operations.delete("seldon", "wine", note=ANN)

    newest, middle, oldest = operations.history("seldon", "wine")
    assert [c.what for c in (oldest, middle, newest)] == ["apply", "split", "delete"]
    assert (oldest.before, oldest.after, oldest.who, oldest.why) == ("", manifest_text(WINE), "ann", "first try")
    assert (middle.before, middle.after, middle.who) == ("a=80,b=20", "a=50,b=50", "bob")
    assert (newest.before, newest.after) == (manifest_text(WINE.with_split(split(50))), "")
    assert oldest.at <= middle.at <= newest.at


def test_more_time_to_start_is_a_change_like_any_other(operations: Operations, engine: MemoryEngine) -> None:
    operations.apply(WINE, note=ANN)
    operations.give_time("seldon", "wine", "b", 600, note=BOB)
    given = engine.get("seldon", "wine").deployment
    assert [p.start_budget_s for p in given.predictors] == [None, 600]
    assert replace(given.predictor("b"), start_budget_s=None) == WINE.predictor("b")
    newest = operations.history("seldon", "wine")[0]
    assert (newest.what, newest.who, newest.why) == ("apply", "bob", "b may take 600 s to start")
    operations.undo("seldon", "wine", note=ANN)
    assert engine.get("seldon", "wine").deployment.predictor("b").start_budget_s is None
    with pytest.raises(NotFound, match="a, b"):
        operations.give_time("seldon", "wine", "c", 600, note=BOB)


def test_undo_of_a_split_and_undo_of_the_undo(operations: Operations, engine: MemoryEngine) -> None:
    operations.apply(WINE, note=ANN)
    operations.set_traffic("seldon", "wine", split(50), note=ANN)

    undone = operations.undo("seldon", "wine", note=BOB)
    assert (undone.what, undone.before, undone.after, undone.who) == ("undo", "a=50,b=50", "a=80,b=20", "bob")
    assert undone.why == "undo of split by ann"
    assert engine.get("seldon", "wine").requested == split(80)

    operations.undo("seldon", "wine", note=BOB)
    assert engine.get("seldon", "wine").requested == split(50)
    assert len(operations.history("seldon", "wine")) == 4


def test_undo_of_the_first_apply_removes_and_undoing_that_brings_it_back(
    operations: Operations, engine: MemoryEngine
) -> None:
    operations.apply(WINE, note=ANN)
    operations.undo("seldon", "wine", note=ANN)
    assert engine.list() == []

    operations.undo("seldon", "wine", note=ANN)
    assert manifest_text(engine.get("seldon", "wine").deployment) == manifest_text(WINE)


def test_undo_of_a_model_change_and_of_a_delete(operations: Operations, engine: MemoryEngine) -> None:
    operations.apply(WINE, note=ANN)
    newer = replace(WINE, predictors=(WINE.predictors[0], replace(WINE.predictors[1], model_uri="models:/m-3")))
    operations.apply(newer, note=ANN)
    operations.undo("seldon", "wine", note=ANN)
    assert engine.get("seldon", "wine").deployment.predictor("b").model_uri == "models:/m-2"

    operations.delete("seldon", "wine", note=ANN)
    operations.undo("seldon", "wine", note=ANN)
    assert engine.get("seldon", "wine").deployment.predictor("b").model_uri == "models:/m-2"


def test_undo_refuses_to_overwrite_a_change_made_by_other_means(operations: Operations, engine: MemoryEngine) -> None:
    operations.apply(WINE, note=ANN)
    operations.set_traffic("seldon", "wine", split(50), note=ANN)
    engine.set_traffic("seldon", "wine", split(10), note=ChangeNote("kubectl"))

    with pytest.raises(Conflict, match="kubectl"):
        operations.undo("seldon", "wine", note=ANN)
    assert engine.get("seldon", "wine").requested == split(10)
    assert len(operations.history("seldon", "wine")) == 2


def test_undo_of_a_split_leaves_a_foreign_model_change_alone(operations: Operations, engine: MemoryEngine) -> None:
    operations.apply(WINE, note=ANN)
    status = operations.set_traffic("seldon", "wine", split(50), note=ANN)
    a, b = status.deployment.predictors
    foreign = replace(status.deployment, predictors=(a, replace(b, model_uri="models:/m-9")))
    engine.apply(foreign, note=BOB)

    operations.undo("seldon", "wine", note=ANN)
    now = engine.get("seldon", "wine")
    assert now.requested == split(80)
    assert now.deployment.predictor("b").model_uri == "models:/m-9"


def test_undo_without_history(operations: Operations) -> None:
    with pytest.raises(NotFound):
        operations.undo("seldon", "wine", note=ANN)


def test_a_refused_change_is_not_in_the_history(operations: Operations, store: EvidenceStore) -> None:
    status = operations.apply(WINE, note=ANN)
    operations.set_traffic("seldon", "wine", split(50), note=BOB)

    with pytest.raises(Conflict, match="bob"):
        operations.set_traffic("seldon", "wine", split(10), note=ANN, expected_version=status.version)
    with pytest.raises(Conflict):
        operations.apply(WINE, note=ANN, expected_version="")
    with pytest.raises(InvalidDeployment):
        operations.set_traffic("seldon", "wine", Split.of({"a": 60, "b": 60}), note=ANN)
    with pytest.raises(NotFound):
        operations.delete("seldon", "beer", note=ANN)

    assert [c.what for c in store.changes()] == ["split", "apply"]
    assert store.intended_changes("seldon", "wine") == []


def test_a_change_that_changes_nothing_is_no_history(operations: Operations) -> None:
    operations.apply(WINE, note=ANN)
    operations.apply(WINE, note=BOB)
    operations.set_traffic("seldon", "wine", split(80), note=BOB)
    assert [c.who for c in operations.history("seldon", "wine")] == ["ann"]


def test_a_split_that_the_gateway_has_not_confirmed_is_recorded_since_it_will_come(
    operations: Operations, engine: MemoryEngine
) -> None:
    operations.apply(WINE, note=ANN)
    engine.silent_gateway = True
    with pytest.raises(Unavailable):
        operations.set_traffic("seldon", "wine", split(50), note=BOB)
    assert [c.what for c in operations.history("seldon", "wine")] == ["split", "apply"]


def test_a_change_without_an_engine_is_not_recorded(operations: Operations, engine: MemoryEngine) -> None:
    operations.apply(WINE, note=ANN)
    engine.down = "The engine"
    with pytest.raises(Unavailable):
        operations.set_traffic("seldon", "wine", split(50), note=BOB)
    engine.down = ""
    assert [c.what for c in operations.history("seldon", "wine")] == ["apply"]


def intent(before: str, after: str, age: timedelta = timedelta()) -> Change:
    return Change(datetime.now(UTC) - age, "ann", "split", "seldon", "wine", before, after)


def test_an_intent_whose_change_happened_before_a_crash_enters_the_history(
    operations: Operations, engine: MemoryEngine, store: EvidenceStore
) -> None:
    operations.apply(WINE, note=ANN)
    store.intend_change(intent("a=80,b=20", "a=30,b=70"))
    engine.set_traffic("seldon", "wine", split(30), note=ANN)  # and then the process died

    assert operations.history("seldon", "wine")[0].after == "a=30,b=70"
    operations.undo("seldon", "wine", note=BOB)
    assert engine.get("seldon", "wine").requested == split(80)


def test_an_intent_that_never_happened_is_kept_while_young_and_never_shown(
    operations: Operations, store: EvidenceStore
) -> None:
    operations.apply(WINE, note=ANN)
    store.intend_change(intent("a=80,b=20", "a=30,b=70"))
    store.intend_change(intent("a=80,b=20", "a=31,b=69", timedelta(hours=1)))

    assert [c.what for c in operations.history("seldon", "wine")] == ["apply"]
    assert [c.after for c in store.intended_changes("seldon", "wine")] == ["a=30,b=70"]


def test_a_change_tried_again_after_a_crash_is_told_once(operations: Operations, store: EvidenceStore) -> None:
    operations.apply(WINE, note=ANN)
    store.intend_change(intent("a=80,b=20", "a=30,b=70"))  # died before doing it
    operations.set_traffic("seldon", "wine", split(30), note=ANN)
    assert [c.what for c in operations.history("seldon", "wine")] == ["split", "apply"]


class Killed(BaseException):
    """The process was killed."""


class Mortal(MemoryEngine):
    """Its process is killed right before or right after the next move of a split."""

    dies = ""

    def set_traffic(self, *args: Any, **more: Any) -> Any:
        if self.dies == "before":
            raise Killed
        status = super().set_traffic(*args, **more)
        if self.dies == "after":
            raise Killed
        return status


@pytest.fixture
def two(store: EvidenceStore) -> tuple[Mortal, Operations, MemoryEngine, Operations]:
    """Two engines over one store, as after a change of DECANT_ENGINE, each with a deployment of the same name."""
    first, second = Mortal(), MemoryEngine()
    here = Operations(first, store, lambda: EngineIdentity("local/1", "the local engine"))
    there = Operations(second, store, lambda: EngineIdentity("kubernetes/2", "a cluster"))
    here.apply(WINE, note=ANN)
    there.apply(WINE, note=BOB)
    return first, here, second, there


def test_what_happened_on_one_engine_is_not_forgotten_because_another_does_not_show_it(
    two: tuple[Mortal, Operations, MemoryEngine, Operations], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, here, _, there = two
    monkeypatch.setattr(operations_module, "INTENT_MAX_AGE", timedelta())
    first.dies = "after"
    with pytest.raises(Killed):
        here.set_traffic("seldon", "wine", split(30), note=ANN)
    assert [c.what for c in there.history("seldon", "wine")] == ["apply", "apply"]
    assert here.history("seldon", "wine")[0].after == "a=30,b=70"


def test_what_did_not_happen_on_one_engine_is_not_told_because_it_is_so_on_another(
    two: tuple[Mortal, Operations, MemoryEngine, Operations], store: EvidenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, here, second, there = two
    first.dies = "before"
    with pytest.raises(Killed):
        here.set_traffic("seldon", "wine", split(30), note=ANN)
    second.set_traffic("seldon", "wine", split(30), note=BOB)  # by other means than Decant's
    assert [c.what for c in there.history("seldon", "wine")] == ["apply", "apply"]
    monkeypatch.setattr(operations_module, "INTENT_MAX_AGE", timedelta())
    assert [c.what for c in here.history("seldon", "wine")] == ["apply", "apply"]
    assert store.intended_changes("seldon", "wine") == []


def test_the_same_change_on_another_engine_does_not_stand_for_it(
    two: tuple[Mortal, Operations, MemoryEngine, Operations],
) -> None:
    first, here, _, there = two
    first.dies = "after"
    with pytest.raises(Killed):
        here.set_traffic("seldon", "wine", split(30), note=ANN)
    there.set_traffic("seldon", "wine", split(30), note=BOB)
    assert sorted((c.what, c.who) for c in here.history("seldon", "wine") if c.what == "split") == [
        ("split", "ann"),
        ("split", "bob"),
    ]


def test_while_nobody_can_say_which_engine_it_is_intents_wait(
    engine: MemoryEngine, store: EvidenceStore, operations: Operations
) -> None:
    operations.apply(WINE, note=ANN)
    store.intend_change(intent("a=80,b=20", "a=31,b=69", timedelta(hours=1)), "kubernetes/2")

    def silent() -> EngineIdentity:
        raise Unavailable("The Kubernetes API")

    unsure = Operations(engine, store, silent)
    assert [c.what for c in unsure.history("seldon", "wine")] == ["apply"]
    assert len(store.intended_changes("seldon", "wine")) == 1
    with pytest.raises(Unavailable):
        unsure.set_traffic("seldon", "wine", split(30), note=ANN)
    assert engine.get("seldon", "wine").requested == split(80)


def test_split_text_there_and_back() -> None:
    assert split_text(split(80)) == "a=80,b=20"
    assert read_split("a=80,b=20") == split(80)
    assert read_split(manifest_text(WINE)) is None
    assert read_split("") is None


class Stumbling(EvidenceStore):
    """A store that does not answer when the first change is to be confirmed."""

    stumbled = False

    def confirm_change(self, change: Change) -> Change:
        if not self.stumbled:
            self.stumbled = True
            raise Unavailable("The evidence store")
        return super().confirm_change(change)


def test_an_engine_that_stamps_what_it_writes_is_still_recognised(tmp_path: Path, database: sa.Engine) -> None:
    """The local engine adds who, when and a nonce to each manifest: equal deployments never have equal files."""
    operations = Operations(LocalEngine(Settings(state_dir=tmp_path)), Stumbling(database))
    operations.apply(WINE, note=ANN)
    (entry,) = operations.history("seldon", "wine")
    assert (entry.what, entry.who, entry.after) == ("apply", "ann", manifest_text(WINE))

    operations.apply(WINE, note=BOB)
    assert operations.history("seldon", "wine") == [entry], "nothing changed, so there is nothing to tell"
    assert operations.undo("seldon", "wine", note=BOB).after == ""
