"""Guardrails of a test that reads live traffic from the counters: every client's requests, or their doubt in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.domain import Change
from services.verdict import moves, words
from services.verdict.ledger_side import ArmSums
from services.verdict.model import Assessment, Call, Interval, MetricRow, Strand
from services.verdict.rule import Decides, LiveFrom, Rule, Source
from services.verdict.table import metric_rows
from tests.support.verdict_world import BOUNDED, VerdictWorld, open_world

LIVE = Rule(reward=BOUNDED, decides=Decides.LIVE)
CLEAR = 0.2


@pytest.fixture
def world(tmp_path: Path) -> VerdictWorld:
    made = open_world(tmp_path)
    made.begin(LIVE)
    return made


def row_of(found: Assessment, key: str) -> MetricRow:
    (row,) = [row for row in found.table if row.key == key and row.source is Source.LIVE]
    return row


def by_clients(world: VerdictWorld) -> Assessment:
    """A clear lead in rewards that only clients sent: the ledger has nothing."""
    world.live(gain=CLEAR, ledger=False)
    return world.assess()


def test_requests_of_clients_have_their_rows(world: VerdictWorld) -> None:
    found = by_clients(world)
    assert found.call is Call.SHIP
    failed, slow = row_of(found, "errors"), row_of(found, "slow")
    assert (failed.limit, slow.limit) == (0.01, 0.05)
    for row in (failed, slow):
        assert (row.a.n, row.b.n) == (800, 200)
        assert row.difference is not None and row.difference.low < 0 < row.difference.high
    assert row_of(found, "p95").a.n == 800
    assert "No harm seen" in found.fired and "not ruled out" in found.fired


def test_b_that_fails_for_clients_is_not_shipped(world: VerdictWorld) -> None:
    world.counters.failed = {"b": 0.3}
    found = by_clients(world)
    assert found.call is Call.KEEP and "breaks a guardrail" in found.headline and "failed predictions" in found.headline
    assert row_of(found, "errors").b.value == pytest.approx(0.3)


def test_b_that_is_slow_for_clients_is_not_shipped(world: VerdictWorld) -> None:
    world.counters.slow = {"a": 0.01, "b": 0.08}
    found = by_clients(world)
    assert found.call is Call.RUNNING and "slower than 100 ms" in found.headline


def test_what_the_counters_do_not_hold_is_in_doubt_in_words(world: VerdictWorld) -> None:
    world.counters.answering = False
    found = by_clients(world)
    assert found.call is Call.RUNNING
    assert "whether it keeps the limit on “Slower than 100 ms” cannot be told" in found.headline
    row = row_of(found, "errors")
    assert row.difference is None and row.in_doubt
    assert "the limit is in doubt: the counters hold no" in words.finding(row, words.ArmNames("A", "B"))


def test_what_decant_sent_shows_harm_but_does_not_lift_the_doubt(world: VerdictWorld) -> None:
    world.counters.answering = False
    world.live(gain=CLEAR)
    found = world.assess()
    assert row_of(found, "errors").a.n == 800 and "only what Decant itself sent" in row_of(found, "errors").note
    assert found.call is Call.RUNNING and "cannot be told" in found.headline


def test_without_prometheus_the_rails_say_so(world: VerdictWorld) -> None:
    world.counters.down = True
    found = world.assess()
    assert "nothing listens there" in row_of(found, "errors").note
    assert row_of(found, "slow").in_doubt


def test_a_paired_test_is_not_held_up_by_live_counters(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.begin(Rule(reward=BOUNDED))
    world.counters.down = True
    assert [row for row in world.assess().table if row.limit is not None] == []


def test_a_difference_that_is_not_that_of_the_means_says_so() -> None:
    """A .7096, B .71 and yet −.00561: adjusted for the split, and not to be read as a slip."""
    strand = Strand(
        Source.LIVE, 1189, 950, 239, Interval(-0.00561, -0.05, 0.04, 0.95), mean_a=0.7096, mean_b=0.71,
        read_from=LiveFrom.COUNTERS,
    )  # fmt: skip
    (row,) = metric_rows(Rule(), None, (), (ArmSums(), ArmSums()), [strand])
    assert "weighted by the split in force: the plain difference of the means would be +0.0004" in row.note
    assert row.note in words.finding(row, words.ArmNames("A", "B"))
    plain = replace(strand, interval=Interval(0.0004, -0.05, 0.05, 0.95))
    (row,) = metric_rows(Rule(), None, (), (ArmSums(), ArmSums()), [plain])
    assert row.note == ""


def test_with_more_changes_than_are_read_the_counters_are_refused(world: VerdictWorld, monkeypatch) -> None:
    world.live(gain=CLEAR, ledger=False)
    assert world.assess().call is Call.SHIP
    monkeypatch.setattr(moves, "MOST_CHANGES", 3)
    for _ in range(3):
        world.store.record_change(
            Change(datetime.now(UTC), "ann", "restart", "seldon", "wine", "a=80,b=20", "a=80,b=20")
        )
    found = world.assess()
    assert found.call is Call.RUNNING and "only the newest 3 changes are read" in found.headline
    assert row_of(found, "errors").in_doubt


def test_rows_sent_again_say_what_is_lost_and_what_still_counts(world: VerdictWorld) -> None:
    world.live(gain=CLEAR)
    world.live(gain=CLEAR)
    found = world.assess()
    assert "sent rows through the split more than once" in found.headline
    assert "lost for the rest of this test; the paired replay, failures and latency still count" in found.headline
