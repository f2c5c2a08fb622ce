"""Several machines over one PostgreSQL: what one is told the others know, and no job is done twice.

A machine is a state folder of its own: nothing on its disk is seen by another.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.datasets import ReplayDatasets
from services.decisions.reports import Reports
from services.domain import Change
from services.errors import InvalidInput, NotFound, Unavailable
from services.evidence.database import open_database
from services.evidence.files import PART_BYTES, FileTable
from services.evidence.leases import Leases
from services.evidence.schema import leases as lease_table
from services.jobs.queue import JobKind, open_queue
from services.jobs.replays import ReplayJobs
from services.jobs.states import JobState
from services.settings import ROOT, Settings
from services.traffic.datasets import BUNDLED, save_upload
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.queues import redis
from tests.support.replay_bench import ended
from tests.support.replay_worker import replay_jobs
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import free_port, wait_until

SPEC = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), rows=400)
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def database(postgres_url: str) -> Iterator[sa.Engine]:
    opened = open_database(postgres_url)
    yield opened
    opened.dispose()


@pytest.fixture
def stub() -> Iterator[SeldonStub]:
    with SeldonStub() as stub:
        yield stub


@pytest.fixture(params=["the store's own", "redis"])
def shared(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The addresses that the machines share: the database's, and for some the queue's."""
    if request.param == "redis":
        with redis(tmp_path) as url:
            yield {"database_url": postgres_url, "queue_url": url}
    else:
        yield {"database_url": postgres_url}


