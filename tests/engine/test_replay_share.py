"""One sender of a shared replay by itself: what it sends, when it ends and with which code."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from services.errors import DecantError, InvalidInput, NotFound, Unavailable
from services.evidence.door import PART as STORE
from services.jobs.replay_share import STOPPED, ReplaySender, patiently
from services.jobs.replays import Replay
from services.jobs.states import JobState
from services.settings import Settings
from services.traffic.order import Share
from services.traffic.replay import ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.replay_bench import ReplayBench
from tests.support.replay_worker import wine_engine
from tests.support.waiting import wait_until

SPEC = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), rows=60)


def running(bench: ReplayBench, **more: object) -> Replay:
    """A replay that a worker has begun."""
    replay = bench.jobs.submit(replace(SPEC, **more), who="ann")  # type: ignore[arg-type]
    assert bench.store.replays.move(replay.id, ["queued"], state="running")
    return replay


def sender(bench: ReplayBench, replay: Replay, index: int = 0) -> ReplaySender:
    settings = Settings(state_dir=bench.folder)
    return ReplaySender(bench.store, wine_engine(bench.stub.url), settings, replay.id, Share(index, 2), outage_s=1.0)


def test_it_sends_its_share_and_leaves_the_record_alone(bench: ReplayBench) -> None:
    replay = running(bench)
    before = bench.store.replays.get(replay.id)
    assert sender(bench, replay, 1).run() == 0
    assert bench.store.recorded_rows(replay.id) == {(0, row) for row in range(1, 60, 2)}
    assert bench.store.replays.get(replay.id) == before
    (said,) = bench.store.shares.of(replay.id)
    assert (said.share, said.shares, said.failure) == (1, 2, "") and said.busy > 0
    assert sender(bench, replay, 1).run() == 0, "nothing is left"
    assert len(bench.stub.predictions) == 30


def test_told_to_stop_it_is_to_be_started_again(bench: ReplayBench) -> None:
    replay = running(bench, rate=30.0)
    found, codes = sender(bench, replay), list[int]()
    thread = threading.Thread(target=lambda: codes.append(found.run()))
    thread.start()
    wait_until(lambda: bench.store.recorded_rows(replay.id), what="the first rows")
    found.stop()
    thread.join(20)
    assert codes == [STOPPED] and len(bench.store.recorded_rows(replay.id)) < 30
    assert len(bench.stub.predictions) == len(bench.store.recorded_rows(replay.id)), "rows under way were finished"


def test_a_pause_holds_it_and_going_on_lets_it_go_on(bench: ReplayBench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="services.jobs.replay_share")
    replay = running(bench, rate=30.0)
    found, codes = sender(bench, replay), list[int]()
    thread = threading.Thread(target=lambda: codes.append(found.run()))
    thread.start()
    wait_until(lambda: bench.store.recorded_rows(replay.id), what="the first rows")
    bench.jobs.pause(replay.id)
    wait_until(lambda: "holds still" in caplog.text, what="the sender to hold still")
    held = len(bench.store.recorded_rows(replay.id))
    assert not codes and held == len(bench.stub.predictions) < 30
    bench.jobs.resume(replay.id)
    thread.join(30)
    assert codes == [0] and len(bench.store.recorded_rows(replay.id)) == 30


def test_what_the_sender_before_could_not_do_is_not_tried_again(bench: ReplayBench) -> None:
    replay = running(bench)
    bench.stub.away = True
    with pytest.raises(Unavailable, match="no usable answer") as caught:
        sender(bench, replay).run()
    (said,) = bench.store.shares.of(replay.id)
    assert said.failure == str(caught.value)
    bench.stub.away = False
    with pytest.raises(DecantError, match="no usable answer"):
        sender(bench, replay).run()
    assert bench.stub.predictions == []


def test_of_a_replay_that_is_gone_nothing_is_sent(bench: ReplayBench) -> None:
    replay = running(bench)
    with pytest.raises(NotFound):
        sender(bench, replace(replay, id=99)).run()
    bench.jobs.cancel(replay.id)
    found = sender(bench, replay)
    threading.Timer(1.0, found.stop).start()
    assert found.run() == STOPPED and bench.stub.predictions == []
    assert bench.jobs.get(replay.id).state is JobState.RUNNING, "its worker says that it was cancelled"


def test_a_store_that_comes_back_in_time_is_waited_for() -> None:
    answers = [Unavailable(STORE, "restarts"), Unavailable(STORE, "restarts")]

    def ask() -> str:
        if answers:
            raise answers.pop()
        return "there"

    assert patiently(ask, 30.0) == "there"
    answers.append(Unavailable(STORE, "gone"))
    with pytest.raises(Unavailable):
        patiently(ask, 0.0)
    with pytest.raises(InvalidInput):
        patiently(lambda: (_ for _ in ()).throw(InvalidInput("no")), 30.0)
