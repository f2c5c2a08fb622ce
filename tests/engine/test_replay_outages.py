"""An arm that is away for long: its rows wait and none fails; a row that alone has no answer does not wait for ever."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from services.domain import OutcomeStatus
from services.errors import Unavailable
from services.jobs.replays import Replay, ReplayJobs
from services.jobs.states import JobState
from services.stats.srm import RED, split_band
from services.traffic.replay import Progress, ReplayMode, ReplaySpec
from services.traffic.replay_words import waiting_words
from services.traffic.rewards import Reward, RewardKind
from tests.support.replay_ledger import MemoryLedger, plan, replayed
from tests.support.replay_worker import replay_jobs
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import wait_until

SHORT = {"patience_s": 0.5, "outage_s": 60.0}
PAIRS = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), ReplayMode.PAIRED, rows=100)


def back_after(stub: SeldonStub, seconds: float) -> None:
    threading.Timer(seconds, stub.dead_arms.clear).start()


@pytest.mark.parametrize("concurrency", [1, 32])
def test_rows_wait_for_an_arm_that_is_away_longer_than_a_row_is_patient(stub: SeldonStub, concurrency: int) -> None:
    stub.dead_arms = {"b"}
    back_after(stub, 2.5)
    ledger = MemoryLedger(stub.url)
    ledger.known_down = {"b"}  # what the engine says; with many rows under way their failures say it too
    end = replayed(ledger, plan(50, predictor="b", concurrency=concurrency, **SHORT))
    assert (end.done, sum(arm.failed for arm in end.arms)) == (50, 0)
    assert {outcome.status for outcome in ledger.outcomes.values()} == {OutcomeStatus.OK}
    assert end.waiting == ""


def test_through_the_split_the_rows_of_the_dead_arm_wait_for_it_while_the_other_answers(stub: SeldonStub) -> None:
    """Drawn anew at each attempt, they would all go to the arm that answers, and hide that the other did not."""
    stub.weights = {"a": 50, "b": 50}
    stub.dead_arms = {"b"}
    back_after(stub, 2.5)
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(80, concurrency=80, **SHORT))
    assert (end.done, sum(arm.failed for arm in end.arms)) == (80, 0)
    arms = {arm: [o for o in ledger.outcomes.values() if o.predictor == arm] for arm in "ab"}
    assert split_band(80, 0.5, RED).holds(len(arms["b"]))
    assert len(stub.predictions) == 80, "nobody was asked twice"
    assert min(o.latency_ms for o in arms["b"]) > max(o.latency_ms for o in arms["a"]), "the waiting counts"


def test_a_row_whose_arm_is_removed_while_it_waits_is_drawn_again(stub: SeldonStub) -> None:
    stub.weights = {"a": 1, "b": 99}
    stub.dead_arms = {"b"}

    def remove() -> None:
        stub.weights = {"a": 100}

    threading.Timer(1.0, remove).start()
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(20, concurrency=20, **SHORT))
    assert {(o.predictor, o.status) for o in ledger.outcomes.values()} == {("a", OutcomeStatus.OK)}
    assert end.done == 20


def test_a_row_that_has_no_answer_where_others_have_fails_by_itself(stub: SeldonStub) -> None:
    stub.stuck_values = {7.0}
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(300, predictor="a", rate=150, **SHORT))
    (failed,) = [o for o in ledger.outcomes.values() if o.status is OutcomeStatus.PREDICTION_FAILED]
    assert (end.done, failed.row) == (300, 7) and "503" in failed.error


def test_so_does_the_last_row_when_nobody_is_left_to_compare_with(stub: SeldonStub) -> None:
    """The engine is asked: the arm is up."""
    stub.stuck_values = {19.0}
    ledger = MemoryLedger(stub.url)
    end = replayed(ledger, plan(20, predictor="a", concurrency=1, **SHORT))
    (failed,) = [o for o in ledger.outcomes.values() if o.status is OutcomeStatus.PREDICTION_FAILED]
    assert (end.done, failed.row) == (20, 19)


def test_after_the_longest_wait_the_replay_stops_and_fails_no_row(stub: SeldonStub) -> None:
    stub.dead_arms = {"b"}
    ledger = MemoryLedger(stub.url)
    with pytest.raises(Unavailable, match="no usable answer for 1 s"):
        replayed(ledger, plan(20, predictor="b", patience_s=0.2, outage_s=1.0))
    assert ledger.outcomes == {}


def test_what_is_waited_for_is_said(stub: SeldonStub) -> None:
    said: list[str] = []

    def listen(progress: Progress) -> None:
        said.append(progress.waiting)
        if progress.waiting:
            stub.dead_arms.clear()

    stub.dead_arms = {"b"}
    replayed(MemoryLedger(stub.url, listen), plan(20, predictor="b", **SHORT))
    assert waiting_words("b", 3, 60.0, "") in said or waiting_words("b", 4, 60.0, "") in said
    assert waiting_words("b", 125, 1800, "The ingress").startswith("Arm b has answered nothing for 2")
    assert waiting_words("", 4, 1800, "The ingress").startswith("The ingress has")
    assert said[-1] == ""


@pytest.mark.parametrize("how", ["cancel", "pause"])
def test_a_waiting_replay_is_paused_and_cancelled_at_once(tmp_path: Path, stub: SeldonStub, how: str) -> None:
    """It would wait for ten minutes."""
    jobs, _ = replay_jobs(tmp_path, stub.url, patience_s=0.2, outage_s=600.0)
    stub.dead_arms = {"b"}
    replay = jobs.submit(PAIRS, who="ann")
    work = threading.Thread(target=jobs.run, args=(replay.id,), daemon=True)
    work.start()
    waiting = wait_until(lambda: _waiting(jobs, replay.id), timeout_s=30, what="the replay to say that it waits")
    assert waiting is not None and "Arm b has answered nothing" in waiting.waiting
    (jobs.cancel if how == "cancel" else jobs.pause)(replay.id)
    wait_until(lambda: not work.is_alive(), timeout_s=30, what="the sending to stop")
    held = jobs.get(replay.id)
    assert held.state is (JobState.CANCELLED if how == "cancel" else JobState.PAUSED)
    assert (held.waiting, held.done_rows) == ("", 0)

    stub.dead_arms = set()
    jobs.resume(replay.id)
    jobs.run(replay.id)
    done = jobs.get(replay.id)
    assert (done.state, done.done_rows, sum(arm.failed for arm in done.arms)) == (JobState.DONE, 100, 0)


def test_a_paired_replay_outlasts_a_slow_restart_of_one_arm(tmp_path: Path, stub: SeldonStub) -> None:
    jobs, store = replay_jobs(tmp_path, stub.url, patience_s=0.3, outage_s=60.0)
    stub.dead_arms = {"b"}
    back_after(stub, 2.0)
    replay = jobs.submit(replace(PAIRS, rows=60), who="ann")
    jobs.run(replay.id)
    assert jobs.get(replay.id).state is JobState.DONE
    outcomes = store.outcomes("seldon", "wine", limit=1000, replay=replay.id)
    assert len(outcomes) == 120 and {o.status for o in outcomes} == {OutcomeStatus.OK}


def _waiting(jobs: ReplayJobs, replay_id: int) -> Replay | None:
    found = jobs.get(replay_id)
    return found if found.waiting else None
