"""Real parts shared by the engine tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.evidence.store import EvidenceStore
from services.jobs.replays import ReplayJobs
from tests.support import postgres
from tests.support.mlflow_server import RunningMlflow, running_mlflow
from tests.support.replay_bench import ReplayBench, replay_bench
from tests.support.seldon_stub import SeldonStub


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMlflow]:
    """One MLflow server for all tests of a worker; each test uses experiments of its own."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL for all tests of a worker; each test uses a database of its own."""
    with postgres.postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """An empty database on a real PostgreSQL."""
    return postgres.empty_database(postgres_server)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ReplayBench]:
    """Replays on a state folder of their own; `stub`, `jobs`, `store` and `start` are its parts."""
    with replay_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def stub(bench: ReplayBench) -> SeldonStub:
    return bench.stub


@pytest.fixture
def jobs(bench: ReplayBench) -> ReplayJobs:
    return bench.jobs


@pytest.fixture
def store(bench: ReplayBench) -> EvidenceStore:
    return bench.store


@pytest.fixture
def start(bench: ReplayBench) -> Callable[[], subprocess.Popen[bytes]]:
    """Starts a worker on the test's state folder."""
    return bench.start
