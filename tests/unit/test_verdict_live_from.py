"""Where live traffic is read is fixed with the rule: the other place is shown and names no winner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.verdict_tests import LIVE_FROM
from app.components.verdict_evidence import footnote
from services.errors import InvalidInput
from services.traffic.rewards import Reward
from services.verdict import words
from services.verdict.model import Assessment, Call, Light
from services.verdict.report import render_report
from services.verdict.rule import Decides, LiveFrom, Rule, assumed, usual_live_from
from tests.support.verdict_world import BOUNDED, NEGATIVE, VerdictWorld, check_of, open_world

LIVE = Rule(reward=BOUNDED, decides=Decides.LIVE)
CLEAR = 0.2


@pytest.fixture
def world(tmp_path: Path) -> VerdictWorld:
    return open_world(tmp_path)


def test_the_counters_name_the_winner_where_rewards_reach_them(world: VerdictWorld) -> None:
    assert world.begin(LIVE).rule.live_from is LiveFrom.COUNTERS
    world.live(gain=CLEAR)
    found = world.assess()
    assert found.live is not None and found.live.read_from is LiveFrom.COUNTERS
    assert found.call is Call.SHIP and found.beside is None
    interval, welch = found.live.interval, found.live.welch
    assert interval is not None and welch is not None, "the classical one stands beside it, from the same counters"
    assert welch.estimate == pytest.approx(CLEAR, abs=0.02)
    assert interval.low < welch.low < welch.high < interval.high
    assert found.live.detectable is not None and 0 < found.live.detectable < CLEAR
    assert "would be seen by now" in words.visible(found.live) and words.visible(found.live) in footnote(found.live)
    assert "would be seen by now" in render_report(found)


def unread(world: VerdictWorld) -> Assessment:
    world.begin(LIVE)
    world.live(gain=CLEAR)
    world.counters.down = True
    return world.assess()


def test_without_the_counters_the_ledger_is_shown_and_names_no_winner(world: VerdictWorld) -> None:
    found = unread(world)
    assert found.beside is not None and found.beside.interval is not None and found.beside.interval.excludes_zero
    assert found.call is Call.RUNNING
    assert "reads live traffic from the arms’ counters" in found.headline and "Prometheus" in found.headline
    assert found.deciding is None or found.deciding.interval is None
    assert check_of(found, "enough").light is Light.AMBER
    assert [row.difference for row in found.table if row.primary] == [None]
    said = words.beside(found)
    assert "For information only" in said and "by the ledger" in said and "names no winner" in said
    assert said.split(":")[0] in render_report(found)

    world.counters.down = False
    assert world.assess().call is Call.SHIP


def test_the_place_beside_cannot_object_either(world: VerdictWorld) -> None:
    """A ledger that says the opposite of the counters, while these have too few intervals."""
    world.begin(LIVE)
    world.live(gain=-CLEAR, counters=False)
    world.live(gain=CLEAR, ledger=False)
    world.counters.intervals = 10
    found = world.assess()
    assert found.call is Call.RUNNING and "intervals" in found.headline
    assert found.beside is not None and found.beside.interval is not None and found.beside.interval.high < 0
    world.counters.intervals = 60
    assert world.assess().call is Call.SHIP


def test_a_test_that_reads_the_ledger_does_not_hear_the_counters(world: VerdictWorld) -> None:
    world.begin(replace(LIVE, live_from=LiveFrom.LEDGER))
    world.live(gain=CLEAR, ledger=False)
    found = world.assess()
    assert found.call is Call.RUNNING
    assert found.live is not None and "the ledger. The ledger holds no reward" in found.live.withheld
    assert found.beside is not None and found.beside.read_from is LiveFrom.COUNTERS
    world.live(gain=0.0, counters=False)
    found = world.assess()
    assert found.live is not None and found.live.read_from is LiveFrom.LEDGER
    assert found.call is Call.RUNNING and found.beside is None


def test_rewards_that_reach_no_counter_are_read_from_the_ledger(world: VerdictWorld) -> None:
    assert world.begin(Rule(reward=NEGATIVE, decides=Decides.LIVE)).rule.live_from is LiveFrom.LEDGER
    with pytest.raises(InvalidInput, match="counters only grow"):
        world.begin(Rule(reward=NEGATIVE, live_from=LiveFrom.COUNTERS))
    world.live(NEGATIVE, gain=CLEAR, counters=False)
    assert world.assess().call is Call.SHIP


def test_so_is_what_the_v2_protocol_serves(world: VerdictWorld) -> None:
    world.deploy("v2")
    assert world.verdicts.propose("seldon", "wine").live_from is LiveFrom.LEDGER
    assert world.begin(LIVE).rule.live_from is LiveFrom.LEDGER
    with pytest.raises(InvalidInput, match="V2 protocol"):
        world.begin(replace(LIVE, live_from=LiveFrom.COUNTERS))


def test_the_place_is_stored_with_the_rule() -> None:
    for place in LiveFrom:
        assert Rule.from_json(Rule(live_from=place).to_json()).live_from is place
    assert set(LIVE_FROM) == {str(place) for place in LiveFrom}


@pytest.mark.parametrize(("reward", "place"), [(BOUNDED, "the arms’ counters"), (NEGATIVE, "the ledger")])
def test_an_older_rule_is_read_by_the_default_and_that_is_said(reward: Reward, place: str) -> None:
    stored = Rule(reward=reward).to_json()
    del stored["live_from"]
    assert Rule.from_json(stored).live_from is usual_live_from(reward)
    (said,) = assumed(stored)
    assert f"read from {place}, and from nothing else" in said
    assert assumed(Rule(reward=reward, live_from=usual_live_from(reward)).to_json()) == ()


def test_a_rule_from_before_deciding_sources_says_how_it_is_read(world: VerdictWorld) -> None:
    stored = LIVE.to_json()
    del stored["decides"], stored["live_from"]
    world.store.tests.start("seldon", "wine", stored, "models:/m-a", "models:/m-b", "ann", "long ago")
    found = world.assess()
    assert found.test.rule.decides is Decides.EITHER
    first, second = found.test.read_as
    assert "before Decant knew deciding sources" in first and "each at half of alpha" in first
    assert "arms’ counters" in second
    assert first in render_report(found)


def test_a_replay_under_another_reward_is_told_that_it_will_not_count(world: VerdictWorld) -> None:
    assert world.verdicts.unlike("seldon", "wine", NEGATIVE, live=True) == "", "no test runs"
    test = world.begin(LIVE)
    other = replace(BOUNDED, scale=0.75)
    assert world.verdicts.unlike("seldon", "wine", BOUNDED, live=True) == ""
    said = world.verdicts.unlike("seldon", "wine", other, live=True)
    assert said.startswith(f"Test {test.id} goes by {BOUNDED.formula}") and "counters" in said
    assert "counters" not in world.verdicts.unlike("seldon", "wine", other, live=False)
    assert "counters" not in world.verdicts.unlike("seldon", "wine", NEGATIVE, live=True), "none of it is sent"
