"""What decisions read and write in MLflow, on a real database of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus

from services.domain import Provenance
from services.errors import InvalidInput, NotFound, Rejected, Unavailable
from services.tracking.registry import Lineage, Registry
from tests.support.tracking import tracking_at
from tests.support.waiting import free_port


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    # MLflow's own idea of where it tracks is another database: nothing here may depend on it.
    with tracking_at(f"sqlite:///{folder / 'other.db'}"):
        yield f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def registry(uri: str) -> Registry:
    return Registry(uri)


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture
def run(client: MlflowClient, tmp_path: Path) -> str:
    experiment = client.create_experiment(uuid.uuid4().hex, (tmp_path / "artifacts").as_uri())
    return str(client.create_run(experiment).info.run_id)


@pytest.fixture
def model(client: MlflowClient, run: str) -> str:
    """A logged model of the run."""
    made = client.create_logged_model(client.get_run(run).info.experiment_id, name="model", source_run_id=run)
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    return str(made.model_id)


@pytest.fixture
def name() -> str:
    return f"wine-{uuid.uuid4().hex[:8]}"


class TestLineage:
    def test_of_a_logged_model_by_its_uri_alone(self, registry: Registry, run: str, model: str) -> None:
        found = registry.lineage(f"models:/{model}", Provenance())
        assert (found.run_id, found.model_id, found.versions) == (run, model, ())
        assert found.source

    def test_of_a_registered_version(self, registry: Registry, run: str, model: str, name: str) -> None:
        version = registry.register(name, registry.lineage(f"models:/{model}", Provenance()), {})
        found = registry.lineage(f"models:/{name}/{version}", Provenance())
        assert (found.run_id, found.versions) == (run, ((name, "1"),))
        assert registry.lineage(f"models:/{model}", Provenance()).version_of(name) == "1"

    def test_of_a_model_of_mlflow_2(self, registry: Registry, client: MlflowClient, run: str, name: str) -> None:
        found = registry.lineage(f"runs:/{run}/model", Provenance())
        assert (found.run_id, found.model_id) == (run, None)
        version = registry.register(name, found, {})
        assert client.get_model_version(name, version).source == f"{client.get_run(run).info.artifact_uri}/model"

    def test_of_a_folder_asks_nobody(self) -> None:
        nowhere = Registry(f"http://127.0.0.1:{free_port()}")
        assert nowhere.lineage("/models/wine", Provenance()) == Lineage("/models/wine")
        with pytest.raises(Unavailable):
            nowhere.lineage("/models/wine", Provenance(run_id="0" * 32))

    def test_what_this_server_never_had_is_unknown(self, registry: Registry) -> None:
        moved = Provenance(run_id="0" * 32, model_id=f"m-{'0' * 32}", registered_name="gone", registered_version="7")
        assert registry.lineage(f"models:/m-{'0' * 32}", moved) == Lineage(f"models:/m-{'0' * 32}")

    def test_of_a_deleted_run(self, registry: Registry, client: MlflowClient, run: str, model: str) -> None:
        client.delete_run(run)
        assert registry.lineage(f"models:/{model}", Provenance(run_id=run)).run_id is None


class TestWriting:
    def test_registering_twice_makes_one_version(self, registry: Registry, model: str, name: str) -> None:
        lineage = registry.lineage(f"models:/{model}", Provenance())
        assert [registry.register(name, lineage, {"made": "once"}) for _ in range(2)] == ["1", "1"]
        assert registry.version_tags(name, "1") == {"made": "once"}

    def test_a_registration_that_was_cut_short_is_completed(
        self, registry: Registry, client: MlflowClient, model: str, name: str
    ) -> None:
        client.create_registered_model(name)
        assert registry.register(name, registry.lineage(f"models:/{model}", Provenance()), {}) == "1"

    def test_a_model_without_files_is_not_registered(self, registry: Registry, name: str) -> None:
        with pytest.raises(InvalidInput, match="MLflow does not have it"):
            registry.register(name, Lineage("/models/wine"), {})

    def test_alias(self, registry: Registry, model: str, name: str) -> None:
        assert registry.aliased(name) is None
        registry.register(name, registry.lineage(f"models:/{model}", Provenance()), {})
        assert registry.aliased(name) is None
        registry.set_alias(name, "1")
        assert registry.aliased(name) == "1"
        registry.set_alias(name, None)
        registry.set_alias(name, None)
        assert registry.aliased(name) is None
        with pytest.raises(NotFound, match=f"{name} v9"):
            registry.set_alias(name, "9")

    def test_tags(self, registry: Registry, client: MlflowClient, run: str, model: str, name: str) -> None:
        registry.register(name, registry.lineage(f"models:/{model}", Provenance()), {})
        registry.tag_version(name, "1", {"lost_to": "x", "who": "ann"})
        registry.tag_version(name, "1", {"who": "bob"}, without=("lost_to", "never there"))
        assert registry.version_tags(name, "1") == {"who": "bob"}
        registry.tag_run(run, {"who": "ann"})
        assert client.get_run(run).data.tags["who"] == "ann"
        with pytest.raises(NotFound):
            registry.tag_run("0" * 32, {"who": "ann"})

    def test_artifacts(self, registry: Registry, client: MlflowClient, run: str, tmp_path: Path) -> None:
        for text in ("first", "zweiter Entwurf, süß"):
            registry.log_text(run, "decant/note.txt", text)
        file = client.download_artifacts(run, "decant/note.txt", str(tmp_path))
        assert Path(file).read_text(encoding="utf-8") == text

    def test_an_artifact_store_that_cannot_be_written(
        self, registry: Registry, client: MlflowClient, run: str, tmp_path: Path
    ) -> None:
        (tmp_path / "artifacts").write_text("a file where the folder should be")
        with pytest.raises(Rejected, match="artifact store"):
            registry.log_text(run, "decant/note.txt", "text")
