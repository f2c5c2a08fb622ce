"""A test whose beginning Prometheus has forgotten, will forget, or never had."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.domain import ChangeNote
from services.errors import Unavailable
from services.evidence.database import open_database
from services.metrics.retention import Kept
from services.stats.sums import Sums
from services.traffic.rewards import Reward, RewardKind
from services.verdict.model import Call, Light
from services.verdict.rule import Decides, LiveFrom, Rule
from tests.support.verdict_world import BOUNDED, VerdictWorld, check_of, open_world

COUNTED = Rule(reward=BOUNDED, decides=Decides.LIVE)
BOOKED = Rule(reward=BOUNDED, decides=Decides.LIVE, live_from=LiveFrom.LEDGER)
AGE = timedelta(days=20)


def held(since_days: float, retention: str = "15d", *, forgotten: bool = False) -> object:
    """Of a test that began 20 days ago, what is left: all but its first days."""

    def kept(start: datetime) -> Kept:
        return Kept(start, start + AGE, start + timedelta(days=since_days), retention, forgotten)

    return kept


def live_test(tmp_path: Path, rule: Rule = COUNTED, **more: object) -> VerdictWorld:
    world = open_world(tmp_path)
    world.begin(rule)
    world.live(gain=0.2, **more)  # type: ignore[arg-type]
    return world


def forget(world: VerdictWorld, *, forgotten: bool = True) -> datetime:
    """The first milliseconds of the test, which is only some old; returns since when there is something."""
    test = world.verdicts.running("seldon", "wine")
    assert test is not None
    since = test.started_at + timedelta(microseconds=1)
    world.counters.held = lambda start: Kept(start, start + AGE, since, "15d", forgotten)
    return since


def test_a_whole_test_has_six_checks_and_no_word_of_it(tmp_path: Path) -> None:
    found = live_test(tmp_path, ledger=False).assess()
    assert found.call is Call.SHIP
    assert [check.key for check in found.checks] == [
        "attribution", "split", "enough", "reward", "feedback", "environment",
    ]  # fmt: skip


def test_what_is_forgotten_forbids_a_decision_by_counters(tmp_path: Path) -> None:
    world = live_test(tmp_path, ledger=False)
    since = forget(world)
    found = world.assess()
    check = check_of(found, "beginning")
    assert (check.light, found.call) == (Light.RED, Call.DISTRUST)
    assert "it keeps samples for 15d" in check.sentence and "DECANT_PROMETHEUS_RETENTION" in check.advice
    assert check.sentence in found.blockers
    assert "What is left shrinks at its front while you look" in check.sentence
    assert found.live is not None and found.live.interval is None and "keeps samples for 15d" in found.live.withheld
    assert {start for start, _ in world.counters.asked} == {since}, "what comes first would look like growth"


def test_the_ledger_stands_beside_for_information(tmp_path: Path) -> None:
    world = live_test(tmp_path)
    forget(world)
    found = world.assess()
    assert found.call is Call.DISTRUST
    assert found.beside is not None and found.beside.interval is not None
    booked = check_of(found, "attribution")
    assert booked.light is Light.GREY and "keeps samples for 15d" in booked.sentence


def test_a_prometheus_that_came_later_is_only_less_evidence(tmp_path: Path) -> None:
    world = live_test(tmp_path, ledger=False)
    forget(world, forgotten=False)
    found = world.assess()
    check = check_of(found, "beginning")
    assert (check.light, found.call) == (Light.AMBER, Call.SHIP)
    assert "not watching then" in check.sentence and "counts from then on" in check.sentence


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(reward=BOUNDED, decides=Decides.PAIRED), "no interval any more and cannot object; the paired replay, wh"),
        (Rule(reward=BOUNDED, decides=Decides.EITHER), "the paired replay is whole, and decides alone now"),
        (BOOKED, "The split cannot be checked any more; rewards are read from the ledger"),
    ],
)
def test_where_the_counters_do_not_decide_alone_it_is_amber(tmp_path: Path, rule: Rule, words: str) -> None:
    world = live_test(tmp_path, rule)
    forget(world)
    found = world.assess()
    check = check_of(found, "beginning")
    assert check.light is Light.AMBER and words in check.sentence
    assert not found.blockers
    if rule.live_source is LiveFrom.COUNTERS:
        assert found.live is None or found.live.interval is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(reward=BOUNDED, decides=Decides.PAIRED), "Live traffic counts from then on; the paired replay, which"),
        (Rule(reward=BOUNDED, decides=Decides.EITHER), "Live traffic counts from then on."),
        (BOOKED, "The split is checked from then on; rewards are read from the ledger"),
    ],
)
def test_a_beginning_that_was_never_there_leaves_the_rest_to_count(tmp_path: Path, rule: Rule, words: str) -> None:
    world = live_test(tmp_path, rule)
    forget(world, forgotten=False)
    check = check_of(world.assess(), "beginning")
    assert check.light is Light.AMBER and words in check.sentence


@pytest.mark.parametrize("decides", [Decides.PAIRED, Decides.EITHER])
def test_a_guardrail_is_not_broken_for_certain_by_what_is_left(tmp_path: Path, decides: Decides) -> None:
    world = live_test(tmp_path, Rule(reward=BOUNDED, decides=decides), ledger=False)
    world.counters.failed = {"b": 0.3}
    forget(world, forgotten=False)
    found = world.assess()
    assert found.call is Call.KEEP and "breaks a guardrail" in found.headline
    forget(world)
    found = world.assess()
    assert found.call is Call.RUNNING
    rails = [row for row in found.table if row.limit is not None]
    assert len(rails) == (2 if decides is Decides.EITHER else 0)
    for row in rails:
        assert row.difference is None and row.in_doubt and "it keeps samples for 15d" in row.note


@pytest.mark.parametrize("rule", [Rule(reward=BOUNDED, decides=Decides.PAIRED), BOOKED])
def test_what_is_left_tests_neither_the_split_nor_the_feedback(tmp_path: Path, rule: Rule) -> None:
    world = live_test(tmp_path, rule)
    world.counters.count("b", Sums.of(np.full(400, 0.4)))  # 600 of 1,400 where a fifth was asked for
    world.counters.unanswered = {"b": 0.5}
    forget(world, forgotten=False)
    red = {check.key for check in world.assess().checks if check.light is Light.RED}
    assert red == ({"feedback"} if rule.decides is Decides.PAIRED else {"split", "feedback"})
    forget(world)
    found = world.assess()
    assert not found.blockers
    split, feedback = check_of(found, "split"), check_of(found, "feedback")
    assert split.light is feedback.light is Light.GREY
    assert "cannot be checked any more" in split.sentence and "it keeps samples for 15d" in split.sentence
    assert "it keeps samples for 15d" in feedback.sentence


def test_one_interval_that_outweighs_what_is_left_is_no_tail(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.begin(Rule(reward=Reward(RewardKind.FORMULA, expression="1 / abs(y - y_pred)"), decides=Decides.PAIRED))
    world.live(gain=0.2, ledger=False)
    world.counters.lump = 0.5
    forget(world, forgotten=False)
    assert "one interval holds" in check_of(world.assess(), "reward").sentence
    forget(world)
    assert not world.assess().blockers


def test_where_nobody_can_tell_it_is_amber_and_forbids_nothing(tmp_path: Path) -> None:
    world = live_test(tmp_path, ledger=False)
    world.counters.held = lambda start: Kept(start, start + AGE, start, untold=True)
    found = world.assess()
    check = check_of(found, "beginning")
    assert (check.light, found.call) == (Light.AMBER, Call.SHIP)
    assert "cannot be told" in check.sentence and "`up`" in check.advice


def test_a_test_without_live_traffic_does_not_care(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.begin(Rule(reward=BOUNDED, decides=Decides.PAIRED))
    forget(world)
    assert "beginning" not in [check.key for check in world.assess().checks]


def test_an_ended_test_of_which_nothing_is_left_has_no_counters(tmp_path: Path) -> None:
    world = live_test(tmp_path, ledger=False)
    test = world.verdicts.running("seldon", "wine")
    assert test is not None
    world.verdicts.end(test.id, note=ChangeNote("ann"))
    world.counters.held = held(5, forgotten=True)  # type: ignore[assignment]
    found = world.assess()
    check = check_of(found, "beginning")
    assert check.light is Light.RED and "report of a decision" in check.advice
    assert found.live is not None and found.live.n == 0 and "no samples of this test" in found.live.withheld
    assert check_of(found, "split").light is Light.GREY
    assert world.counters.asked == []


def test_it_is_said_before_it_happens_and_only_while_the_test_runs(tmp_path: Path) -> None:
    world = live_test(tmp_path, ledger=False)
    world.counters.held = held(0, "25d")  # type: ignore[assignment]
    check = check_of(world.assess(), "beginning")
    assert check.light is Light.AMBER and "will outlast Prometheus' retention of 25d on" in check.sentence
    assert "before then" in check.advice
    world.counters.held = held(0, "90d")  # type: ignore[assignment]
    assert "beginning" not in [check.key for check in world.assess().checks]
    world.counters.held = held(0, "25d")  # type: ignore[assignment]
    test = world.verdicts.running("seldon", "wine")
    assert test is not None
    world.verdicts.end(test.id, note=ChangeNote("ann"))
    assert "beginning" not in [check.key for check in world.assess().checks]


def test_which_beginning_the_check_of_the_metrics_looks_for(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    assert world.verdicts.counted_since("seldon", "wine") is None
    assert world.begin(COUNTED).started_at == world.verdicts.counted_since("seldon", "wine")
    for rule in (Rule(reward=BOUNDED), Rule(reward=BOUNDED, decides=Decides.LIVE, live_from=LiveFrom.LEDGER)):
        world.begin(rule)
        assert world.verdicts.counted_since("seldon", "wine") is None


def test_the_check_of_the_metrics_does_without_the_store(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.begin(COUNTED)
    database = open_database(f"sqlite:///{tmp_path / 'decant.db'}")
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE ab_tests RENAME TO elsewhere")
    database.dispose()
    with pytest.raises(Unavailable):
        world.verdicts.running("seldon", "wine")
    assert world.verdicts.counted_since("seldon", "wine") is None
