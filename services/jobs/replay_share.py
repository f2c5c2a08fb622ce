"""One sender of a shared replay: a pod of its Job. `python -m services.jobs.replay_share REPLAY --of SHARES`.

Which share it has, Kubernetes tells it (JOB_COMPLETION_INDEX). It sends the rows of that share that are not in the
ledger, and never writes the replay's record: the worker does, which watches.

It may be killed at any time: the Job starts another pod for the same share, which waits until this one is surely gone.
It ends with 0 when nothing is left for it to do, with another code when it should be started again or has given up.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from services.datasets import ReplayDatasets
from services.deployments.engine import Engine
from services.errors import DecantError, InvalidInput, NotFound, Unavailable
from services.evidence.door import PART as STORE
from services.evidence.store import EvidenceStore
from services.jobs.replay_hooks import ShareHooks, wanted
from services.jobs.replay_job import share_lease
from services.jobs.replay_run import make_plan, relay_for
from services.jobs.replays import STOP_GRACE_S
from services.settings import Settings, load_settings
from services.traffic.order import Share
from services.traffic.replay import StopSignal
from services.traffic.replayer import run_replay
from services.traffic.sending import OUTAGE_S, PATIENCE_S

log = logging.getLogger(__name__)

INDEX = "JOB_COMPLETION_INDEX"
LAST_WORDS = Path("/dev/termination-log")
"""What Kubernetes shows of a container that has ended."""
STOPPED = 143
"""The exit code of who was told to stop before it was done: a Job starts it again unless it was deleted."""
IDLE_S = 60.0
"""How long a sender of a paused replay stays for somebody to resume it. The worker removes it sooner."""
LOOK_EVERY_S = 0.5

T = TypeVar("T")


class ReplaySender:
    """Sends a share. `stop` may be called from a signal's handler."""

    def __init__(
        self,
        store: EvidenceStore,
        engine: Engine,
        settings: Settings,
        replay_id: int,
        share: Share,
        outage_s: float = OUTAGE_S,
    ) -> None:
        self._store, self._engine, self._settings = store, engine, settings
        self._replay_id, self._share, self._outage_s = replay_id, share, outage_s
        self._lease = share_lease(replay_id, share.index)
        self._signal = StopSignal()
        self._told = False

    def stop(self) -> None:
        """Rows under way get their time; the others are for whoever comes next."""
        self._told = True
        self._signal.request(STOP_GRACE_S)

    def run(self) -> int:
        """Send until the share is done, nobody wants it any more, or `stop` is called. Returns the exit code.

        Raises DecantError, with its words in the store, when there is no sense in going on.
        """
        wanted_at = time.monotonic()
        while not self._told:
            if patiently(lambda: wanted(self._store, self._replay_id), self._outage_s):
                if self._sent():
                    return 0
                wanted_at = time.monotonic()
            elif time.monotonic() - wanted_at > IDLE_S:
                return 0
            self._signal.wait(LOOK_EVERY_S)
        return STOPPED

    def _sent(self) -> bool:
        """Whether all of the share is sent; not while an earlier sender of it may still be there."""
        if not patiently(lambda: self._store.leases.take(self._lease), self._outage_s):
            return False
        try:
            return patiently(self._send, self._outage_s)
        finally:
            self._store.leases.release(self._lease)

    def _send(self) -> bool:
        """Send what is missing; whether that was all of it."""
        self._signal = StopSignal()
        if self._told:  # just now, by a signal's handler
            self.stop()
        record = self._store.replays.get(self._replay_id)
        said = next((s for s in self._store.shares.of(record.id) if s.share == self._share.index), None)
        if said is not None and said.failure:  # by the pod before this one
            raise DecantError(said.failure)
        hooks = ShareHooks(self._store, self._engine, record, self._signal, self._lease, self._share, said)
        began, cpu = time.monotonic(), time.process_time()
        try:
            source, digest = str(record.spec["dataset"]), str(record.spec["digest"])
            dataset = ReplayDatasets(self._store.files, self._settings).load(source, digest)
            plan = make_plan(
                self._store, self._settings, record, dataset, PATIENCE_S, self._outage_s, share=self._share
            )
            log.info("replay %d: share %d of %d", record.id, self._share.index, self._share.count)
            end = asyncio.run(run_replay(plan, hooks, self._signal, relay=relay_for(self._engine, record.who)))
        except DecantError as error:
            if not _of_store(error):
                hooks.fail(str(error))
            raise
        busy = (time.process_time() - cpu) / max(time.monotonic() - began, 1e-9)
        hooks.say(replace(end, busy=busy))
        whole = not self._signal.requested
        log.info("replay %d: share %d %s", record.id, self._share.index, "is sent" if whole else "holds still")
        return whole


def patiently(act: Callable[[], T], patience_s: float) -> T:
    """Do it, again for `patience_s` while the store does not answer."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return act()
        except Unavailable as error:
            if not _of_store(error) or time.monotonic() > deadline:
                raise
            log.warning("%s", error)
            time.sleep(LOOK_EVERY_S)


def _of_store(error: DecantError) -> bool:
    return isinstance(error, Unavailable) and error.part == STORE


def _share(count: int) -> Share:
    """Raises InvalidInput outside an indexed Job."""
    index = os.environ.get(INDEX, "")
    if not index.isdigit() or not int(index) < count:
        raise InvalidInput(
            f"{INDEX} is “{index}”, which is no share of {count}.",
            "Only the pods of an indexed Job run this, which the worker makes for a large replay.",
        )
    return Share(int(index), count)


def main() -> int:
    """Build the services and send. Returns the exit code."""
    from services.factory import build_services  # as the worker: see .importlinter

    parser = argparse.ArgumentParser()
    parser.add_argument("replay", type=int)
    parser.add_argument("--of", type=int, required=True)
    asked = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        share, settings = _share(asked.of), load_settings()
        services = patiently(lambda: build_services(settings), OUTAGE_S)
        sender = ReplaySender(services.store, services.engine, settings, asked.replay, share)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sender.stop())
        try:
            return sender.run()
        except NotFound as error:
            if error.kind != "replay":
                raise
            log.info("%s Nothing is left to send.", error)
            return 0
        finally:
            services.close()
    except DecantError as error:
        log.error("%s", error)
        with suppress(OSError):
            if LAST_WORDS.exists():
                LAST_WORDS.write_text(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
