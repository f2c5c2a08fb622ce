"""The replay sender against a real server that misbehaves: every row ends as exactly one outcome."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from services.domain import OutcomeStatus
from services.errors import Unavailable
from services.traffic.replay import Progress, ReplayRow, StopSignal
from services.traffic.replayer import run_replay
from tests.support.replay_ledger import MemoryLedger, plan, replayed
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import free_port, wait_until


def assert_ledger_equals_counters(ledger: MemoryLedger, stub: SeldonStub) -> None:
    ours, theirs = ledger.rewards(), stub.reward_sums()
    assert {arm: n for arm, (n, _) in ours.items()} == {arm: n for arm, (n, _) in theirs.items()}
    for arm, (_, total) in ours.items():
        assert total == pytest.approx(theirs[arm][1])


def test_every_row_is_predicted_rewarded_and_recorded_once(stub: SeldonStub) -> None:
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(500))

    assert end.done == ledger.handed_over == len(ledger.outcomes) == 500
    assert sorted(puid for puid, _ in stub.predictions) == sorted(f"r7-0-{row}" for row in range(500))
    assert stub.names == ["x", "colour"]
    assert {arm: (c.sent, c.reward_n) for arm, c in ((c.predictor, c) for c in end.arms)} == {
        arm: (n, n) for arm, (n, _) in stub.reward_sums().items()
    }
    assert_ledger_equals_counters(ledger, stub)
    assert all(sent == named for sent, named in stub.arms_in_responses), "feedback goes to the arm that answered"
    row = ledger.outcomes[3]
    assert (row.prediction, row.reward) in [(3.0, 1.0), (4.0, 0.5)]
    assert (row.truth, row.segment, row.puid, row.replay) == (3.0, "a=80,b=20", "r7-0-3", 7)
    assert row.latency_ms > 0 and row.at.tzinfo is not None


def test_a_pinned_replay_reaches_one_arm(stub: SeldonStub) -> None:
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(50, predictor="b"))
    assert [(arm.predictor, arm.sent, arm.mean_reward) for arm in end.arms] == [("b", 50, 0.5)]
    assert {arm for _, arm in stub.predictions} == {"b"}
    assert {outcome.segment for outcome in ledger.outcomes.values()} == {"pinned:b"}
    assert stub.feedback == [], "the counters are for traffic that the split divides"
    assert {(o.status, o.routed, o.reward) for o in ledger.outcomes.values()} == {(OutcomeStatus.OK, False, 0.5)}


@pytest.mark.parametrize("kind", ["503", "502", "504", "408", "reset"])
def test_passing_trouble_costs_no_row(stub: SeldonStub, kind: str) -> None:
    stub.mishap("predictions", kind, times=30)
    stub.mishap("feedback", kind, times=30)
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(100))
    assert {outcome.status for outcome in ledger.outcomes.values()} == {OutcomeStatus.OK}
    assert end.done == len(stub.predictions) == len(stub.feedback) == 100
    assert_ledger_equals_counters(ledger, stub)


def test_a_lost_answer_is_asked_again_and_the_ledger_stays_exact(stub: SeldonStub) -> None:
    stub.mishap("predictions", "lost", times=3)
    stub.mishap("feedback", "lost", times=2)
    ledger = MemoryLedger(stub.url)
    replayed(ledger, plan(50))
    assert len(ledger.outcomes) == ledger.handed_over == 50
    assert len(stub.predictions) == 53
    assert len(stub.feedback) == 52, "repeated, since nobody can know that the first was counted"


def test_a_gateway_that_goes_away_and_comes_back(stub: SeldonStub) -> None:
    def leave(progress: Progress) -> None:
        if not stub.away and 0 < progress.done < 300:
            stub.away = True
            threading.Timer(1.0, lambda: setattr(stub, "away", False)).start()

    ledger = MemoryLedger(stub.url, leave)
    end = replayed(ledger, plan(400, rate=400))
    assert (end.done, len(ledger.outcomes), sum(arm.failed for arm in end.arms)) == (400, 400, 0)
    assert_ledger_equals_counters(ledger, stub)


def test_a_refused_row_is_recorded_at_once_with_the_words(stub: SeldonStub) -> None:
    stub.bad_values = {10.0, 20.0}
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(60))
    failed = ledger.outcomes[10]
    assert (failed.status, failed.reward, failed.prediction) == (OutcomeStatus.PREDICTION_FAILED, None, None)
    assert "data.ndarray[0][0]: 10.0 is not allowed" in failed.error
    assert sum(arm.failed for arm in end.arms) == 2
    assert any(error.startswith("Row 20: 400") for error in end.errors)
    assert_ledger_equals_counters(ledger, stub)


def test_the_errors_kept_are_bounded(stub: SeldonStub) -> None:
    stub.bad_values = {float(i) for i in range(100)}
    assert len(replayed(MemoryLedger(stub.url), plan(100)).errors) == 10


def test_refused_feedback_is_recorded_and_the_ledger_knows_the_reward(stub: SeldonStub) -> None:
    ledger = MemoryLedger(stub.url)
    stub.mishap("feedback", "400", times=1)
    end = replayed(ledger, plan(20))
    unfed = [o for o in ledger.outcomes.values() if o.status is OutcomeStatus.FEEDBACK_FAILED]
    assert len(unfed) == 1 and unfed[0].reward is not None
    assert sum(arm.feedback_failed for arm in end.arms) == 1
    assert sum(arm.reward_n for arm in end.arms) == 20


def test_an_arm_that_stays_dead_ends_a_replay_pinned_to_it(stub: SeldonStub) -> None:
    stub.dead_arms = {"b"}
    ledger = MemoryLedger(stub.url)
    with pytest.raises(Unavailable, match=r"no usable answer for 0\.5 s"):
        replayed(ledger, plan(20, predictor="b", patience_s=0.5, outage_s=0.5))
    assert ledger.outcomes == {}, "rows that nobody saw are left for a resumed replay"


def test_an_arm_that_dies_after_answering_costs_only_its_feedback(stub: SeldonStub) -> None:
    stub.dead_for_feedback = {"b"}
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(100, patience_s=0.5))
    assert len(ledger.outcomes) == 100
    unfed = {arm.predictor: arm.feedback_failed for arm in end.arms}
    assert unfed["a"] == 0
    assert unfed["b"] == sum(arm == "b" for _, arm in stub.predictions) > 0
    assert_ledger_equals_counters(ledger, stub)


def test_nobody_there_at_all() -> None:
    ledger = MemoryLedger(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="The gateway"):
        replayed(ledger, plan(20, patience_s=0.3, outage_s=0.3))


def test_rows_without_truth_or_with_impossible_rewards(stub: SeldonStub) -> None:
    rows = [ReplayRow(0, (1.0,), None), ReplayRow(1, (1.0,), "red"), ReplayRow(2, (float("nan"),), 1.0)]
    stub.offsets = {"a": 0.0, "b": 0.0}
    ledger = MemoryLedger(stub.url)
    replayed(ledger, replace(plan(), rows=rows[:2]))
    unlabelled, textual = ledger.outcomes[0], ledger.outcomes[1]
    assert (unlabelled.status, unlabelled.reward) == (OutcomeStatus.OK, None)
    assert textual.status is OutcomeStatus.FEEDBACK_FAILED and "not a number" in textual.error
    assert stub.feedback == []


def test_the_segment_follows_the_split(stub: SeldonStub) -> None:
    def move(progress: Progress) -> None:
        if progress.done > 20:
            ledger.split = "a=50,b=50"

    ledger = MemoryLedger(stub.url, move)
    replayed(ledger, plan(300, rate=100))
    by_row = [ledger.outcomes[row].segment for row in range(300)]
    assert by_row[0] == "a=80,b=20" and by_row[-1] == "a=50,b=50"
    assert by_row.count("a=50,b=50") > 50


def test_a_store_that_is_locked_for_a_while_loses_nothing(stub: SeldonStub) -> None:
    ledger = MemoryLedger(stub.url)
    ledger.failures = 3
    replayed(ledger, plan(300))
    assert len(ledger.outcomes) == 300
    assert_ledger_equals_counters(ledger, stub)


def test_a_store_that_stays_away_ends_the_replay(stub: SeldonStub) -> None:
    ledger = MemoryLedger(stub.url)
    ledger.failures = 10_000
    with pytest.raises(Unavailable, match="The evidence store"):
        replayed(ledger, plan(2000, rate=500, patience_s=0.5))


def test_stopping_leaves_the_rest_and_a_second_run_sends_exactly_that(stub: SeldonStub) -> None:
    stop = StopSignal()
    ledger = MemoryLedger(stub.url, lambda progress: stop.request() if progress.done > 50 else None)
    first = replayed(ledger, plan(500, rate=200), stop)
    assert 50 < first.done < 500
    assert len(ledger.outcomes) == first.done == len(stub.feedback)

    rest = [row for row in plan(500).rows if row.index not in ledger.outcomes]
    end = asyncio.run(run_replay(replace(plan(), rows=rest), ledger, StopSignal(), first.arms))
    assert end.done == len(ledger.outcomes) == ledger.handed_over == 500
    assert sorted(puid for puid, _ in stub.predictions) == sorted(f"r7-0-{row}" for row in range(500))
    assert_ledger_equals_counters(ledger, stub)


def test_stopping_does_not_wait_for_a_gateway_that_is_gone(stub: SeldonStub) -> None:
    stub.away = True
    stop = StopSignal()
    ended = threading.Event()

    def run() -> None:
        replayed(MemoryLedger(stub.url), plan(20), stop)
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    stop.request()
    wait_until(ended.is_set, timeout_s=10, what="the replay to stop")


def test_a_rate_is_kept(stub: SeldonStub) -> None:
    ledger = MemoryLedger(stub.url)
    replayed(ledger, plan(100, rate=100))
    times = sorted(outcome.at for outcome in ledger.outcomes.values())
    assert (times[-1] - times[0]).total_seconds() >= 0.9, "100 rows at 100/s take a second"


def test_no_more_requests_at_once_than_asked(stub: SeldonStub) -> None:
    stub.delay_s = 0.01
    replayed(MemoryLedger(stub.url), plan(60, concurrency=3))
    assert stub.most_at_once == 3
