"""A worker that stands still in the middle of a publication, while that of another machine goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.deployments.manifest import to_manifest, to_yaml
from services.domain import ChangeNote, Deployment, DeploymentStatus, Predictor
from services.errors import Rejected
from services.evidence.database import open_database
from services.evidence.leases import Leases
from services.evidence.schema import leases as lease_table
from services.evidence.store import EvidenceStore
from services.jobs.publications import Publications
from services.jobs.queue import open_queue
from services.jobs.states import JobState
from services.operations import Operations
from services.settings import Settings
from services.tracking.models import ModelCatalogue
from tests.support.decisions import FileEngine
from tests.support.waiting import wait_until

WINE = Deployment("seldon", "wine", (Predictor("a", "gs://models/a", traffic=100),))


class Stumbling(FileEngine):
    """Calls `before` when it is first asked for a deployment, and then refuses once."""

    before: Callable[[], None] | None = None

    def get(self, namespace: str, name: str) -> DeploymentStatus:
        if self.before is not None:
            before, self.before = self.before, None
            before()
            raise Rejected("The engine", 500, "out of order")
        return super().get(namespace, name)


@pytest.fixture
def database(postgres_url: str) -> Iterator[sa.Engine]:
    opened = open_database(postgres_url)
    yield opened
    opened.dispose()


def machine(folder: Path, url: str, database: sa.Engine, engine: FileEngine) -> tuple[Publications, Leases]:
    """One machine's publications, with leases of its own that last a second."""
    settings = Settings(state_dir=folder, database_url=url, mlflow_tracking_uri="", engine="kubernetes")
    settings.paths.create()
    store = EvidenceStore(database)
    store.leases = Leases(database, ttl_s=1.0)
    operations = Operations(engine, store)
    models = ModelCatalogue(settings.tracking_uri)
    return Publications(store, open_queue(settings), engine, operations, models, settings), store.leases


def test_a_worker_that_lost_a_publication_does_not_say_that_it_failed(
    tmp_path: Path, postgres_url: str, database: sa.Engine
) -> None:
    engines = Stumbling(tmp_path / "engine.pickle"), FileEngine(tmp_path / "engine.pickle")
    (stalled, mine), (other, theirs) = (
        machine(tmp_path / str(number), postgres_url, database, engine) for number, engine in enumerate(engines)
    )
    store = EvidenceStore(database)
    text, queued = to_yaml(to_manifest(WINE)), JobState.QUEUED.value
    record = store.publications.add("seldon", "wine", text, [], queued, ChangeNote("ada"), expected_version="")
    name = f"publication:{record.id}"

    def lose() -> None:
        with database.begin() as connection:  # as if the process had not run for a minute
            connection.execute(sa.update(lease_table).values(holder=theirs.holder))
        assert theirs.take(name)
        wait_until(lambda: not mine.holds(name), what="the loss to be noticed")

    engines[0].before = lose
    stalled.run(record.id)
    assert stalled.get(record.id).state is JobState.RUNNING, "it is the other's to say how it ends"
    other.run(record.id)
    done = other.get(record.id)
    assert (done.state, done.message) == (JobState.DONE, "")
    assert engines[1].get("seldon", "wine").deployment.predictor("a").model_uri == "gs://models/a"
