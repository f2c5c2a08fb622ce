"""One run of a replay: what is left to send.

What is left is never remembered; it is worked out from the ledger each time, so there is nothing that could be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.deployments.engine import Engine
from services.domain import Relay
from services.errors import InvalidInput
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.jobs.replay_values import counters_of, spec_from_json
from services.settings import Settings
from services.traffic.datasets import Dataset
from services.traffic.order import WHOLE, Share, sending_order
from services.traffic.replay import Progress, ReplayPlan, ReplayRow, ReplaySpec

GATEWAY_FIRST_S = 2.0
"""The gateway gives up a request this much sooner than we do: its refusal names the arm that did not answer."""


def ledger_progress(store: EvidenceStore, record: ReplayRecord) -> Progress:
    """How far a replay is by what the ledger holds of it. A pair is one row; its halves are recorded together."""
    arms = tuple(counters_of(arm) for arm in store.arm_ledger(record.id))
    halves = max(1, len(spec_from_json(record.spec).arms))
    return Progress(sum(arm.sent for arm in arms) // halves, arms, 0.0, ())


def relay_for(engine: Engine, who: str) -> Relay | None:
    """The way to arms without an address here, for what `who` asked to be sent; None where all have one."""
    return engine.relay.for_person(who) if engine.relay else None


def make_plan(
    store: EvidenceStore,
    settings: Settings,
    record: ReplayRecord,
    dataset: Dataset,
    patience_s: float,
    outage_s: float,
    share: Share = WHOLE,
) -> ReplayPlan:
    """The rows of the share that are missing and how to send them.

    Raises InvalidInput if the dataset is another than when the replay was asked for.
    """
    spec = share.of(spec_from_json(record.spec))
    if dataset.digest != record.spec["digest"]:
        raise InvalidInput(f"{spec.name} has changed since the replay was asked for.", "Start a new one.")
    names = spec.sent_of(dataset.features(spec.target))
    return ReplayPlan(
        replay=record.id,
        namespace=spec.namespace,
        deployment=spec.deployment,
        names=names,
        rows=_missing_rows(spec, dataset, names, store.recorded_rows(record.id), share),
        reward=spec.reward,
        predictor=spec.predictor,
        arms=spec.arms,
        rate=spec.rate,
        concurrency=spec.concurrency,
        digest=dataset.digest,
        timeout_s=settings.request_timeout_s + GATEWAY_FIRST_S,
        patience_s=patience_s,
        outage_s=outage_s,
        columns=spec.columns,
    )


def _missing_rows(
    spec: ReplaySpec, dataset: Dataset, names: tuple[str, ...], recorded: set[tuple[int, int]], share: Share
) -> Iterator[ReplayRow]:
    """Made as they are taken: passes would otherwise multiply what is held."""
    values, truths = dataset.feature_rows(spec.target, names), dataset.truths(spec.target)
    for place, (pass_, row) in enumerate(sending_order(spec, dataset.rows)):
        if share.takes(place) and (pass_, row) not in recorded:
            yield ReplayRow(row, values[row], truths[row], pass_)
