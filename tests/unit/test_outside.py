"""What other tools change is in the history once, with name and time; what Decant changes never reads as theirs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services import outside
from services.deployments.history_text import manifest_text, split_text
from services.domain import Change, ChangeNote, Deployment, DeploymentStatus, Predictor, Split
from services.errors import Unavailable
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.operations import Operations
from services.outside import OUTSIDE, OutsideChanges
from tests.support.memory_engine import MemoryEngine
from tests.support.waiting import wait_until

ANN = ChangeNote("ann", "first try")
KUBECTL = "kubectl-patch"
WINE = Deployment(
    "seldon", "wine", (Predictor("a", "models:/m-1", traffic=80), Predictor("b", "models:/m-2", traffic=20))
)
KEY = ("seldon", "wine")


class World:
    """One deployment, Decant's own changes, and another tool."""

    def __init__(self, store: EvidenceStore) -> None:
        self.engine, self.store = MemoryEngine(), store
        self.operations = Operations(self.engine, store)
        self.changes = OutsideChanges(self.engine, store)

    def patch(self, a: int) -> None:
        """Move the split as kubectl would, unseen by Decant."""
        self.engine.set_traffic(*KEY, split(a), note=ChangeNote(KUBECTL, take_over=True))
        self.engine.managers[KEY] = KUBECTL

    def move(self, a: int) -> None:
        self.operations.set_traffic(*KEY, split(a), note=ChangeNote("ann", take_over=True))

    def look(self, times: int = 2) -> list[Change]:
        return [change for _ in range(times) for change in self.changes.look()]

    @property
    def told(self) -> list[tuple[str, str, str, str]]:
        """The history without its first entry, oldest first."""
        found = self.store.changes(*KEY)[::-1]
        return [(c.who, c.what, c.before, c.after) for c in found if c.before]


def split(a: int) -> Split:
    return Split.of({"a": a, "b": 100 - a})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


@pytest.fixture
def world(store: EvidenceStore) -> World:
    world = World(store)
    world.operations.apply(WINE, note=ANN)
    world.look()
    return world


def test_a_split_that_another_tool_moved_is_told_once(world: World) -> None:
    world.patch(20)
    (change,) = world.look(5)
    assert (change.who, change.what) == (KUBECTL, OUTSIDE)
    assert (change.before, change.after) == (split_text(split(80)), split_text(split(20)))
    assert change.at == world.engine.get(*KEY).changed_at
    assert world.told == [(KUBECTL, OUTSIDE, "a=80,b=20", "a=20,b=80")]


def test_one_that_was_moved_while_nobody_looked_is_told_when_somebody_does(world: World) -> None:
    world.patch(20)
    world.changes = OutsideChanges(world.engine, world.store)
    assert [change.after for change in world.look()] == ["a=20,b=80"]


def test_each_move_is_told_in_its_order(world: World) -> None:
    world.patch(60)
    world.look()
    world.move(50)
    world.look()
    world.patch(40)
    world.look()
    assert world.told == [
        (KUBECTL, OUTSIDE, "a=80,b=20", "a=60,b=40"),
        ("ann", "split", "a=60,b=40", "a=50,b=50"),
        (KUBECTL, OUTSIDE, "a=50,b=50", "a=40,b=60"),
    ]


def test_what_decant_changes_is_not_told_again(world: World) -> None:
    world.move(50)
    world.operations.apply(replace(WINE, predictors=WINE.predictors[:1]).with_split(Split.of({"a": 100})), note=ANN)
    assert world.look(3) == []
    assert [what for _, what, _, _ in world.told] == ["split", "apply"]


def test_a_copy_that_is_a_moment_old_does_not_read_as_moved_back(world: World) -> None:
    """The first look sees kubectl's split; before the second Decant has moved it, and the copy does not know yet."""
    world.patch(60)
    world.look(1)
    stale = world.engine.get(*KEY)
    world.move(50)
    world.engine.list = lambda namespace=None: [stale]  # type: ignore[method-assign,assignment]
    assert world.look(3) == []
    assert [after for _, _, _, after in world.told] == ["a=50,b=50"]


def test_a_deployment_that_stays_as_it_is_costs_no_query(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be hundreds, looked at every two seconds."""
    world.patch(20)
    world.look()
    asked: list[object] = []
    for name in ("changes", "intended_changes"):
        monkeypatch.setattr(EvidenceStore, name, lambda *said, **more: asked.append(said) or [])
    assert world.look(3) == [] == asked


def test_a_change_that_decant_is_at_is_left_alone(world: World) -> None:
    world.patch(60)
    at = world.engine.get(*KEY).changed_at
    assert at is not None
    intent = world.store.intend_change(Change(at, "ann", "split", *KEY, "a=80,b=20", "a=60,b=40"))
    assert world.look(3) == []
    world.store.drop_change(intent.id or -1)
    assert [change.who for change in world.look()] == [KUBECTL]


def test_another_model_is_told_with_the_whole_manifest(world: World) -> None:
    changed = replace(WINE, predictors=(replace(WINE.predictors[0], model_uri="models:/m-9"), WINE.predictors[1]))
    world.engine.apply(changed, note=ChangeNote(KUBECTL, take_over=True))
    world.engine.managers[KEY] = KUBECTL
    (change,) = world.look()
    assert (change.before, change.after) == (manifest_text(WINE), manifest_text(changed))


def test_a_deployment_that_was_never_decants_begins_with_what_is_seen_first(store: EvidenceStore) -> None:
    world = World(store)
    world.engine.apply(WINE, note=ChangeNote(KUBECTL))
    world.engine.managers[KEY] = KUBECTL
    assert world.look() == []
    world.patch(30)
    assert [(change.before, change.after) for change in world.look()] == [("a=80,b=20", "a=30,b=70")]


def test_the_look_goes_on_after_whatever_goes_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.patch(20)
    stop, tries = threading.Event(), iter([Unavailable("The cluster"), KeyError("odd")])
    real = world.engine.list

    def list_() -> list[DeploymentStatus]:
        if (error := next(tries, None)) is not None:
            raise error
        return real()

    monkeypatch.setattr(outside, "LOOK_S", 0.01)
    monkeypatch.setattr(world.engine, "list", list_)
    thread = threading.Thread(target=outside.keep_looking, args=(world.changes, stop))
    thread.start()
    try:
        wait_until(lambda: world.told, what="the change to be told")
    finally:
        stop.set()
        thread.join(10)
    assert world.told == [(KUBECTL, OUTSIDE, "a=80,b=20", "a=20,b=80")]


def test_undo_takes_back_what_another_tool_did(world: World) -> None:
    world.patch(20)
    world.look()
    world.operations.undo(*KEY, note=ChangeNote("ann", take_over=True))
    assert world.engine.get(*KEY).requested == split(80)
