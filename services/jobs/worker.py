"""The worker process: takes trainings and replays from the queue and runs them. `python -m services.jobs.worker`.

Beside that it goes on with decisions that were interrupted or that wait for a part.

It may be killed at any time. At start it asks the store what is unfinished, which also finds the jobs whose message
never arrived. Several workers may share a store and a queue: what one has taken it holds by a lease, and the others go
on with it when the lease ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from filelock import FileLock, Timeout

from services.decisions.service import Decisions
from services.errors import AlreadyRunning, DecantError, Unavailable
from services.evidence.leases import Leases
from services.files import read_text
from services.jobs.queue import JobKind, JobQueue, open_queue
from services.jobs.worker_sign import WORKER_LEASE
from services.outside import OutsideChanges, keep_looking
from services.runtime.controller.status import beat, heartbeat_path
from services.settings import Settings, load_settings

log = logging.getLogger(__name__)

THREADS = 4
HEARTBEAT_S = 2.0
SETTLE_S = 3.0
STOP_TIMEOUT_S = 8.0
FIRST_POLL_S, LONGEST_POLL_S = 0.05, 0.25
"""How often an idle thread looks at the queue: soon after work, rarely enough to cost nothing when idle."""
LONGEST_SHARED_POLL_S = 1.0


class Jobs(Protocol):
    """One kind of background work."""

    def recover(self) -> list[int]:
        """Called once, before anything runs: settle what cannot go on, return what is to be run."""
        ...

    def waiting(self) -> list[int]:
        """Jobs that should run and do not."""
        ...

    def run(self, job_id: int, /) -> None:
        """Run one job to its end. Called again for a job that runs or has ended, it does nothing."""
        ...

    def stop(self) -> None:
        """End running jobs soon; called when the worker is told to stop."""
        ...


def work(
    settings: Settings, queue: JobQueue, jobs: Mapping[JobKind, Jobs], stop: threading.Event, leases: Leases
) -> None:
    """Run jobs until `stop` is set, then end cleanly. Must be called in the main thread (it takes the signals).

    `leases` show other machines that this worker lives.

    Raises AlreadyRunning if another worker serves this state folder.
    """
    lock = FileLock(settings.paths.jobs / "worker.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise AlreadyRunning(str(settings.state_dir), "another worker takes its jobs", _holder(settings)) from error
    with lock:
        if not queue.shared:
            queue.clear()
        for kind, kind_jobs in jobs.items():
            queue.handle(kind, kind_jobs.run)
            for job_id in kind_jobs.recover():
                queue.put(kind, job_id)
        alive = f"{WORKER_LEASE}{leases.holder}"
        leases.take(alive)
        consumer = queue.create_consumer(
            workers=THREADS,
            periodic=False,
            initial_delay=FIRST_POLL_S,
            max_delay=LONGEST_SHARED_POLL_S if queue.shared else LONGEST_POLL_S,
            shutdown_timeout=STOP_TIMEOUT_S,
        )
        consumer.start()
        for number in (signal.SIGTERM, signal.SIGINT):  # after start, which sets its own
            signal.signal(number, lambda *_: stop.set())
        log.info("the worker takes jobs (process %d)", os.getpid())
        _keep_watch(settings, queue, jobs, stop, lambda: leases.holds(alive) or leases.take(alive))
        log.info("the worker stops")
        for kind_jobs in jobs.values():
            kind_jobs.stop()
        consumer.stop(graceful=True)
        leases.release(alive)


def _keep_watch(
    settings: Settings,
    queue: JobQueue,
    jobs: Mapping[JobKind, Jobs],
    stop: threading.Event,
    show_life: Callable[[], object],
) -> None:
    """Show that the worker lives, and pick up jobs whose message was lost between store and queue."""
    lost_before: set[tuple[JobKind, int]] = set()
    while True:
        beat(settings.paths, "worker", os.getpid())
        if stop.wait(HEARTBEAT_S):
            return
        try:
            show_life()
            idle = queue.waiting() == 0
            lost = {(kind, job_id) for kind, kj in jobs.items() for job_id in kj.waiting()} if idle else set()
            for kind, job_id in lost & lost_before:  # twice in a row: not just on its way
                log.warning("job %s %d had no message", kind, job_id)
                queue.put(kind, job_id)
            lost_before = lost
        except Unavailable as error:
            log.warning("cannot look for forgotten jobs: %s", error)


def keep_settling(decisions: Decisions, stop: threading.Event) -> None:
    """Go on with decisions that something interrupted or that wait for a part, until `stop` is set."""
    while True:
        try:
            decisions.settle()
        except Unavailable as error:
            log.warning("cannot look for unfinished decisions: %s", error)
        except Exception:  # the last line of defence: whatever breaks must not end the care for decisions
            log.exception("settling decisions failed")
        if stop.wait(SETTLE_S):
            return


def _holder(settings: Settings) -> int:
    """The process of the worker that runs, by its own sign of life; 0 if it has given none yet."""
    try:
        return int(json.loads(read_text(heartbeat_path(settings.paths, "worker")) or "{}").get("pid", 0))
    except (ValueError, OSError):
        return 0


def main() -> int:
    """Build the services and work. Returns the exit code."""
    from services.factory import build_services  # the one place where a part starts the whole: see .importlinter

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = load_settings()
        services = build_services(settings)
        jobs: dict[JobKind, Jobs] = {
            JobKind.TRAINING: services.training,
            JobKind.REPLAY: services.replays,
            JobKind.PUBLICATION: services.publications,
        }
        stop = threading.Event()
        # A thread of its own: no decision waits for a replay, and no sign of life for a silent MLflow.
        threading.Thread(target=keep_settling, args=(services.decisions, stop), daemon=True, name="decisions").start()
        if not settings.runs_locally:  # in a cluster others have tools of their own
            outside = OutsideChanges(services.engine, services.store)
            threading.Thread(target=keep_looking, args=(outside, stop), daemon=True, name="outside").start()
        work(settings, open_queue(settings), jobs, stop, services.store.leases)
    except DecantError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
