"""Counters that cannot hold rewards of the rule: somebody sends another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.stats import gates
from services.stats.sums import Sums
from services.verdict.model import Call, Light
from services.verdict.rule import Decides, Rule
from tests.support.verdict_world import BOUNDED, VerdictWorld, check_of, open_world


@pytest.fixture
def world(tmp_path: Path) -> VerdictWorld:
    return open_world(tmp_path)


@pytest.mark.parametrize(("decides", "light"), [(Decides.LIVE, Light.RED), (Decides.PAIRED, Light.AMBER)])
def test_rewards_above_the_bound_are_not_this_tests(world: VerdictWorld, decides: Decides, light: Light) -> None:
    world.begin(Rule(reward=BOUNDED, decides=decides))
    for arm, n in (("a", 900), ("b", 289)):
        world.counters.count(arm, Sums.of(np.linspace(40, 80, n)))
    found = world.assess()
    check = check_of(found, "reward")
    assert check.light is light
    assert "rewards above 1: these are not rewards of this test" in check.sentence and "900 rewards" in check.sentence
    assert "begin a new test" in check.advice
    assert found.live is not None and found.live.interval is None
    assert (found.call is Call.DISTRUST) is (decides is Decides.LIVE)


def test_rewards_within_it_are(world: VerdictWorld) -> None:
    world.begin(Rule(reward=BOUNDED, decides=Decides.LIVE))
    world.live()
    assert check_of(world.assess(), "reward").light is Light.GREEN


def test_one_interval_is_enough_and_rounding_is_not() -> None:
    n = np.full(50, 20.0)
    right = np.full(50, 20.0)
    assert gates.not_ours(n, right * (1 + 1e-9), "A", bound=1.0) is None
    ahead = right.copy()
    ahead[7] += 1  # counted in the next read
    ahead[8] -= 1
    assert gates.not_ours(n, ahead, "A", bound=1.0) is None
    mixed = np.full(50, 14.0)
    mixed[30] += 59.7
    said = gates.not_ours(n, mixed, "B", bound=1.0)
    assert said is not None and "in one interval by 20 rewards that add up to 73.7" in said
    fallen = right.copy()
    fallen[3] = -5
    assert "rewards below 0" in (gates.not_ours(n, fallen, "A", bound=None) or "")
    assert gates.not_ours(n, np.full(50, 600.0), "A", bound=None) is None
