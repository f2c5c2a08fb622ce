"""A real worker process for tests: the real store, queue, publications and worker, with deployments kept in a file.

python -m tests.support.publication_worker STATE_DIR TRACKING_URI, with DECANT_* and AWS_* variables like a worker.
"""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.jobs.preparing import source_of
from services.jobs.publications import Publications
from services.jobs.queue import JobKind, open_queue
from services.jobs.worker import work
from services.operations import Operations
from services.settings import Settings
from services.tracking.models import ModelCatalogue
from tests.support.decisions import FileEngine


@dataclass
class Desk:
    """Everything a publication touches, as dashboard and worker see it."""

    settings: Settings
    engine: FileEngine
    store: EvidenceStore
    models: ModelCatalogue
    operations: Operations
    publications: Publications


def open_desk(settings: Settings) -> Desk:
    """With an engine that reads what Seldon reads, though nothing runs there."""
    settings.paths.create()
    store = EvidenceStore(open_database(settings.store_url))
    engine = FileEngine(settings.paths.root / "engine.pickle")
    models = ModelCatalogue(settings.tracking_uri, lambda uri: source_of(store, uri))
    operations = Operations(engine, store)
    publications = Publications(store, open_queue(settings), engine, operations, models, settings)
    return Desk(settings, engine, store, models, operations, publications)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    here = Settings(state_dir=Path(sys.argv[1]), mlflow_tracking_uri=sys.argv[2], engine="kubernetes")
    desk = open_desk(here)
    work(here, open_queue(here), {JobKind.PUBLICATION: desk.publications}, threading.Event(), desk.store.leases)
