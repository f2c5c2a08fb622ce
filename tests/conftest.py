"""How the tests share two workers (`make test` runs `pytest -n 2 --dist loadgroup`).

A file stays whole on one worker, so that what a module sets up once is set up once; so do the files that share what
takes long to start: all that uses the one whole Decant (`system`), and all that uses the API server (`cluster`). The
browser ring is with the latter, which makes network cards: at that, Chromium drops what it is loading. The workers take
their ports from ranges of their own (`tests/support/waiting.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import api_server
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.seaweed import RunningStore, running_store
from tests.support.system import System

TOGETHER = {"browser": "cluster", "cluster": "cluster", "contract": "system"}
"""Rings that stay together, and under which name."""
ROOT = Path(__file__).parent

# How long an example takes says how crowded the machine is, not whether the code is right.
settings.register_profile("decant", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("decant")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the name of the group that stays together; xdist reads it afterwards."""
    uses_system = {item.path for item in items if "system" in getattr(item, "fixturenames", ())}
    for item in items:
        inside = item.path.relative_to(ROOT)
        alone = "system" if item.path in uses_system else str(inside)
        item.add_marker(pytest.mark.xdist_group(TOGETHER.get(inside.parts[0], alone)))


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Streamlit's AppTest leaves the page as `__main__`, which processes that later tests fork would run again."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One whole Decant, shared by the rings with processes; each test uses a deployment name of its own."""
    installation = System(tmp_path_factory.mktemp("decant") / "state").start()
    yield installation
    installation.stop()
    assert installation.parts() == set(), "processes were left behind"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A real Kubernetes API server; what needs one is skipped, saying why, where there is none."""
    if not api_server.found():
        pytest.skip(api_server.NO_SERVER)
    with api_server.running(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def operator(cluster: TestCluster) -> Iterator[StatusOperator]:
    """Stands in for Seldon's operator: writes status, nothing else."""
    with StatusOperator(cluster.admin) as running:
        yield running


@pytest.fixture(scope="session")
def wine_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two wine models as MLflow folders: the tutorial's A (alpha .5, l1_ratio .5) and B (.75, .2)."""
    from tests.support.wine import save_wine_model

    folder = tmp_path_factory.mktemp("wine")
    return save_wine_model(folder / "a", 0.5, 0.5), save_wine_model(folder / "b", 0.75, 0.2)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    """One S3 server for all tests of a worker; each test uses a prefix of its own."""
    with running_store(tmp_path_factory.mktemp("s3")) as store:
        yield store
