"""A test whose beginning Prometheus has forgotten, will forget, or never had."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.domain import ChangeNote
from services.errors import Unavailable
from services.evidence.database import open_database
from services.metrics.retention import Kept
from services.verdict.model import Call, Light
from services.verdict.rule import Decides, LiveFrom, Rule
from tests.support.verdict_world import BOUNDED, VerdictWorld, check_of, open_world

COUNTED = Rule(reward=BOUNDED, decides=Decides.LIVE)
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
        (Rule(reward=BOUNDED, decides=Decides.PAIRED), "the paired replay, which decides, is whole"),
        (Rule(reward=BOUNDED, decides=Decides.LIVE, live_from=LiveFrom.LEDGER), "rewards are read from the ledger"),
    ],
)
def test_where_the_counters_do_not_decide_it_is_amber(tmp_path: Path, rule: Rule, words: str) -> None:
    world = live_test(tmp_path, rule)
    forget(world)
    found = world.assess()
    check = check_of(found, "beginning")
    assert check.light is Light.AMBER and words in check.sentence
    assert not found.blockers


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
