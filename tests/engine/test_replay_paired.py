"""Replays in pairs, with passes, samples and pauses: real workers, killed in the middle, a gateway made of air."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.domain import PAIRED, OutcomeStatus
from services.errors import InvalidInput, NotFound
from services.evidence.store import EvidenceStore
from services.jobs.replays import Replay, ReplayJobs
from services.jobs.states import JobState
from services.traffic.datasets import load_dataset
from services.traffic.preview import summarise
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.replay_bench import run, wait_for, wait_for_rows
from tests.support.replay_worker import replay_jobs
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import wait_until

BOUNDED = Reward(RewardKind.BOUNDED)
PAIRS = ReplaySpec("seldon", "wine", "wine-quality", "quality", BOUNDED, ReplayMode.PAIRED, rows=600)
LIVE = replace(PAIRS, mode=ReplayMode.LIVE, rows=100)

Start = Callable[[], "subprocess.Popen[bytes]"]


def expected_mean(offset: float, rows: list[int]) -> float:
    """What the stub's arm earns, worked out without any of the code under test but the formula."""
    data = load_dataset("wine-quality")
    first, truth = data.feature_rows("quality"), data.truths("quality")
    return sum(1 / (1 + (truth[i] - (first[i][0] + offset)) ** 2) for i in rows) / len(rows)


def assert_pairs(store: EvidenceStore, replay: Replay, passes: int = 1) -> None:
    """Each row in both arms exactly once per pass; the sums of the ledger are those of the rows."""
    outcomes = store.outcomes("seldon", "wine", limit=100_000, replay=replay.id)
    counted = Counter((o.row, o.pass_, o.predictor) for o in outcomes)
    assert set(counted.values()) <= {1}
    halves = Counter((o.row, o.pass_) for o in outcomes)
    assert set(halves.values()) <= {2}, "half a pair"
    assert len(halves) == replay.done_rows
    assert {o.segment for o in outcomes} == {PAIRED} and all(o.paired and o.digest == replay.digest for o in outcomes)
    assert sum(block.n for block in store.ledger.pair_blocks("seldon", "wine", replay=replay.id)) == len(halves)
    for arm in store.arm_ledger(replay.id):
        mine = [o for o in outcomes if o.predictor == arm.predictor]
        assert (arm.answered, arm.reward_sum) == (len(mine), pytest.approx(sum(o.reward or 0 for o in mine)))


def test_every_row_goes_to_both_arms_and_no_counter_moves(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub
) -> None:
    done = run(jobs, PAIRS)
    assert (done.state, done.done_rows, done.total, done.spec.arms) == (JobState.DONE, 600, 600, ("a", "b"))
    assert Counter(stub.predictions) == {(f"r{done.id}-0-{i}-{arm}", arm): 1 for i in range(600) for arm in "ab"}
    assert stub.feedback == []
    assert_pairs(store, done)
    means = {arm.predictor: arm.mean_reward for arm in done.arms}
    assert means == {
        "a": pytest.approx(expected_mean(0.0, list(range(600)))),
        "b": pytest.approx(expected_mean(1.0, list(range(600)))),
    }


def test_no_arm_is_always_asked_first(jobs: ReplayJobs, stub: SeldonStub) -> None:
    """The second of a pair waits for the first, at the sender or where both go: no arm shall look slow for that."""
    done = run(jobs, replace(PAIRS, rows=200, concurrency=1))
    first: dict[str, str] = {}
    for puid, arm in stub.predictions:
        first.setdefault(puid.removesuffix(f"-{arm}"), arm)
    assert len(first) == 200 == done.done_rows
    assert 60 < Counter(first.values())["a"] < 140


