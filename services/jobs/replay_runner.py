"""The worker's side of one replay: who sends it, and what its record says in the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.datasets import ReplayDatasets
from services.deployments.engine import Engine
from services.deployments.senders import Senders
from services.errors import DecantError, Forbidden, Rejected, StartFailed
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.jobs.replay_hooks import WorkerHooks
from services.jobs.replay_job import SharedSending
from services.jobs.replay_run import ledger_progress, make_plan, relay_for
from services.jobs.replay_values import progress_to_json, replay_of
from services.jobs.states import LIVE_STATES, JobState
from services.settings import Settings
from services.traffic.order import most_shares
from services.traffic.replay import Progress, StopSignal
from services.traffic.replayer import run_replay

log = logging.getLogger(__name__)


class ReplayRunner:
    """Runs replays whose lease the caller holds. Thread-safe.

    `senders` share large ones; without them, and where the store is one machine's own, this process sends all.
    """

    def __init__(
        self,
        store: EvidenceStore,
        engine: Engine,
        settings: Settings,
        datasets: ReplayDatasets,
        senders: Senders | None,
        patience_s: float,
        outage_s: float,
    ) -> None:
        self._store, self._engine, self._settings, self._datasets = store, engine, settings, datasets
        self._senders = senders if store.leases.shared else None
        self._patience_s, self._outage_s = patience_s, outage_s

    def run(self, record: ReplayRecord, signal: StopSignal, lease: str) -> None:
        """Have the missing rows sent, and write down how that ended, if it did and the lease is still ours."""
        started = {"state": JobState.RUNNING.value, "started_at": record.started_at or datetime.now(UTC)}
        if not self._move(record.id, LIVE_STATES, **started):
            return
        before = ledger_progress(self._store, record)
        if record.cancel_requested:  # of a worker that died before it noticed
            self._remove_senders(record)
            self._finish(record.id, JobState.CANCELLED, "", before)
            return
        log.info("replay %d of %s/%s: %d rows", record.id, record.namespace, record.deployment, record.total)
        hooks = WorkerHooks(self._store, self._engine, record, signal, before, lease)
        shared = self._shared(record, hooks, signal)
        state, message = JobState.FAILED, "It ended by an unexpected error; see the worker's log."
        try:
            began = time.monotonic()
            latest = self._send(record, shared, hooks, signal, before)
            pace = (latest.done - before.done) / max(time.monotonic() - began, 1e-9)
            hooks.latest = hooks.named(replace(latest, rows_per_s=pace))
            complete = latest.done >= record.total
            state, message = (JobState.DONE if complete else JobState.CANCELLED), ""
        except DecantError as error:
            message = str(error)
        finally:
            if hooks.lost or not self._store.leases.holds(lease):
                log.warning("replay %d: another worker goes on with it", record.id)
            elif hooks.paused and state is not JobState.DONE:
                self._note(record.id, hooks.latest)
            elif state is JobState.CANCELLED and not hooks.cancelled:
                log.info("replay %d waits for the next worker", record.id)
            else:
                self._finish(record.id, state, message, hooks.latest)
        if shared is not None and hooks.senders > 1 and state is JobState.DONE:
            shared.tidy()

    def _shared(self, record: ReplayRecord, hooks: WorkerHooks, signal: StopSignal) -> SharedSending | None:
        """The Job that sends it; None where one process does. What a Job has begun, a Job goes on with."""
        if self._senders is None:
            return None
        replay, least = replay_of(record), self._settings.replay_job_rows
        shares = most_shares(replay.spec, self._settings.replay_job_workers)
        large = least and record.total >= least and shares > 1
        if not large and replay.senders < 2:
            return None
        return SharedSending(self._store, self._senders, record, hooks, signal, shares, self._patience_s)

    def _send(
        self,
        record: ReplayRecord,
        shared: SharedSending | None,
        hooks: WorkerHooks,
        signal: StopSignal,
        before: Progress,
    ) -> Progress:
        if before.done >= record.total:  # of a Job that ended while no worker watched
            known = replay_of(record)
            hooks.senders, hooks.sent_by = known.senders, known.sent_by
            return replace(before, errors=known.errors, busy=known.busy)
        if shared is not None:
            try:
                return shared.run()
            except (Forbidden, StartFailed, Rejected) as error:
                log.warning("replay %d is sent by this worker alone: %s", record.id, error)
                hooks.sent_by = f"one worker, since there can be no Job. {error}"
        return self._send_here(record, hooks, signal, before)

    def _send_here(self, record: ReplayRecord, hooks: WorkerHooks, signal: StopSignal, before: Progress) -> Progress:
        """Send it from this process; `busy` is that of the whole run."""
        dataset = self._datasets.load(str(record.spec["dataset"]), str(record.spec["digest"]))
        plan = make_plan(self._store, self._settings, record, dataset, self._patience_s, self._outage_s)
        began, cpu = time.monotonic(), time.process_time()
        latest = asyncio.run(run_replay(plan, hooks, signal, before.arms, relay_for(self._engine, record.who)))
        return replace(latest, busy=(time.process_time() - cpu) / max(time.monotonic() - began, 1e-9))

    def _remove_senders(self, record: ReplayRecord) -> None:
        if self._senders is None or replay_of(record).senders < 2:
            return
        try:
            self._senders.remove(record.id)
        except DecantError as error:  # they stop by themselves: they read that the replay was cancelled
            log.warning("the senders of replay %d could not be removed: %s", record.id, error)

    def _note(self, replay_id: int, latest: Progress) -> None:
        """How far a replay is that was paused and maybe cancelled since: its state is somebody else's to say."""
        values = {"cursor": latest.done, "counters": progress_to_json(latest)}
        self._move(replay_id, [JobState.PAUSED, JobState.CANCELLED, JobState.QUEUED], **values)
        log.info("replay %d: paused after %d rows", replay_id, latest.done)

    def _finish(self, replay_id: int, state: JobState, message: str, latest: Progress) -> None:
        self._move(
            replay_id,
            (*LIVE_STATES, JobState.PAUSED) if state is JobState.DONE else LIVE_STATES,  # paused after its last row
            state=state.value,
            message=message,
            finished_at=datetime.now(UTC),
            cursor=latest.done,
            counters=progress_to_json(latest),
        )
        log.info("replay %d: %s after %d rows %s", replay_id, state, latest.done, message)

    def _move(self, replay_id: int, origins: Sequence[JobState], **values: Any) -> bool:
        return self._store.replays.move(replay_id, [state.value for state in origins], **values)
