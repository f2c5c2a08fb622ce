"""Models below the model store, on a real S3 server: asked for there, with its credentials, and nowhere else."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.domain import ChangeNote, Deployment, Finding, Predictor
from services.domain.places import StorePlace
from services.errors import NotFound
from services.factory import build_services
from services.jobs.publications import Prepared
from services.preflight.check import Preflight, Report
from services.publishing.store import ModelStore, StoreOptions
from services.publishing.stored_models import StoredModels
from services.settings import Settings
from services.tracking.models import ModelCatalogue
from tests.support.memory_engine import MemoryEngine
from tests.support.models import elastic_net
from tests.support.seaweed import BUCKET, RunningStore
from tests.support.waiting import free_port

MODEL_ID = "m-00112233445566778899aabbccddeeff"


@pytest.fixture(autouse=True)
def elsewhere(s3: RunningStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What MLflow's own client asks, in place of Amazon: nothing, where all goes well."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def place() -> StorePlace:
    return StorePlace.parse(f"s3://{BUCKET}/t{uuid.uuid4().hex[:8]}")


@pytest.fixture
def stored(s3: RunningStore, place: StorePlace) -> StoredModels:
    return StoredModels(place, StoreOptions(s3.endpoint))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield elastic_net(tmp_path)


def put(s3: RunningStore, place: StorePlace, folder: Path, name: str) -> str:
    """The model's files as somebody else has put them there: no marker."""
    store = ModelStore(place, StoreOptions(s3.endpoint))
    for file in folder.rglob("*"):
        if file.is_file():
            store.write(f"{name}/{file.relative_to(folder)}", file, lambda _: None)
    return place.uri(name)


def catalogue(tmp_path: Path, stored: StoredModels) -> ModelCatalogue:
    return ModelCatalogue(f"sqlite:///{tmp_path / 'none.db'}", kept=stored)


def check(models: ModelCatalogue, stored: StoredModels, uri: str) -> Report:
    deployment = Deployment("seldon", "wine", (Predictor("a", uri),))
    return Preflight(MemoryEngine(), models.resolve, Prepared, stored).check(deployment, note=ChangeNote("ann"))


def only(findings: tuple[Finding, ...]) -> Finding:
    (finding,) = findings
    return finding


def test_an_address_with_nothing_at_it_blocks_and_nobody_else_is_asked(
    stored: StoredModels, place: StorePlace, s3: RunningStore, tmp_path: Path, elsewhere: list[str]
) -> None:
    finding = only(check(catalogue(tmp_path, stored), stored, place.uri("m-nope")).blocks)
    assert finding.what == f"There is nothing at {place.uri('m-nope')}."
    assert s3.endpoint in finding.mend and "DECANT_MODEL_STORE_ENDPOINT" in finding.mend
    with pytest.raises(NotFound, match="nothing at"):
        catalogue(tmp_path, stored).fetch(place.uri("m-nope"), tmp_path / "into", lambda _done, _all: None)
    assert not elsewhere


def test_a_model_that_is_there_is_read_and_fetched_from_the_store(
    stored: StoredModels, place: StorePlace, s3: RunningStore, folder: Path, tmp_path: Path, elsewhere: list[str]
) -> None:
    uri = put(s3, place, folder, "by-hand")
    models = catalogue(tmp_path, stored)
    assert models.resolve(uri).signature == models.resolve(str(folder)).signature
    report = check(models, stored, uri)
    assert not report.blocks and any("sklearn" in finding.what for finding in report.fine)
    seen: list[tuple[int, int]] = []
    into = models.fetch(uri, tmp_path / "into", lambda done, total: seen.append((done, total)))
    files = {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    assert {f.relative_to(into): f.read_bytes() for f in into.rglob("*") if f.is_file()} == files
    assert seen[-1] == (len(files), len(files))
    assert not elsewhere


def test_a_model_that_only_mlflow_has_blocks_at_the_address_where_it_should_be(
    stored: StoredModels, place: StorePlace, s3: RunningStore, folder: Path, tmp_path: Path
) -> None:
    models = ModelCatalogue(f"sqlite:///{tmp_path / 'none.db'}", lambda _: str(folder), stored)
    finding = only(check(models, stored, place.uri(MODEL_ID)).blocks)
    assert finding.what == f"There is no model at {place.uri(MODEL_ID)}."
    assert not check(models, stored, put(s3, place, folder, MODEL_ID)).blocks


def test_a_store_that_is_silent_blocks_nothing(place: StorePlace, tmp_path: Path, elsewhere: list[str]) -> None:
    nowhere = StoredModels(place, StoreOptions(f"http://127.0.0.1:{free_port()}"))
    report = check(catalogue(tmp_path, nowhere), nowhere, place.uri("m-nope"))
    assert not report.blocks and "The model store does not answer" in only(report.warns).what
    assert not elsewhere


def test_the_settings_lead_to_the_store(
    s3: RunningStore, place: StorePlace, tmp_path: Path, elsewhere: list[str]
) -> None:
    built = build_services(
        Settings(
            state_dir=tmp_path / "state",
            mlflow_tracking_uri=f"sqlite:///{tmp_path / 'none.db'}",
            model_store=place.uri(),
            model_store_endpoint=s3.endpoint,
        )
    )
    deployment = Deployment("seldon", "wine", (Predictor("a", place.uri("m-nope")),))
    finding = only(built.preflight.check(deployment, note=ChangeNote("ann")).blocks)
    built.close()
    assert finding.what == f"There is nothing at {place.uri('m-nope')}."
    assert not elsewhere


def test_only_what_is_below_the_store_is_asked_there(stored: StoredModels, place: StorePlace) -> None:
    assert stored.holds(place.uri("m"))
    assert not any(stored.holds(uri) for uri in (place.uri(), f"{place.uri()}2/m", "s3://other/m", "models:/m-1"))
