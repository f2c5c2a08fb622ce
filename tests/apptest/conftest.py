"""The dashboard under test: the real entry point `app/main.py`, with services of the test's own making.

`dashboard` is a Decant whose parts are real but small: an engine in memory, a fresh evidence store, MLflow on SQLite, a
Prometheus address where (unless a test says otherwise) nobody listens. Change its services with `dashboard.use(...)`
before `dashboard.open("monitor")`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from mlflow.tracking import MlflowClient
from streamlit.testing.v1 import AppTest

from app import reads, wiring
from services.domain import ChangeNote, Deployment, Predictor, Provenance
from services.factory import Services, build_services
from services.health import HealthChecks
from services.jobs.publications import Publications
from services.jobs.queue import open_queue
from services.operations import Operations
from services.preflight.check import Preflight
from services.settings import ROOT, Settings
from services.verdict.reading import Sources
from services.verdict.service import Verdicts
from tests.support.memory_engine import MemoryEngine
from tests.support.runs import Seeded, seed
from tests.support.waiting import free_port

MAIN = ROOT / "app" / "main.py"
TIMEOUT_S = 60  # two cores, several test processes, and the first page imports MLflow
NOTE = ChangeNote("ann", "a test")


@dataclass
class Dashboard:
    """A dashboard whose services are `services`."""

    services: Services

    @property
    def engine(self) -> MemoryEngine:
        assert isinstance(self.services.engine, MemoryEngine)
        return self.services.engine

    def use(self, **parts: Any) -> None:
        """Replace some of the services."""
        self.services = replace(self.services, **parts)
        wiring.use_builder(lambda: self.services)

    def deploy(self, name: str = "wine", arms: dict[str, int] | None = None) -> Deployment:
        """Apply a deployment with these shares, as a person would."""
        predictors = tuple(
            Predictor(arm, f"models:/m-{arm}", traffic=share, provenance=Provenance(run_name=f"run-{arm}"))
            for arm, share in (arms or {"a": 80, "b": 20}).items()
        )
        return self.services.operations.apply(Deployment("seldon", name, predictors), note=NOTE).deployment

    def open(self, page: str, **query: str) -> AppTest:
        """Run the entry point and go to a page by its file name, with query parameters."""
        app = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S)
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        if page != "overview":
            app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception
        return app


@pytest.fixture(scope="session")
def _empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables made, once: that takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def tracking_uri(tmp_path: Path, _empty_mlflow: Path) -> str:
    """A fresh MLflow without runs."""
    shutil.copy(_empty_mlflow, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def dashboard(tmp_path: Path, tracking_uri: str) -> Iterator[Dashboard]:
    settings = Settings(
        state_dir=tmp_path / "state",
        user="ann",
        mlflow_tracking_uri=tracking_uri,
        prometheus_url=f"http://127.0.0.1:{free_port()}",
        scrape_interval_s=1,
        gateway_port=free_port(),
    )
    built = build_services(settings)
    engine = MemoryEngine()
    operations = Operations(engine, built.store)
    made = Dashboard(built)
    publications = Publications(built.store, open_queue(settings), engine, operations, built.models, settings)
    made.use(
        engine=engine,
        operations=operations,
        publications=publications,
        preflight=Preflight(engine, built.models.resolve, publications.prepare),
        verdicts=Verdicts(Sources(built.store, engine, built.metrics, built.models, built.runs, settings)),
        health=HealthChecks({"MLflow": built.runs.ping, "Prometheus": lambda: built.metrics.ping() or "answers"}),
    )
    reads.forget()
    st.cache_data.clear()
    yield made
    wiring.use_builder(None)
    reads.forget()
    st.cache_resource.clear()
    st.cache_data.clear()


def texts(app: AppTest) -> str:
    """Everything that a person reads on the page, for assertions on words."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "success", "text")
    found = [str(element.value) for kind in kinds for element in getattr(app, kind)]
    found += [f"{metric.label} {metric.value}" for metric in app.metric]
    return "\n".join(found)


@pytest.fixture(scope="session")
def _seeded_mlflow(tmp_path_factory: pytest.TempPathFactory, _empty_mlflow: Path) -> tuple[Path, Seeded]:
    """An MLflow database with runs and models, once: logging a model takes seconds."""
    folder = tmp_path_factory.mktemp("seeded")
    shutil.copy(_empty_mlflow, folder / "mlflow.db")
    return folder / "mlflow.db", seed(f"sqlite:///{folder / 'mlflow.db'}", folder)


@pytest.fixture
def seeded(tmp_path: Path, _seeded_mlflow: tuple[Path, Seeded], tracking_uri: str) -> Seeded:
    """The runs, in the MLflow that `dashboard` reads. Ask for it before `dashboard`."""
    database, runs = _seeded_mlflow
    shutil.copy(database, tmp_path / "mlflow.db")
    return runs
