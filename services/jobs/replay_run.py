"""One run of a replay: what is left to send, and what it asks of the engine and the store while it sends.

What is left is never remembered; it is worked out from the ledger each time, so there is nothing that could be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.deployments.engine import Engine
from services.domain import Endpoint, Outcome
from services.errors import DecantError, InvalidInput
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.jobs.replay_values import counters_of, progress_to_json, spec_from_json
from services.jobs.states import JobState
from services.operations import split_text
from services.settings import Settings
from services.traffic.datasets import Dataset
from services.traffic.order import sending_order
from services.traffic.replay import Progress, ReplayPlan, ReplayRow, ReplaySpec, StopSignal

STOP_SOON_S = 0.4
"""Rows under way at a cancel or pause may finish for this long; with the time to notice it, under a second in all."""


def ledger_progress(store: EvidenceStore, record: ReplayRecord) -> Progress:
    """How far a replay is by what the ledger holds of it. A pair is one row; its halves are recorded together."""
    arms = tuple(counters_of(arm) for arm in store.arm_ledger(record.id))
    halves = max(1, len(spec_from_json(record.spec).arms))
    return Progress(sum(arm.sent for arm in arms) // halves, arms, 0.0, ())


def make_plan(
    store: EvidenceStore,
    settings: Settings,
    record: ReplayRecord,
    dataset: Dataset,
    patience_s: float,
    outage_s: float,
) -> ReplayPlan:
    """The rows that are missing and how to send them.

    Raises InvalidInput if the dataset is another than when the replay was asked for.
    """
    spec = spec_from_json(record.spec)
    if dataset.digest != record.spec["digest"]:
        raise InvalidInput(f"{spec.name} has changed since the replay was asked for.", "Start a new one.")
    return ReplayPlan(
        replay=record.id,
        namespace=spec.namespace,
        deployment=spec.deployment,
        names=tuple(dataset.features(spec.target)),
        rows=_missing_rows(spec, dataset, store.recorded_rows(record.id)),
        reward=spec.reward,
        predictor=spec.predictor,
        arms=spec.arms,
        rate=spec.rate,
        concurrency=spec.concurrency,
        digest=dataset.digest,
        timeout_s=settings.request_timeout_s,
        patience_s=patience_s,
        outage_s=outage_s,
    )


def _missing_rows(spec: ReplaySpec, dataset: Dataset, recorded: set[tuple[int, int]]) -> Iterator[ReplayRow]:
    """Made as they are taken: passes would otherwise multiply what is held."""
    values, truths = dataset.feature_rows(spec.target), dataset.truths(spec.target)
    for pass_, row in sending_order(spec, dataset.rows):
        if (pass_, row) not in recorded:
            yield ReplayRow(row, values[row], truths[row], pass_)


class Hooks:
    """What a running replay asks of the engine and the store; `latest` is how far it is.

    `lease` is the name under which this worker holds the replay; without it, it stops.
    """

    def __init__(
        self,
        store: EvidenceStore,
        engine: Engine,
        record: ReplayRecord,
        signal: StopSignal,
        latest: Progress,
        lease: str,
    ) -> None:
        self._store, self._engine, self._record, self._signal = store, engine, record, signal
        self._lease = lease
        self.latest = latest
        self.cancelled = self.paused = self.lost = False

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

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        """One transaction for the outcomes, then a note of how far it is; the second may be lost without harm."""
        self._store.record_outcomes(outcomes)
        self.latest = progress
        if not self._store.leases.holds(self._lease):
            self.lost = True
            self._signal.request(STOP_SOON_S)
            return
        if self._store.replays.progress(self._record.id, progress.done, progress_to_json(progress)):
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
