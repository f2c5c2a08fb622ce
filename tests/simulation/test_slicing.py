"""The quick form: parts are named as losses no oftener than promised, and found where they are."""

from __future__ import annotations

import pytest

from services.stats.slices import Q
from tests.simulation.slicing import BETTER, EQUAL, ONE_EQUAL, ONE_WORSE, WORSE, World, name_parts

RUNS = 400


@pytest.mark.parametrize("world", [EQUAL, ONE_EQUAL, BETTER], ids=lambda world: world.name)
def test_no_loss_is_named_where_there_is_none(world: World) -> None:
    assert name_parts(world, runs=RUNS, seed=1).loss.at_least <= Q


def test_no_gain_is_named_where_there_is_none() -> None:
    for world in (EQUAL, WORSE):
        assert name_parts(world, runs=RUNS, seed=2).gain.at_least <= Q


def test_losses_are_found() -> None:
    everywhere = name_parts(WORSE, runs=RUNS, seed=3)
    assert everywhere.loss.at_least > 0.95
    assert everywhere.apart.at_least <= Q, "worse everywhere alike: nothing stands out"
    assert name_parts(ONE_WORSE, runs=RUNS, seed=4).planted.at_least > 0.9