@pytest.fixture
def start(tmp_path: Path, stub: SeldonStub, shared: dict[str, str]) -> Iterator[Start]:
    """Start the worker of a machine; all are killed at the end."""
    workers: list[subprocess.Popen[bytes]] = []

    def start(machine: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.support.replay_worker", str(tmp_path / machine), stub.url]
        with (tmp_path / f"{machine}.log").open("ab") as log:
            workers.append(subprocess.Popen([*command, *shared.values()], cwd=ROOT, stderr=log))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait(10)


def dashboard(folder: Path, stub: SeldonStub, shared: dict[str, str]) -> ReplayJobs:
    return replay_jobs(folder, stub.url, **shared)[0]


def test_two_dashboards_and_two_workers_share_one_truth(
    tmp_path: Path, stub: SeldonStub, shared: dict[str, str], start: Start
) -> None:
    one, two = (dashboard(tmp_path / name, stub, shared) for name in ("dashboard-1", "dashboard-2"))
    workers = [start("worker-1"), start("worker-2")]
    with ThreadPoolExecutor(6) as pool:
        asked = list(
            pool.map(lambda n: (one, two)[n % 2].submit(replace(SPEC, start=100 * n), who=f"ann-{n}"), range(6))
        )
    for replay in asked:
        done = ended(two, replay.id)
        assert (done.state, done.done_rows) == (JobState.DONE, 400)
        assert one.get(replay.id) == done
    sent = [puid for puid, _ in stub.predictions]
    assert len(sent) == len(set(sent)) == 6 * 400, "a row was sent by both workers"
    assert [worker.poll() for worker in workers] == [None, None]


def test_what_a_killed_worker_leaves_another_finishes(
    tmp_path: Path, stub: SeldonStub, shared: dict[str, str], start: Start
) -> None:
    jobs, store = replay_jobs(tmp_path / "dashboard", stub.url, **shared)
    first = start("worker-1")
    replay = jobs.submit(replace(SPEC, rows=600, rate=200.0), who="ann")
    wait_until(lambda: jobs.get(replay.id).done_rows > 50, what="the replay to be under way")
    start("worker-2")
    first.kill()
    done = ended(jobs, replay.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 600)
    rows = [outcome.row for outcome in store.outcomes("seldon", "wine", limit=1000, replay=replay.id)]
    assert sorted(rows) == list(range(600))


def test_an_upload_reaches_the_worker_of_another_machine(
    tmp_path: Path, stub: SeldonStub, shared: dict[str, str], start: Start
) -> None:
    here = Settings(state_dir=tmp_path / "dashboard", **shared)
    path = save_upload(here, "mine.csv", BUNDLED["wine-quality"].read_bytes().replace(b"quality", b"mark", 1))
    jobs, store = replay_jobs(here.state_dir, stub.url, **shared)
    replay = jobs.submit(replace(SPEC, dataset=str(path), target="mark", rows=50), who="ann")
    shutil.rmtree(here.paths.uploads)
    start("worker-1")
    assert ended(jobs, replay.id).state is JobState.DONE
    elsewhere = ReplayDatasets(store.files, Settings(state_dir=tmp_path / "dashboard-2", **shared))
    assert elsewhere.load(str(path), replay.digest).digest == replay.digest
    with pytest.raises(NotFound):
        elsewhere.load(str(path))


def test_a_paused_replay_is_resumed_from_another_dashboard(
    tmp_path: Path, stub: SeldonStub, shared: dict[str, str], start: Start
) -> None:
    one, two = (dashboard(tmp_path / name, stub, shared) for name in ("dashboard-1", "dashboard-2"))
    start("worker-1")
    replay = one.submit(replace(SPEC, rate=100.0, mode=ReplayMode.PAIRED), who="ann")
    wait_until(lambda: two.get(replay.id).done_rows > 10, what="the replay to be under way")
    two.pause(replay.id)
    wait_until(lambda: one.get(replay.id).state is JobState.PAUSED, what="the pause")
    two.resume(replay.id)
    assert ended(one, replay.id).done_rows == 400


def test_the_command_line_of_another_machine_reads_the_same_history(postgres_url: str, tmp_path: Path) -> None:
    _, store = replay_jobs(tmp_path / "dashboard", "http://nowhere.test", database_url=postgres_url)
    store.record_change(Change(datetime.now(UTC), "ann", "delete", "seldon", "wine", before="", after="", why="old"))
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "DECANT_STATE_DIR": str(tmp_path / "laptop"),
        "DECANT_DATABASE_URL": postgres_url,
    }
    answer = subprocess.run(
        [sys.executable, "-m", "app", "history", "wine", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert [entry["who"] for entry in json.loads(answer.stdout)] == ["ann"]


# -- leases ------------------------------------------------------------------------------------------------------------


def ends(database: sa.Engine) -> float:
    """When the only lease ends, by the database's clock."""
    with database.connect() as connection:
        return float(connection.execute(sa.select(lease_table.c.until)).scalar_one())


def test_of_many_who_want_a_lease_one_gets_it(database: sa.Engine) -> None:
    everybody = [Leases(database) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda one: one.take("replay:1"), everybody))
    assert taken.count(True) == 1
    winner, loser = everybody[taken.index(True)], everybody[taken.index(False)]
    assert winner.holds("replay:1") and winner.take("replay:1") and not loser.holds("replay:1")
    assert loser.holders("replay:") == {"replay:1": winner.holder} and loser.holders("training:") == {}
    winner.release("replay:1")
    assert loser.take("replay:1") and not winner.holds("replay:1")
    loser.release("replay:1")


def test_a_lease_is_renewed_and_lost_to_nobody_while_its_holder_lives(database: sa.Engine) -> None:
    holder, other = Leases(database, ttl_s=1.0), Leases(database)
    holder.take("replay:1")
    before = ends(database)
    wait_until(lambda: ends(database) > before + 1.5, what="the lease to be renewed beyond its first end")
    assert holder.holds("replay:1") and not other.take("replay:1")
    holder.release("replay:1")


def test_who_lost_its_lease_is_told(database: sa.Engine) -> None:
    stalled, other = Leases(database, ttl_s=1.0), Leases(database)
    stalled.take("replay:1")
    with database.begin() as connection:  # as if the process had not run for a minute
        connection.execute(sa.update(lease_table).values(until=0.0))
    assert other.take("replay:1")
    wait_until(lambda: not stalled.holds("replay:1"), what="the loss to be noticed")
    stalled.release("replay:1")
    assert other.holds("replay:1") and other.holders("replay:") == {"replay:1": other.holder}
    other.release("replay:1")


def test_leases_are_renewed_again_after_an_error_that_nobody_foresaw(
    database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    holder = Leases(database, ttl_s=1.0)
    holder.take("replay:1")
    before = ends(database)
    broken = iter([True])

    def break_once(*_: object) -> None:
        if next(broken, False):
            raise RuntimeError("out of order")

    sa.event.listen(database, "before_cursor_execute", break_once)
    wait_until(lambda: "out of order" in caplog.text, what="a renewal to break")
    wait_until(lambda: ends(database) > before + 1.5, what="the lease to be renewed beyond its first end")
    assert holder.holds("replay:1")
    holder.release("replay:1")


def test_on_one_machine_leases_cost_nothing(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'decant.db'}")
    one, two = Leases(database), Leases(database)
    assert one.take("x") and two.take("x") and one.holds("x") and one.holders("x") == {}
    with database.connect() as connection:
        assert connection.execute(sa.select(lease_table)).all() == []
    database.dispose()


# -- files and queues --------------------------------------------------------------------------------------------------


def test_a_large_file_comes_back_as_it_was(database: sa.Engine) -> None:
    files = FileTable(database)
    content = bytes(range(256)) * (PART_BYTES // 128)
    files.put("dataset/x.csv", content)
    assert files.get("dataset/x.csv") == content and files.has("dataset/x.csv")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: files.put("dataset/x.csv", b"%d" % n * 9), range(4)))
    assert files.get("dataset/x.csv") in {b"%d" % n * 9 for n in range(4)}
    files.put("empty", b"")
    assert files.get("empty") == b"" and files.get("none") is None


def test_a_report_of_one_dashboard_is_read_by_the_other(database: sa.Engine, tmp_path: Path) -> None:
    name = Reports(tmp_path / "1", FileTable(database)).keep("<p>Ship B</p>")
    assert Reports(tmp_path / "2", FileTable(database)).read(name) == "<p>Ship B</p>"
    assert Reports(tmp_path / "2", FileTable(database)).read("") is None


def test_a_message_is_taken_once(shared: dict[str, str], tmp_path: Path) -> None:
    queues = [open_queue(Settings(state_dir=tmp_path / str(n), **shared)) for n in range(4)]
    for number in range(40):
        queues[0].put(JobKind.REPLAY, number)
    assert queues[1].waiting() == 40

    def take_all(queue_number: int) -> list[int]:
        found = []
        while (task := queues[queue_number].dequeue()) is not None:
            found.append(task.args[0])
        return found

    with ThreadPoolExecutor(4) as pool:
        taken = [number for some in pool.map(take_all, range(4)) for number in some]
    assert sorted(taken) == list(range(40))


@pytest.mark.parametrize("address", ["redis://:secret@127.0.0.1:{}/0", "postgresql+psycopg://u:secret@127.0.0.1:{}/x"])
def test_a_queue_that_is_away_is_told_of_in_words(address: str, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, queue_url=address.format(free_port()))
    with pytest.raises(Unavailable, match="job queue") as caught:
        open_queue(settings).put(JobKind.REPLAY, 3)
    assert "secret" not in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("address", ["mysql://h/x", "nonsense", "redis://h:port", "sqlite:///x.db"])
def test_an_address_that_is_no_queue_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="DECANT_QUEUE_URL"):
        open_queue(Settings(state_dir=tmp_path, queue_url=address))
