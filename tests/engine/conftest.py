"""Real parts shared by the engine tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import postgres
from tests.support.mlflow_server import RunningMlflow, running_mlflow
from tests.support.seaweed import RunningStore, running_store


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


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    """One S3 server for all tests of a worker; each test uses a prefix of its own."""
    with running_store(tmp_path_factory.mktemp("s3")) as store:
        yield store
