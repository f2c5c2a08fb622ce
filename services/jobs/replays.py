"""Replays as jobs: asked for by a page or a command, run by the worker, resumed after whatever killed it.

What is left to send is not remembered anywhere: it is the rows asked for minus the rows in the ledger. So a worker that
was killed leaves nothing half true, and the next one sends exactly the missing rows.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from services.deployments.engine import Engine
from services.domain import Endpoint, Outcome
from services.errors import DecantError, InvalidInput, InvalidPayload
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.jobs.queue import JobQueue, enqueue_replay
from services.jobs.replay_values import (
    Replay,
    counters_of,
    progress_to_json,
    replay_of,
    spec_from_json,
    spec_to_json,
)
from services.jobs.states import JobState
from services.operations import split_text
from services.settings import Settings
from services.traffic.datasets import Dataset, load_dataset
from services.traffic.replay import Progress, ReplayPlan, ReplayRow, ReplaySpec, StopSignal
from services.traffic.replayer import run_replay
from services.traffic.sending import PATIENCE_S

__all__ = ["Replay", "ReplayJobs"]

log = logging.getLogger(__name__)

CANCEL_GRACE_S = 0.4
"""Rows under way at a cancel may finish for this long; with the time to notice it, under a second in all."""

STOP_GRACE_S = 3.0
"""The same when the worker is told to stop: longer, because a row given up here is sent again later."""

_LIVE_STATES = (JobState.QUEUED, JobState.RUNNING)


class ReplayJobs:
    """Submits, shows, cancels and (in the worker) runs replays. Thread-safe."""

    def __init__(
        self,
        store: EvidenceStore,
        queue: JobQueue,
        engine: Engine,
        settings: Settings,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._store, self._queue, self._engine, self._settings = store, queue, engine, settings
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._active: dict[int, StopSignal] = {}
        self._halting = False

    def submit(self, spec: ReplaySpec, *, who: str) -> Replay:
        """Check everything that can be checked, then queue it.

        Raises InvalidInput, NotFound (deployment, predictor, dataset) and Unavailable.
        """
        spec = spec.validated()
        status = self._engine.get(spec.namespace, spec.deployment)
        if spec.predictor:
            status.deployment.predictor(spec.predictor)
        dataset = load_dataset(spec.dataset, self._settings.max_upload_mb)
        _check_reward(spec, dataset)
        total = len(_order(spec, dataset))
        if not total:
            raise InvalidInput(f"{dataset.name} has {dataset.rows} rows: none is left from row {spec.start} on.")
        stored = {**spec_to_json(spec), "digest": dataset.digest}
        record = self._store.replays.add(spec.namespace, spec.deployment, stored, total, JobState.QUEUED.value, who)
        enqueue_replay(self._queue, record.id)
        return replay_of(record)

    def get(self, replay_id: int) -> Replay:
        """Raises NotFound."""
        return replay_of(self._store.replays.get(replay_id))

    def recent(self, namespace: str | None = None, deployment: str | None = None, limit: int = 20) -> list[Replay]:
        """Newest first."""
        return [replay_of(record) for record in self._store.replays.recent(namespace, deployment, limit)]

    def cancel(self, replay_id: int) -> None:
        """Stop it within about a second; what was sent stays recorded. Nothing happens if it has ended. NotFound."""
        self._store.replays.get(replay_id)
        now = datetime.now(UTC)
        if self._move(replay_id, [JobState.QUEUED], state=JobState.CANCELLED.value, finished_at=now):
            return
        self._move(replay_id, [JobState.RUNNING], cancel_requested=True)

    def resume(self, replay_id: int) -> Replay:
        """Queue a cancelled or failed replay again: it sends the rows that are not in the ledger. NotFound."""
        reset = {"state": JobState.QUEUED.value, "cancel_requested": False, "message": "", "finished_at": None}
        if self._move(replay_id, [JobState.CANCELLED, JobState.FAILED], **reset):
            enqueue_replay(self._queue, replay_id)
        return self.get(replay_id)

    # -- in the worker ---------------------------------------------------------------------------------------------

    def recover(self) -> list[int]:
        """The replays that a worker left behind, all of which can go on."""
        return [record.id for record in self._store.replays.in_state([s.value for s in _LIVE_STATES])]

    def waiting(self) -> list[int]:
        """The replays that nobody works on: not taken up yet, or dropped when the store did not answer in between."""
        with self._lock:
            active = set(self._active)
        return [number for number in self.recover() if number not in active]

    def stop(self) -> None:
        """Let running replays stop at the next row; they stay `running`, to be resumed by the next worker."""
        with self._lock:
            self._halting = True
            for signal in self._active.values():
                signal.request(STOP_GRACE_S)

    def run(self, replay_id: int) -> None:
        """Send what is missing of a replay, until it is done, cancelled or failed, or `stop` is called."""
        signal = StopSignal()
        with self._lock:
            if self._halting or replay_id in self._active:
                return
            self._active[replay_id] = signal
        try:
            self._run(self._store.replays.get(replay_id), signal)
        finally:
            with self._lock:
                del self._active[replay_id]

    def _run(self, record: ReplayRecord, signal: StopSignal) -> None:
        if JobState(record.state).final:
            return
        started = {"state": JobState.RUNNING.value, "started_at": record.started_at or datetime.now(UTC)}
        if not self._move(record.id, _LIVE_STATES, **started):
            return
        if record.cancel_requested:  # of a worker that died before it noticed
            arms = tuple(counters_of(arm) for arm in self._store.arm_ledger(record.id))
            self._finish(record.id, JobState.CANCELLED, "", Progress(sum(arm.sent for arm in arms), arms, 0.0, ()))
            return
        log.info("replay %d of %s/%s: %d rows", record.id, record.namespace, record.deployment, record.total)
        hooks = _Hooks(self._store, self._engine, record, signal)
        state, message = JobState.FAILED, "It ended by an unexpected error; see the worker's log."
        try:
            plan = self._plan(record)
            before = [counters_of(arm) for arm in self._store.arm_ledger(record.id)]
            began = time.monotonic()
            hooks.latest = Progress(sum(arm.sent for arm in before), tuple(before), 0.0, ())
            first = hooks.latest.done
            hooks.latest = asyncio.run(run_replay(plan, hooks, signal, before))
            pace = (hooks.latest.done - first) / max(time.monotonic() - began, 1e-9)
            hooks.latest = replace(hooks.latest, rows_per_s=pace)
            complete = hooks.latest.done >= record.total
            state, message = (JobState.DONE if complete else JobState.CANCELLED), ""
        except DecantError as error:
            message = str(error)
        finally:
            if state is JobState.CANCELLED and not hooks.cancelled:
                log.info("replay %d waits for the next worker", record.id)
            else:
                self._finish(record.id, state, message, hooks.latest)

    def _finish(self, replay_id: int, state: JobState, message: str, latest: Progress) -> None:
        self._move(
            replay_id,
            _LIVE_STATES,
            state=state.value,
            message=message,
            finished_at=datetime.now(UTC),
            cursor=latest.done,
            counters=progress_to_json(latest),
        )
        log.info("replay %d: %s after %d rows %s", replay_id, state, latest.done, message)

    def _plan(self, record: ReplayRecord) -> ReplayPlan:
        spec = spec_from_json(record.spec)
        dataset = load_dataset(spec.dataset, self._settings.max_upload_mb)
        if dataset.digest != record.spec["digest"]:
            raise InvalidInput(f"{dataset.name} has changed since the replay was asked for.", "Start a new one.")
        recorded = self._store.recorded_rows(record.id)
        values, truths = dataset.feature_rows(spec.target), dataset.truths(spec.target)
        missing = [index for index in _order(spec, dataset) if (0, index) not in recorded]
        return ReplayPlan(
            replay=record.id,
            namespace=spec.namespace,
            deployment=spec.deployment,
            names=tuple(dataset.features(spec.target)),
            rows=[ReplayRow(index, values[index], truths[index]) for index in missing],
            reward=spec.reward,
            predictor=spec.predictor,
            rate=spec.rate,
            concurrency=spec.concurrency,
            timeout_s=self._settings.request_timeout_s,
            patience_s=self._patience_s,
        )

    def _move(self, replay_id: int, origins: Sequence[JobState], **values: Any) -> bool:
        return self._store.replays.move(replay_id, [state.value for state in origins], **values)


class _Hooks:
    """What a running replay asks of the engine and the store."""

    def __init__(self, store: EvidenceStore, engine: Engine, record: ReplayRecord, signal: StopSignal) -> None:
        self._store, self._engine, self._record, self._signal = store, engine, record, signal
        self.latest = Progress(record.cursor, (), 0.0, ())
        self.cancelled = False

    def endpoint(self, predictor: str | None) -> Endpoint:
        return self._engine.endpoint(self._record.namespace, self._record.deployment, predictor)

    def segment(self) -> str:
        status = self._engine.get(self._record.namespace, self._record.deployment)
        return split_text(status.in_force or status.requested)

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        self._store.record_outcomes(outcomes)
        self.latest = progress
        if self._store.replays.progress(self._record.id, progress.done, progress_to_json(progress)):
            self.cancelled = True
            self._signal.request(CANCEL_GRACE_S)


def _order(spec: ReplaySpec, dataset: Dataset) -> list[int]:
    """The rows to send, in order: the file's, or shuffled; then `rows` of them from `start` on."""
    order = np.arange(dataset.rows)
    if spec.shuffle_seed is not None:
        order = np.random.default_rng(spec.shuffle_seed).permutation(dataset.rows)
    end = None if spec.rows is None else spec.start + spec.rows
    return [int(index) for index in order[spec.start : end]]


def _check_reward(spec: ReplaySpec, dataset: Dataset) -> None:
    """Refuse a reward that no row of the target can earn, before anything is sent."""
    dataset.features(spec.target)
    for truth in dataset.truths(spec.target):
        try:
            spec.reward(truth, truth)
        except InvalidPayload as error:
            raise InvalidInput(
                f"“{spec.reward.label}” needs numbers, and the target “{spec.target}” holds “{truth}”.",
                "Use hit or miss for classes.",
            ) from error
