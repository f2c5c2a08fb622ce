"""Replays as jobs: a real worker process, killed and stopped in the middle, loses and doubles nothing."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.errors import InvalidInput, NotFound
from services.evidence.store import EvidenceStore
from services.jobs.replays import Replay, ReplayJobs
from services.jobs.states import JobState
from services.settings import Settings
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.replay_bench import ended
from tests.support.replay_worker import replay_jobs
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import wait_until

SPEC = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), rows=1000, shuffle_seed=3)

Start = Callable[[], subprocess.Popen[bytes]]


def assert_exact(store: EvidenceStore, stub: SeldonStub, replay: Replay) -> None:
    """Every row once in the ledger; its sums are the replay's; the rewards of rows that the split divided, and only
    those, were told to their arms."""
    outcomes = store.outcomes("seldon", "wine", limit=100_000, replay=replay.id)
    assert len(outcomes) == len({outcome.row for outcome in outcomes}) == replay.done_rows
    by_arm = {arm.predictor: arm for arm in replay.arms}
    for ledger in store.arm_ledger(replay.id):
        arm = by_arm.pop(ledger.predictor)
        assert (arm.sent, arm.reward_n) == (ledger.answered + ledger.prediction_failed, ledger.reward_n)
        assert arm.reward_sum == pytest.approx(ledger.reward_sum)
        assert arm.latency_ms_sum == pytest.approx(ledger.latency_ms_sum)
    assert by_arm == {}
    told = set(stub.feedback)
    assert all(((o.puid, o.predictor, o.reward) in told) == o.routed for o in outcomes)


def test_a_replay_from_queue_to_done(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start) -> None:
    queued = jobs.submit(SPEC, who="ann")
    assert (queued.state, queued.total, queued.done_rows, queued.spec, queued.who) == (
        JobState.QUEUED,
        1000,
        0,
        SPEC,
        "ann",
    )
    start()
    done = ended(jobs, queued.id)
    assert (done.state, done.done_rows, done.message, done.errors) == (JobState.DONE, 1000, "", ())
    assert done.rows_per_s > 0 and done.started_at and done.finished_at and done.progress == 1
    assert_exact(store, stub, done)
    counted = {arm.predictor: (arm.reward_n, pytest.approx(arm.reward_sum)) for arm in done.arms}
    assert stub.reward_sums() == counted
    assert {o.segment for o in store.outcomes("seldon", "wine")} == {"a=80,b=20"}
    assert jobs.recent("seldon", "wine") == [done] and jobs.recent("seldon", "beer") == []


def test_a_replay_that_its_worker_had_to_drop_is_taken_up_again(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    start()
    done = ended(jobs, jobs.submit(replace(SPEC, rows=50), who="ann").id)
    # As a store leaves it that failed between two writes: running, with a worker that knows nothing of it any more.
    record = store.replays.get(done.id)
    dropped = store.replays.add("seldon", "wine", record.spec, record.total, JobState.RUNNING.value, "ann")
    again = ended(jobs, dropped.id)
    assert (again.state, again.done_rows) == (JobState.DONE, 50)
    assert_exact(store, stub, again)


def test_a_worker_killed_in_the_middle_and_the_next_one_sends_the_rest(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    replay = jobs.submit(replace(SPEC, rate=250), who="ann")
    for goal in (200, 500):
        worker = start()
        wait_until(lambda goal=goal: jobs.get(replay.id).done_rows >= goal, timeout_s=60, what=f"{goal} rows")
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        assert jobs.get(replay.id).state is JobState.RUNNING
    start()
    done = ended(jobs, replay.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 1000)
    assert_exact(store, stub, done)
    repeated = len(stub.predictions) - len({puid for puid, _ in stub.predictions})
    assert repeated < 500, "only rows that were not yet recorded are sent again"


def test_a_worker_that_is_stopped_ends_at_a_row_and_nothing_is_sent_twice(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    replay = jobs.submit(replace(SPEC, rate=250), who="ann")
    worker = start()
    wait_until(lambda: jobs.get(replay.id).done_rows >= 200, timeout_s=60, what="200 rows")
    worker.terminate()
    assert worker.wait(20) == 0
    stopped = jobs.get(replay.id)
    assert (stopped.state, stopped.done_rows) == (JobState.RUNNING, len(stub.predictions))

    start()
    done = ended(jobs, replay.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 1000)
    assert_exact(store, stub, done)
    assert len(stub.predictions) == len(stub.feedback) == 1000


def test_cancel_and_resume(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start) -> None:
    start()
    replay = jobs.submit(replace(SPEC, rate=200), who="ann")
    running = wait_until(
        lambda: r if (r := jobs.get(replay.id)).done_rows > 100 else None, timeout_s=60, what="100 rows"
    )
    assert running is not None and running.state is JobState.RUNNING and running.eta_s is not None
    jobs.cancel(replay.id)
    cancelled = ended(jobs, replay.id)
    assert cancelled.state is JobState.CANCELLED and 100 < cancelled.done_rows < 1000
    assert_exact(store, stub, cancelled)
    jobs.cancel(replay.id)  # nothing more happens
    assert jobs.get(replay.id) == cancelled

    jobs.resume(replay.id)
    done = ended(jobs, replay.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 1000)
    assert_exact(store, stub, done)


def test_a_cancel_while_no_worker_lives_is_honoured_by_the_next_one(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    replay = jobs.submit(replace(SPEC, rate=250), who="ann")
    worker = start()
    wait_until(lambda: jobs.get(replay.id).done_rows >= 100, timeout_s=60, what="100 rows")
    worker.kill()
    worker.wait(10)
    sent = len(stub.predictions)
    jobs.cancel(replay.id)
    start()
    cancelled = ended(jobs, replay.id)
    assert cancelled.state is JobState.CANCELLED and len(stub.predictions) == sent
    assert_exact(store, stub, cancelled)


def test_a_queued_replay_is_cancelled_without_a_worker(jobs: ReplayJobs, stub: SeldonStub, start: Start) -> None:
    replay = jobs.submit(SPEC, who="ann")
    jobs.cancel(replay.id)
    assert jobs.get(replay.id).state is JobState.CANCELLED
    later = jobs.submit(replace(SPEC, rows=10), who="ann")
    start()
    ended(jobs, later.id)
    assert {puid.split("-")[0] for puid, _ in stub.predictions} == {f"r{later.id}"}


def test_a_job_whose_message_was_lost_is_found(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    first = jobs.submit(replace(SPEC, rows=10), who="ann")
    start()
    ended(jobs, first.id)
    stored = store.replays.get(first.id)
    forgotten = store.replays.add("seldon", "wine", stored.spec, 10, JobState.QUEUED.value, "bob")
    assert ended(jobs, forgotten.id).state is JobState.DONE


def test_two_replays_at_once(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start) -> None:
    start()
    live = jobs.submit(replace(SPEC, rows=300), who="ann")
    pinned = jobs.submit(replace(SPEC, rows=300, mode=ReplayMode.PINNED, predictor="b"), who="bob")
    for replay in (live, pinned):
        done = ended(jobs, replay.id)
        assert (done.state, done.done_rows) == (JobState.DONE, 300)
        assert_exact(store, stub, done)
    assert [arm.predictor for arm in jobs.get(pinned.id).arms] == ["b"]


def test_a_second_worker_on_the_same_folder_refuses(jobs: ReplayJobs, start: Start, tmp_path: Path) -> None:
    first = start()
    wait_until((tmp_path / "status" / "worker.json").exists, what="a sign of life")
    second = start()
    assert second.wait(30) != 0
    assert first.poll() is None
    assert "already running" in (tmp_path / "worker.log").read_text()


def test_a_dataset_that_changes_before_the_replay_runs_fails_it_in_words(
    jobs: ReplayJobs, stub: SeldonStub, start: Start, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("x,y\n1,2\n3,4\n")
    replay = jobs.submit(replace(SPEC, dataset=str(data), target="y", rows=None), who="ann")
    data.write_text("x,y\n1,2\n3,5\n")
    start()
    failed = ended(jobs, replay.id)
    assert failed.state is JobState.FAILED and "has changed since" in failed.message
    assert stub.predictions == []


def test_a_gateway_that_stays_away_fails_the_replay_and_resuming_finishes_it(tmp_path: Path, stub: SeldonStub) -> None:
    jobs, store = replay_jobs(tmp_path, stub.url, patience_s=0.5)
    replay = jobs.submit(replace(SPEC, rows=50), who="ann")
    stub.away = True
    jobs.run(replay.id)
    failed = jobs.get(replay.id)
    assert failed.state is JobState.FAILED and "no usable answer" in failed.message and failed.done_rows == 0
    stub.away = False
    jobs.resume(replay.id)
    jobs.run(replay.id)
    assert jobs.get(replay.id).state is JobState.DONE
    assert_exact(store, stub, jobs.get(replay.id))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"deployment": "beer"}, NotFound, "beer"),
        ({"mode": ReplayMode.PINNED, "predictor": "c"}, NotFound, "a, b"),
        ({"mode": ReplayMode.PINNED}, InvalidInput, "names its predictor"),
        ({"predictor": "a"}, InvalidInput, "names its predictor, and no other"),
        ({"dataset": "beer"}, NotFound, "wine-quality"),
        ({"target": "taste"}, InvalidInput, "no column “taste”"),
        ({"start": 5000}, InvalidInput, "none is left"),
        ({"rows": 0}, InvalidInput, "at least one row"),
        ({"rate": 0.0}, InvalidInput, "positive"),
        ({"concurrency": 0}, InvalidInput, "within 1 to 256"),
    ],
)
def test_what_cannot_be_replayed_is_refused_at_once(
    jobs: ReplayJobs, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        jobs.submit(replace(SPEC, **change), who="ann")
    assert jobs.recent() == []


def test_a_reward_for_numbers_refuses_a_target_of_classes(jobs: ReplayJobs, tmp_path: Path) -> None:
    data = tmp_path / "colours.csv"
    data.write_text("x,colour\n1,red\n2,white\n")
    with pytest.raises(InvalidInput, match="holds “red”"):
        jobs.submit(replace(SPEC, dataset=str(data), target="colour"), who="ann")


def test_the_queue_needs_no_handlers_to_be_written(tmp_path: Path) -> None:
    from services.jobs.queue import enqueue_replay, enqueue_training, open_queue

    queue = open_queue(Settings(state_dir=tmp_path))
    enqueue_replay(queue, 3)
    enqueue_training(queue, 4)
    again = open_queue(Settings(state_dir=tmp_path))
    assert [(task.name, task.args) for task in again.pending()] == [("replay", (3,)), ("train", (4,))]
