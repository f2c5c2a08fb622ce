"""Replays as jobs: asked for by a page or a command, run by the worker, resumed after whatever killed it.

What is left to send is not remembered anywhere: it is the rows asked for minus the rows in the ledger. So a worker that
was killed leaves nothing half true, and the next one sends exactly the missing rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.datasets import ReplayDatasets
from services.deployments.engine import Engine
from services.deployments.senders import Senders
from services.domain import Deployment
from services.errors import InvalidInput
from services.evidence.store import EvidenceStore
from services.jobs.previews import preview_replay
from services.jobs.queue import JobQueue, enqueue_replay
from services.jobs.replay_columns import SignatureOf, with_columns
from services.jobs.replay_runner import ReplayRunner
from services.jobs.replay_values import Replay, replay_of, spec_to_json
from services.jobs.states import LIVE_STATES, JobState
from services.settings import Settings
from services.traffic.order import rows_to_send
from services.traffic.preview import Preview
from services.traffic.replay import ReplayMode, ReplaySpec, StopSignal
from services.traffic.reward_check import check_reward
from services.traffic.sending import OUTAGE_S, PATIENCE_S

__all__ = ["Replay", "ReplayJobs"]

STOP_GRACE_S = 3.0
"""The same when the worker is told to stop: longer, because a row given up here is sent again later."""

_LEASE = "replay:"
_ENDED_EARLY = (JobState.PAUSED, JobState.CANCELLED, JobState.FAILED)


class ReplayJobs:
    """Submits, shows, pauses, cancels and (in the worker) runs replays. Thread-safe."""

    def __init__(
        self,
        store: EvidenceStore,
        queue: JobQueue,
        engine: Engine,
        settings: Settings,
        patience_s: float = PATIENCE_S,
        outage_s: float = OUTAGE_S,
        begin_test: Callable[[ReplaySpec, str], object] | None = None,
        senders: Senders | None = None,
        signature_of: SignatureOf | None = None,
    ) -> None:
        self._store, self._queue, self._engine, self._settings = store, queue, engine, settings
        self._begin_test, self._signature_of = begin_test, signature_of
        self._datasets = ReplayDatasets(store.files, settings)
        self._runner = ReplayRunner(store, engine, settings, self._datasets, senders, patience_s, outage_s)
        self._lock = threading.Lock()
        self._active: dict[int, StopSignal] = {}
        self._halting = False

    def submit(self, spec: ReplaySpec, *, who: str) -> Replay:
        """Check everything that can be checked, then queue it. A paired replay that names no arms gets the first two.

        Raises InvalidInput, NotFound (deployment, predictor, dataset) and Unavailable.
        """
        status = self._engine.get(spec.namespace, spec.deployment)
        if spec.mode == ReplayMode.PAIRED and not spec.arms:
            spec = replace(spec, arms=default_arms(status.deployment))
        spec = spec.validated()
        for predictor in (*spec.arms, *filter(None, [spec.predictor])):
            status.deployment.predictor(predictor)
        dataset = self._datasets.load(spec.dataset)
        dataset.features(spec.target)
        check_reward(spec.reward, dataset.truths(spec.target))
        total = rows_to_send(spec, dataset.rows)
        if not total:
            raise InvalidInput(f"{dataset.name} has {dataset.rows:,} rows: none is left from row {spec.start} on.")
        if self._begin_test is not None and spec.mode is not ReplayMode.PINNED:
            self._begin_test(spec, who)  # before the first row, so that its rule is older than all it judges
        self._datasets.keep(dataset)
        spec = with_columns(spec, status.deployment, dataset, self._signature_of)
        stored = {**spec_to_json(spec), "digest": dataset.digest, "feedback": spec.feedback}
        record = self._store.replays.add(spec.namespace, spec.deployment, stored, total, JobState.QUEUED.value, who)
        enqueue_replay(self._queue, record.id)
        return replay_of(record)

    def size(self, spec: ReplaySpec) -> tuple[str, int]:
        """The digest of its dataset, and how many rows it would send, all passes together. Raises NotFound."""
        dataset = self._datasets.load(spec.dataset)
        return dataset.digest, rows_to_send(spec, dataset.rows)

    def preview(self, spec: ReplaySpec, *, who: str) -> Preview:
        """What the arms answer to a few of its rows; see `preview_replay`."""
        return preview_replay(self._engine, self._settings, spec, who, self._signature_of)

    def get(self, replay_id: int) -> Replay:
        """Raises NotFound."""
        return replay_of(self._store.replays.get(replay_id))

    def recent(self, namespace: str | None = None, deployment: str | None = None, limit: int = 20) -> list[Replay]:
        """Newest first."""
        return [replay_of(record) for record in self._store.replays.recent(namespace, deployment, limit)]

    def pause(self, replay_id: int) -> None:
        """Hold it within about a second, until somebody resumes it, whatever is restarted meanwhile.

        Nothing happens if it is not under way. NotFound.
        """
        self._store.replays.get(replay_id)
        self._move(replay_id, LIVE_STATES, state=JobState.PAUSED.value)

    def cancel(self, replay_id: int) -> None:
        """Stop it within about a second; what was sent stays recorded. Nothing happens if it has ended. NotFound."""
        self._store.replays.get(replay_id)
        now = datetime.now(UTC)
        if self._move(replay_id, [JobState.QUEUED, JobState.PAUSED], state=JobState.CANCELLED.value, finished_at=now):
            return
        self._move(replay_id, [JobState.RUNNING], cancel_requested=True)

    def resume(self, replay_id: int) -> Replay:
        """Queue a paused, cancelled or failed replay again: it sends the rows that are not in the ledger. NotFound."""
        reset = {"state": JobState.QUEUED.value, "cancel_requested": False, "message": "", "finished_at": None}
        if self._move(replay_id, _ENDED_EARLY, **reset):
            enqueue_replay(self._queue, replay_id)
        return self.get(replay_id)

    # -- in the worker ---------------------------------------------------------------------------------------------

    def recover(self) -> list[int]:
        """The replays that a worker left behind, all of which can go on."""
        taken = self._store.leases.holders(_LEASE)
        found = self._store.replays.in_state([s.value for s in LIVE_STATES])
        return [record.id for record in found if _lease(record.id) not in taken]

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
            if self._store.leases.take(_lease(replay_id)):  # else another worker is at it
                self._runner.run(self._store.replays.get(replay_id), signal, _lease(replay_id))
        finally:
            self._store.leases.release(_lease(replay_id))
            with self._lock:
                del self._active[replay_id]

    def _move(self, replay_id: int, origins: Sequence[JobState], **values: Any) -> bool:
        return self._store.replays.move(replay_id, [state.value for state in origins], **values)


def _lease(replay_id: int) -> str:
    return f"{_LEASE}{replay_id}"


def default_arms(deployment: Deployment) -> tuple[str, ...]:
    """Champion and challenger where nobody says: the first two predictors that answer requests.

    Raises InvalidInput if there is only one.
    """
    live = [predictor.name for predictor in deployment.predictors if not predictor.shadow]
    if len(live) < 2:
        raise InvalidInput(
            f"{deployment.name} has only one arm, so there is no pair.", "Deploy a second model, or replay to one arm."
        )
    return tuple(live[:2])
