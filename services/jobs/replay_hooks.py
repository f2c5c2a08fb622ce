"""What a running replay asks of the engine and the store while it sends.

The worker's hooks write the replay's record; those of a sender that has a share of it only read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.deployments.engine import Engine
from services.deployments.history_text import split_text
from services.domain import Endpoint, Outcome
from services.errors import DecantError
from services.evidence.replay_table import ReplayRecord
from services.evidence.share_table import ShareRecord
from services.evidence.store import EvidenceStore
from services.jobs.replay_values import progress_to_json
from services.jobs.states import JobState
from services.traffic.order import Share
from services.traffic.replay import Progress, StopSignal
from services.traffic.replayer import KEPT_ERRORS

STOP_SOON_S = 0.4
"""Rows under way at a cancel or pause may finish for this long; with the time to notice it, under a second in all."""


class SendingHooks:
    """The engine's part. `lease` is the name under which this process holds what it sends; without it, it stops."""

    def __init__(
        self, store: EvidenceStore, engine: Engine, record: ReplayRecord, signal: StopSignal, lease: str
    ) -> None:
        self._store, self._engine, self._record, self._signal = store, engine, record, signal
        self._lease = lease
        self.lost = False

    def endpoint(self, predictor: str | None) -> Endpoint:
        return self._engine.endpoint(self._record.namespace, self._record.deployment, predictor)

    def segment(self) -> str:
        status = self._engine.get(self._record.namespace, self._record.deployment)
        return split_text(status.in_force or status.requested)

    def down(self, arm: str) -> bool:
        try:
            status = self._engine.get(self._record.namespace, self._record.deployment)
        except DecantError:
            return True  # an engine that is away says nothing against the row
        ready = {p.name for p in status.predictors if p.ready}
        return arm not in ready if arm else not ready

    def _kept(self) -> bool:
        """Whether this process still holds its lease; if not, it is told to stop."""
        if self._store.leases.holds(self._lease):
            return True
        self.lost = True
        self._signal.request(STOP_SOON_S)
        return False


class WorkerHooks(SendingHooks):
    """Those of the worker, who alone writes the record. `latest` is how far the replay is; `senders` and `sent_by` go
    with it."""

    def __init__(
        self,
        store: EvidenceStore,
        engine: Engine,
        record: ReplayRecord,
        signal: StopSignal,
        latest: Progress,
        lease: str,
    ) -> None:
        super().__init__(store, engine, record, signal, lease)
        self.latest = latest
        self.cancelled = self.paused = False
        self.senders, self.sent_by = 1, ""

    def named(self, progress: Progress) -> Progress:
        """The progress with who sends it."""
        return replace(progress, senders=self.senders, sent_by=self.sent_by)

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        """One transaction for the outcomes, then a note of how far it is; the second may be lost without harm."""
        self._store.record_outcomes(outcomes)
        self.latest = self.named(progress)
        if not self._kept():
            return
        if self._store.replays.progress(self._record.id, progress.done, progress_to_json(self.latest)):
            self.cancelled = True
            self._signal.request(STOP_SOON_S)
        elif not self._signal.requested and not self._still_wanted():
            self.paused = True
            self._signal.request(STOP_SOON_S)

    def _still_wanted(self) -> bool:
        """False once it was paused (or paused and cancelled); paused and resumed in one breath, it just goes on."""
        if self._store.replays.get(self._record.id).state == JobState.RUNNING.value:
            return True
        return self._store.replays.move(self._record.id, [JobState.QUEUED.value], state=JobState.RUNNING.value)


class ShareHooks(SendingHooks):
    """Those of a sender with a share. What it has to say goes into a row of its own."""

    def __init__(
        self,
        store: EvidenceStore,
        engine: Engine,
        record: ReplayRecord,
        signal: StopSignal,
        lease: str,
        share: Share,
        said: ShareRecord | None,
    ) -> None:
        super().__init__(store, engine, record, signal, lease)
        self._share = share
        self._before = tuple(said.errors) if said else ()
        self._said = said or ShareRecord(record.id, share.index, share.count)

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        """Record the outcomes, say how it goes, and stop if nobody wants the replay any more."""
        self._store.record_outcomes(outcomes)
        if not self._kept():
            return
        self.say(progress)
        if not self._signal.requested and not wanted(self._store, self._record.id):
            self._signal.request(STOP_SOON_S)

    def say(self, progress: Progress) -> None:
        """Write down how it goes."""
        errors = (*self._before, *progress.errors)[-KEPT_ERRORS:]
        index, count = self._share.index, self._share.count
        self._said = ShareRecord(self._record.id, index, count, progress.busy, errors, progress.waiting)
        self._store.shares.put(self._said)

    def fail(self, why: str) -> None:
        """Write down why it ends for good."""
        self._store.shares.put(replace(self._said, waiting="", failure=why))


def wanted(store: EvidenceStore, replay_id: int) -> bool:
    """Whether the rows of a replay are to be sent now: not while it is paused, nor once it has ended.

    Queued means that somebody has just resumed it, and its worker will see that. Raises Unavailable, NotFound.
    """
    record = store.replays.get(replay_id)
    return record.state in (JobState.RUNNING.value, JobState.QUEUED.value) and not record.cancel_requested
