"""The preview of a replay: its rows and its arms, taken the way the replay itself would take them."""

from __future__ import annotations

import asyncio

import numpy as np

from services.deployments.engine import Engine
from services.errors import InvalidInput
from services.jobs.replay_columns import SignatureOf, arms_of, with_columns
from services.jobs.replay_run import relay_for
from services.settings import Settings
from services.traffic.datasets import load_dataset
from services.traffic.order import chosen_rows
from services.traffic.preview import PREVIEW_ROWS, Preview, preview
from services.traffic.replay import ReplayRow, ReplaySpec

SEED = 0
"""The same spec always previews the same rows."""


def preview_replay(
    engine: Engine, settings: Settings, spec: ReplaySpec, who: str, signature_of: SignatureOf | None = None
) -> Preview:
    """Send up to PREVIEW_ROWS of the rows of `spec`, taken at random, to each of its arms; nothing is recorded.

    The arms are those of `spec`: the pair, the one it is pinned to, or for live traffic the first two. Where requests
    pass an API server, the rights of `who` decide.

    Raises InvalidInput, NotFound (deployment, predictor, dataset) and Unavailable.
    """
    deployment = engine.get(spec.namespace, spec.deployment).deployment
    arms = arms_of(spec, deployment)[:2]
    endpoints = {arm: engine.endpoint(spec.namespace, spec.deployment, arm) for arm in arms}
    dataset = load_dataset(spec.dataset, settings.max_upload_mb)
    chosen = np.array(chosen_rows(spec, dataset.rows), dtype=np.int64)
    if not chosen.size:
        raise InvalidInput(f"{spec.name} has {dataset.rows:,} rows: none is left from row {spec.start} on.")
    if chosen.size > PREVIEW_ROWS:
        chosen = np.sort(np.random.default_rng(SEED).choice(chosen, PREVIEW_ROWS, replace=False))
    spec = with_columns(spec, deployment, dataset, signature_of)
    names = spec.sent_of(dataset.features(spec.target))
    values, truths = dataset.feature_rows(spec.target, names), dataset.truths(spec.target)
    rows = [ReplayRow(int(index), values[index], truths[index]) for index in chosen]
    timeout_s, relay = settings.request_timeout_s, relay_for(engine, who)
    return asyncio.run(preview(endpoints, rows, names, timeout_s, relay, columns=spec.columns))
