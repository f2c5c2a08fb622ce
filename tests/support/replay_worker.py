"""A real worker process for tests: the real store, queue, jobs and worker, with deployments made of air.

python -m tests.support.replay_worker STATE_DIR GATEWAY_URL [DATABASE_URL [QUEUE_URL]]
"""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

from services.domain import ChangeNote, Deployment, Predictor
from services.evidence.database import open_database
from services.evidence.leases import Leases
from services.evidence.store import EvidenceStore
from services.jobs.queue import JobKind, open_queue
from services.jobs.replays import ReplayJobs
from services.jobs.worker import work
from services.settings import Settings
from tests.support.memory_engine import MemoryEngine

LEASE_S = 3.0
"""What a killed worker held is free after this: sooner than in real life, so that tests need not wait for it."""

WINE = Deployment(
    "seldon", "wine", (Predictor("a", "models:/m-1", traffic=80), Predictor("b", "models:/m-2", traffic=20))
)


def wine_engine(gateway_url: str) -> MemoryEngine:
    """An engine that knows one deployment, seldon/wine, with arms a and b."""
    engine = MemoryEngine(gateway_url)
    engine.apply(WINE, note=ChangeNote("test"))
    return engine


def replay_jobs(
    state_dir: Path, gateway_url: str, patience_s: float = 60.0, outage_s: float | None = None, **shared: str
) -> tuple[ReplayJobs, EvidenceStore]:
    """The jobs as dashboard and worker see them: one store and one queue in the state folder, or those that are
    `shared` (database_url, queue_url).

    Rows wait no longer for a silent arm than for anything else, unless `outage_s` is given.
    """
    settings = Settings(state_dir=state_dir, **shared)
    database = open_database(settings.store_url)
    store = EvidenceStore(database)
    store.leases = Leases(database, LEASE_S)
    return ReplayJobs(
        store, open_queue(settings), wine_engine(gateway_url), settings, patience_s, outage_s or patience_s
    ), store


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    folder, url, *addresses = sys.argv[1:]
    shared = dict(zip(("database_url", "queue_url"), addresses, strict=False))
    jobs, store = replay_jobs(Path(folder), url, **shared)
    here = Settings(state_dir=Path(folder), **shared)
    work(here, open_queue(here), {JobKind.REPLAY: jobs}, threading.Event(), store.leases)
