"""Replays on one state folder: jobs as a dashboard sees them, workers as processes, a gateway made of air."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.evidence.store import EvidenceStore
from services.jobs.replays import Replay, ReplayJobs
from services.jobs.states import JobState
from services.settings import ROOT
from services.traffic.replay import ReplaySpec
from tests.support.replay_worker import replay_jobs
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import wait_until


@dataclass
class ReplayBench:
    """What tests of replays share; `start` begins a worker on the same state folder."""

    folder: Path
    stub: SeldonStub
    jobs: ReplayJobs
    store: EvidenceStore
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.support.replay_worker", str(self.folder), self.stub.url]
            self.workers.append(subprocess.Popen(command, cwd=ROOT, stderr=log))
        return self.workers[-1]


@contextmanager
def replay_bench(folder: Path) -> Iterator[ReplayBench]:
    """All workers are killed at the end."""
    with SeldonStub() as stub:
        bench = ReplayBench(folder, stub, *replay_jobs(folder, stub.url))
        try:
            yield bench
        finally:
            for worker in bench.workers:
                worker.kill()
                worker.wait(10)


def run(jobs: ReplayJobs, spec: ReplaySpec) -> Replay:
    """Submit and do what a worker would, here."""
    replay = jobs.submit(spec, who="ann")
    jobs.run(replay.id)
    return jobs.get(replay.id)


def ended(jobs: ReplayJobs, replay_id: int, timeout_s: float = 90) -> Replay:
    """The replay when it has ended, however."""
    wait_until(lambda: jobs.get(replay_id).state.final, timeout_s=timeout_s, what="the replay to end")
    return jobs.get(replay_id)


def wait_for(jobs: ReplayJobs, replay_id: int, state: JobState) -> Replay:
    wait_until(lambda: jobs.get(replay_id).state is state, timeout_s=90, what=f"the replay to be {state}")
    return jobs.get(replay_id)


def wait_for_rows(jobs: ReplayJobs, replay_id: int, rows: int) -> None:
    wait_until(lambda: jobs.get(replay_id).done_rows >= rows, timeout_s=60, what=f"{rows} rows")
