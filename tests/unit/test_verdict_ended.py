"""What happens after a test has ended does not change what it found; and which tests a crooked split concerns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.domain import Split
from services.operations import Operations
from services.traffic.replay import ReplayMode, ReplaySpec
from services.verdict.model import Call, Light
from services.verdict.rule import Decides, Rule
from tests.support.verdict_world import BOUNDED, NOTE, VerdictWorld, check_of, open_world

LIVE = Rule(reward=BOUNDED, decides=Decides.LIVE)
CLEAR = 0.2


@pytest.fixture
def world(tmp_path: Path) -> VerdictWorld:
    return open_world(tmp_path)


def move(world: VerdictWorld, **shares: int) -> None:
    Operations(world.engine, world.store).set_traffic("seldon", "wine", Split.of(shares), note=NOTE)


@pytest.mark.parametrize("moved_before", [False, True])
def test_a_split_that_is_moved_after_the_end_changes_nothing(world: VerdictWorld, moved_before: bool) -> None:
    if moved_before:
        move(world, a=50, b=50)
        move(world, a=80, b=20)
    test = world.begin(LIVE)
    world.live(gain=CLEAR)
    world.verdicts.end(test.id, note=NOTE)
    then = world.verdicts.assess("seldon", "wine", test.id)
    assert (then.call, check_of(then, "split").light) == (Call.SHIP, Light.GREEN)

    move(world, a=50, b=50)
    move(world, a=20, b=80)

    now = world.verdicts.assess("seldon", "wine", test.id)
    assert now.call is then.call
    assert check_of(now, "split") == check_of(then, "split")
    assert then.live is not None and now.live is not None
    assert now.live.interval == then.live.interval


@pytest.mark.parametrize(("decides", "light"), [(Decides.PAIRED, Light.AMBER), (Decides.LIVE, Light.RED)])
def test_a_crooked_split_is_no_reason_to_distrust_pairs(world: VerdictWorld, decides: Decides, light: Light) -> None:
    move(world, a=50, b=50)  # and 800 of 1,000 rewards will be a's
    world.begin(Rule(reward=BOUNDED, decides=decides))
    world.live()
    found = world.assess()
    split = check_of(found, "split")
    assert split.light is light
    assert ("not touched by it" in split.sentence) is (decides is Decides.PAIRED)
    assert (found.call is Call.DISTRUST) is (light is Light.RED)


def test_rows_that_would_go_through_the_split_again_are_said_before(world: VerdictWorld) -> None:
    asked = ReplaySpec("seldon", "wine", "wine-quality", "quality", BOUNDED, rows=1000)
    assert world.verdicts.repeats(asked, "w", 1000) == ""
    world.begin(LIVE)
    world.live()
    said = world.verdicts.repeats(asked, "w", 1000)
    assert said.startswith("Replay 1 sent some of these rows") and "is read no more" in said
    assert world.verdicts.repeats(replace(asked, start=1000), "w", 1000) == ""
    assert world.verdicts.repeats(asked, "another file", 1000) == ""
    assert world.verdicts.repeats(replace(asked, mode=ReplayMode.PAIRED), "w", 1000) == ""
    assert "Several passes" in world.verdicts.repeats(replace(asked, passes=2), "another file", 2000)