def test_the_pair_may_be_named_the_other_way_round(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub) -> None:
    done = run(jobs, replace(PAIRS, arms=("b", "a"), rows=20))
    assert store.replays.get(done.id).spec["arms"] == ["b", "a"]
    (block,) = store.ledger.pair_blocks("seldon", "wine", replay=done.id)
    assert (block.a, block.b) == ("b", "a")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"arms": ("a", "a")}, InvalidInput, "two different arms"),
        ({"arms": ("a",)}, InvalidInput, "two different arms"),
        ({"arms": ("a", "c")}, NotFound, "c"),
        ({"predictor": "a"}, InvalidInput, "names its predictor"),
        ({"mode": ReplayMode.LIVE, "arms": ("a", "b")}, InvalidInput, "names two different arms"),
        ({"passes": 0}, InvalidInput, "Passes"),
        ({"sample_seed": -1}, InvalidInput, "seed"),
    ],
)
def test_what_is_no_pair_is_refused(
    jobs: ReplayJobs, change: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        jobs.submit(replace(PAIRS, **change), who="ann")  # type: ignore[arg-type]


def test_a_row_that_one_arm_refuses_is_a_pair_with_a_failed_half(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub
) -> None:
    stub.mishap("predictions", "400", times=1)
    done = run(jobs, replace(PAIRS, rows=40, concurrency=1))
    outcomes = store.outcomes("seldon", "wine", replay=done.id)
    failed = [o for o in outcomes if o.status is OutcomeStatus.PREDICTION_FAILED]
    assert (len(outcomes), len(failed), done.done_rows) == (80, 1, 40)
    assert sum(b.n for b in store.ledger.pair_blocks("seldon", "wine", replay=done.id)) == 39


def test_an_arm_that_stays_dead_leaves_no_half_pairs_and_the_rest_follows(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, tmp_path: Path
) -> None:
    impatient, _ = replay_jobs(tmp_path, stub.url, patience_s=0.3)
    stub.dead_arms = {"b"}
    failed = run(impatient, replace(PAIRS, rows=50))
    assert failed.state is JobState.FAILED and "resume the replay" in failed.message
    assert store.outcomes("seldon", "wine", replay=failed.id) == []
    stub.dead_arms = set()
    jobs.resume(failed.id)
    jobs.run(failed.id)
    done = jobs.get(failed.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 50)
    assert_pairs(store, done)


def test_no_more_requests_at_once_than_asked_in_pairs(jobs: ReplayJobs, stub: SeldonStub) -> None:
    stub.delay_s = 0.01
    run(jobs, replace(PAIRS, rows=40, concurrency=8))
    assert stub.most_at_once == 8


def test_a_worker_killed_twice_in_the_middle_of_pairs(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    replay = jobs.submit(replace(PAIRS, rate=100), who="ann")
    for goal in (100, 300):
        worker = start()
        wait_for_rows(jobs, replay.id, goal)
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        assert jobs.get(replay.id).state is JobState.RUNNING
        halves = Counter(o.row for o in store.outcomes("seldon", "wine", limit=10_000, replay=replay.id))
        assert set(halves.values()) == {2}
    start()
    done = wait_for(jobs, replay.id, JobState.DONE)
    assert done.done_rows == 600
    assert_pairs(store, done)
    assert done.arms[0].mean_reward == pytest.approx(expected_mean(0.0, list(range(600))))


def test_a_pause_survives_a_restart_and_only_a_person_ends_it(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    worker = start()
    replay = jobs.submit(replace(PAIRS, rate=100), who="ann")
    wait_for_rows(jobs, replay.id, 50)
    jobs.pause(replay.id)
    wait_until(lambda: not _moves(jobs, stub, replay.id), timeout_s=30, what="the sending to stop")
    held = jobs.get(replay.id)
    assert held.state is JobState.PAUSED and 50 <= held.done_rows < 600 and held.eta_s is None
    assert_pairs(store, held)
    worker.kill()
    worker.wait(10)
    start()
    other = jobs.submit(replace(LIVE, rows=20), who="ann")
    wait_for(jobs, other.id, JobState.DONE)  # so the new worker has looked at what there is to do
    assert (jobs.get(replay.id).state, jobs.get(replay.id).done_rows) == (JobState.PAUSED, held.done_rows)

    jobs.resume(replay.id)
    done = wait_for(jobs, replay.id, JobState.DONE)
    assert done.done_rows == 600
    assert_pairs(store, done)


def _moves(jobs: ReplayJobs, stub: SeldonStub, replay_id: int) -> bool:
    """Whether rows still come in: the ledger has not yet all that was sent."""
    sent = len({puid for puid, _ in stub.predictions}) // 2
    return jobs.get(replay_id).done_rows != sent


def test_paused_and_resumed_in_one_breath_it_goes_on(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start
) -> None:
    start()
    replay = jobs.submit(replace(PAIRS, rate=200), who="ann")
    wait_for_rows(jobs, replay.id, 50)
    jobs.pause(replay.id)
    jobs.resume(replay.id)
    done = wait_for(jobs, replay.id, JobState.DONE)
    assert done.done_rows == 600
    assert_pairs(store, done)


def test_a_paused_one_can_be_cancelled_and_then_resumed(jobs: ReplayJobs, store: EvidenceStore) -> None:
    replay = jobs.submit(replace(PAIRS, rows=20), who="ann")
    jobs.pause(replay.id)
    jobs.run(replay.id)
    assert jobs.get(replay.id).state is JobState.PAUSED and jobs.waiting() == []
    jobs.cancel(replay.id)
    assert jobs.get(replay.id).state is JobState.CANCELLED
    jobs.pause(replay.id)  # ended: nothing to hold
    assert jobs.get(replay.id).state is JobState.CANCELLED
    jobs.resume(replay.id)
    jobs.run(replay.id)
    assert_pairs(store, jobs.get(replay.id))


def test_two_pairs_at_once(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, start: Start) -> None:
    started = [jobs.submit(replace(PAIRS, rows=300, rate=150), who="ann") for _ in range(2)]
    start()
    wait_until(
        lambda: all(0 < jobs.get(r.id).done_rows < 300 for r in started), timeout_s=60, what="both to be under way"
    )
    for replay in started:
        done = wait_for(jobs, replay.id, JobState.DONE)
        assert done.done_rows == 300
        assert_pairs(store, done)


def test_passes_count_each_row_again(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub) -> None:
    done = run(jobs, replace(PAIRS, rows=30, passes=3, shuffle_seed=4))
    assert (done.total, done.done_rows) == (90, 90)
    assert_pairs(store, done, passes=3)
    order = [int(puid.split("-")[2]) for puid, arm in stub.predictions if arm == "a" and puid.split("-")[1] == "0"]
    assert sorted(order) == list(range(30)) != order


def test_a_sample_is_the_same_rows_however_often_it_is_taken_up(jobs: ReplayJobs, store: EvidenceStore) -> None:
    spec = replace(LIVE, rows=50, sample_seed=9)
    rows = [{o.row for o in store.outcomes("seldon", "wine", replay=run(jobs, spec).id)} for _ in range(2)]
    assert rows[0] == rows[1] and len(rows[0]) == 50 and rows[0] != set(range(50))


@pytest.mark.parametrize(
    ("reward", "told"),
    [
        (Reward(RewardKind.SQUARED), 0),
        (Reward(RewardKind.FORMULA, expression="1 - abs(y - y_pred)"), 0),
        (Reward(RewardKind.FORMULA, expression="exp(-abs(y - y_pred))"), 100),
    ],
)
def test_what_can_be_negative_is_in_the_ledger_alone(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub, reward: Reward, told: int
) -> None:
    done = run(jobs, replace(LIVE, reward=reward))
    assert len(stub.feedback) == told
    assert (sum(a.reward_n for a in done.arms), sum(a.feedback_failed for a in done.arms)) == (100, 0)


def test_a_formula_that_turns_negative_on_some_row_says_so_there(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub
) -> None:
    reward = Reward(RewardKind.FORMULA, expression="0 - 1 if y_pred == 6.3 else (y - y_pred) ** 2")  # 6.3: no sample
    assert reward.counted
    stub.weights = {"a": 1, "b": 0}
    done = run(jobs, replace(LIVE, reward=reward))
    unfed = [o for o in store.outcomes("seldon", "wine", replay=done.id) if o.status is OutcomeStatus.FEEDBACK_FAILED]
    assert unfed and all(o.reward == -1 and "counters only grow" in o.error for o in unfed)
    assert len(stub.feedback) == 100 - len(unfed)


def test_a_replay_stored_before_there_were_pairs_is_read_and_finished(
    jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub
) -> None:
    old = {
        "namespace": "seldon", "deployment": "wine", "dataset": "wine-quality", "target": "quality",
        "reward": {"kind": "bounded", "scale": 1.0}, "mode": "live", "predictor": None, "rows": 30, "start": 0,
        "rate": None, "concurrency": 8, "shuffle_seed": 3, "digest": load_dataset("wine-quality").digest,
    }  # fmt: skip
    record = store.replays.add("seldon", "wine", old, 30, JobState.QUEUED.value, "ann")
    jobs.run(record.id)
    done = jobs.get(record.id)
    assert (done.state, done.done_rows, done.spec.arms, done.spec.passes) == (JobState.DONE, 30, (), 1)
    assert {o.row for o in store.outcomes("seldon", "wine", replay=done.id)} != set(range(30)), "a shuffled file"


def test_a_preview_leaves_no_trace(jobs: ReplayJobs, store: EvidenceStore, stub: SeldonStub) -> None:
    stub.bad_values = {load_dataset("wine-quality").feature_rows("quality")[0][0]}
    seen = jobs.preview(replace(PAIRS, rows=None), who="ada")
    assert len(seen.rows) == 200 and set(seen.predictions) == {"a", "b"}
    assert store.outcomes("seldon", "wine") == [] and stub.feedback == [] and jobs.recent() == []
    summary = summarise(seen, BOUNDED)
    for arm, offset in zip(summary.arms, (0.0, 1.0), strict=True):
        kept = [row for row, p in zip(seen.rows, seen.predictions[arm.predictor], strict=True) if p is not None]
        assert arm.failed == 200 - len(kept) and (arm.failed == 0 or "is not allowed" in arm.error)
        assert arm.sums.mean == pytest.approx(expected_mean(offset, kept))
    assert jobs.preview(replace(PAIRS, rows=None), who="ada").rows == seen.rows
    assert set(jobs.preview(replace(LIVE, mode=ReplayMode.PINNED, predictor="b"), who="ada").predictions) == {"b"}


def test_the_sender_measures_how_busy_it_is(jobs: ReplayJobs, stub: SeldonStub) -> None:
    done = run(jobs, LIVE)
    assert done.busy > 0
    slow = replace(done, busy=0.95, rows_per_s=50.0)
    assert "sender itself is the bottleneck" in slow.bottleneck
    assert replace(slow, busy=0.3).bottleneck == ""
    assert replace(slow, spec=replace(slow.spec, rate=50.0)).bottleneck == "", "it keeps the pace it was asked for"
