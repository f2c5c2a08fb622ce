"""A split that another tool moves in a test: live traffic is weighted by it, and the check of the split knows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.deployments.history_text import NOTHING, manifest_text
from services.domain import Change, ChangeNote, Split
from services.errors import Unavailable
from services.operations import Operations
from services.outside import OutsideChanges
from services.verdict.reading import Reading
from services.verdict.rule import ABTest, Decides, Rule
from tests.support.verdict_world import BOUNDED, VerdictWorld, open_world

KEY = ("seldon", "wine")
KUBECTL = "kubectl-patch"
BEFORE, EVEN, AFTER = Split.of({"a": 80, "b": 20}), Split.of({"a": 50, "b": 50}), Split.of({"a": 20, "b": 80})
UNKNOWN = Split(())


@pytest.fixture
def world(tmp_path: Path) -> VerdictWorld:
    return open_world(tmp_path)


@pytest.fixture
def test(world: VerdictWorld) -> ABTest:
    deployed = world.engine.get(*KEY)
    assert deployed.changed_at is not None
    made = Change(deployed.changed_at, "ann", "apply", *KEY, NOTHING, manifest_text(deployed.deployment))
    world.store.record_change(made)
    begun = world.begin(Rule(reward=BOUNDED, decides=Decides.LIVE))
    world.live(ledger=False)
    return begun


def patch(world: VerdictWorld, split: Split) -> float:
    """As kubectl moves it; returns when, in unix seconds."""
    at = world.engine.set_traffic(*KEY, split, note=ChangeNote(KUBECTL, take_over=True)).changed_at
    world.engine.managers[KEY] = KUBECTL
    assert at is not None
    return at.timestamp()


def splits(world: VerdictWorld, test: ABTest) -> Sequence[tuple[float, Split]]:
    """Since when which split is taken to have been in force, as the assessment of now sees it."""
    read = Reading(world.sources, test)
    history, why = read.counters
    assert history is not None, why
    return read.intervals(history).splits


def test_its_move_is_known_at_once_and_stays_known(world: VerdictWorld, test: ABTest) -> None:
    at = patch(world, AFTER)
    assert splits(world, test) == [(0.0, BEFORE), (at, AFTER)]
    outside = OutsideChanges(world.engine, world.store)
    (change,) = [*outside.look(), *outside.look()]
    assert splits(world, test) == [(0.0, BEFORE), (change.at.timestamp(), AFTER)]
    world.engine.down = "The cluster"
    assert splits(world, test) == [(0.0, BEFORE), (change.at.timestamp(), AFTER)]


def test_after_a_move_of_ours_too(world: VerdictWorld, test: ABTest) -> None:
    Operations(world.engine, world.store).set_traffic(*KEY, EVEN, note=ChangeNote("ann"))
    ours = world.store.changes(*KEY)[0]
    at = patch(world, AFTER)
    assert splits(world, test) == [(0.0, BEFORE), (ours.at.timestamp(), EVEN), (at, AFTER)]


def test_of_the_time_of_a_move_that_nobody_saw_nothing_is_known(world: VerdictWorld, test: ABTest) -> None:
    operations = Operations(world.engine, world.store)
    operations.set_traffic(*KEY, EVEN, note=ChangeNote("ann"))
    patch(world, AFTER)
    operations.set_traffic(*KEY, BEFORE, note=ChangeNote("ann", take_over=True))
    last, first = world.store.changes(*KEY)[:2]
    assert splits(world, test) == [(0.0, BEFORE), (first.at.timestamp(), UNKNOWN), (last.at.timestamp(), BEFORE)]


def test_its_move_before_the_test_is_no_move_in_it(world: VerdictWorld) -> None:
    patch(world, AFTER)
    begun = world.begin(Rule(reward=BOUNDED, decides=Decides.LIVE))
    world.live(ledger=False)
    assert splits(world, begun) == [(0.0, AFTER)]


def test_what_is_moved_after_the_end_is_not_of_the_test(world: VerdictWorld, test: ABTest) -> None:
    Operations(world.engine, world.store).set_traffic(*KEY, EVEN, note=ChangeNote("ann"))
    ours = world.store.changes(*KEY)[0]
    ended = world.verdicts.end(test.id, note=ChangeNote("ann"))
    patch(world, AFTER)
    assert splits(world, ended) == [(0.0, BEFORE), (ours.at.timestamp(), EVEN)]


def test_an_engine_that_does_not_answer_takes_nothing_away(world: VerdictWorld, test: ABTest) -> None:
    Operations(world.engine, world.store).set_traffic(*KEY, EVEN, note=ChangeNote("ann"))
    ours = world.store.changes(*KEY)[0]
    world.engine.down = "The cluster"
    with pytest.raises(Unavailable):
        world.engine.get(*KEY)
    assert splits(world, test) == [(0.0, BEFORE), (ours.at.timestamp(), EVEN)]
    assert ours.at < datetime.now(UTC)
