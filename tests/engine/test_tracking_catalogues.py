"""Runs and models as a real MLflow keeps them: over HTTP and in a database, new style and old."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from services.domain import Parameter
from services.errors import InvalidInput, NotFound, Rejected, Unavailable
from services.schema import ColumnType
from services.tracking.door import FRESH_S, Door
from services.tracking.models import ModelCatalogue
from services.tracking.runs import RunCatalogue
from tests.support.mlflow_server import RunningMlflow
from tests.support.tracking import tracking_at
from tests.support.waiting import free_port
from tests.support.wine import save_wine_model


@dataclass(frozen=True)
class Library:
    """One experiment with a run of each kind."""

    uri: str
    experiment_id: str
    new: str  # a run with one logged model
    model_id: str
    two: str  # a run with two
    old: str  # an MLflow 2 style run: artifacts/model
    bare: str  # a run without a model
    registered: str


@pytest.fixture(scope="module", params=["server", "database"])
def library(
    request: pytest.FixtureRequest, mlflow_server: RunningMlflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("library")
    uri = mlflow_server.uri if request.param == "server" else f"sqlite:///{folder / 'mlflow.db'}"
    with tracking_at(uri):
        yield _fill(uri, folder)


def _fill(uri: str, folder: Path) -> Library:
    client = MlflowClient(uri)
    experiment = client.create_experiment(
        f"library-{uuid.uuid4().hex[:8]}", None if uri.startswith("http") else str(folder / "artifacts")
    )
    model = LinearRegression().fit(np.arange(6.0).reshape(3, 2), [1.0, 2.0, 3.0])
    example = np.array([[1.0, 2.0]])
    new = client.create_run(experiment, run_name="new", tags={"team": "red"})
    two = client.create_run(experiment, run_name="two")
    old = client.create_run(experiment, run_name="old")
    bare = client.create_run(experiment, run_name="bare")
    client.log_param(new.info.run_id, "alpha", 0.5)
    client.log_metric(new.info.run_id, "rmse", 0.8)
    client.log_metric(bare.info.run_id, "rmse", 0.7)
    ids = {}
    for run, names in ((new, ["model"]), (two, ["first", "second"])):
        with mlflow.start_run(run.info.run_id):
            for name in names:
                info = mlflow.sklearn.log_model(
                    model, name=name, input_example=example, pip_requirements=["scikit-learn==1.9.1"]
                )
                ids[name] = info.model_id
    saved = save_wine_model(folder / "saved", 0.5, 0.5)
    client.log_artifacts(old.info.run_id, str(saved), "model")
    client.set_terminated(old.info.run_id)
    registered = f"wine {uuid.uuid4().hex[:6]}"
    mlflow.register_model(f"models:/{ids['model']}", registered)
    client.create_model_version(registered, f"{old.info.artifact_uri}/model", run_id=old.info.run_id)
    client.set_registered_model_alias(registered, "champion", "1")
    return Library(
        uri,
        experiment,
        new.info.run_id,
        ids["model"],
        two.info.run_id,
        old.info.run_id,
        bare.info.run_id,
        registered,
    )


@pytest.fixture
def runs(library: Library) -> RunCatalogue:
    return RunCatalogue(library.uri)


@pytest.fixture
def models(library: Library) -> ModelCatalogue:
    return ModelCatalogue(library.uri)


def test_experiments_and_ping(library: Library, runs: RunCatalogue) -> None:
    assert runs.ping()
    found = {e.id: e for e in runs.experiments()}
    assert found[library.experiment_id].name.startswith("library-")
    assert found[library.experiment_id].created_at


def test_a_search_gives_newest_first_and_everything_of_a_run(library: Library, runs: RunCatalogue) -> None:
    found = runs.search([library.experiment_id]).runs
    assert {run.name for run in found} == {"bare", "old", "two", "new"}
    assert [run.started_at for run in found] == sorted((run.started_at for run in found), reverse=True)
    new = next(run for run in found if run.name == "new")
    assert (new.params, new.metrics["rmse"], new.tags) == ({"alpha": "0.5"}, 0.8, {"team": "red"})
    assert new.models == (library.model_id,)
    assert new.status == "FINISHED" and new.ended_at and new.started_at
    assert new == runs.run(library.new)


def test_pages_filters_and_orders(library: Library, runs: RunCatalogue) -> None:
    ids = [library.experiment_id]
    first = runs.search(ids, limit=3)
    assert len(first.runs) == 3 and first.next_token
    second = runs.search(ids, page_token=first.next_token, limit=3)
    assert len(second.runs) == 1 and second.next_token is None
    assert [r.name for r in runs.search(ids, "metrics.rmse < 0.9", "metrics.rmse ASC").runs] == ["bare", "new"]
    assert [r.name for r in runs.search(ids, "params.alpha = '0.5'").runs] == ["new"]
    assert len(runs.search([], "tags.team = 'red'").runs) >= 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rmse < 1", "write metrics.rmse"),
        ("params.alpha = 0.5", "needs quotes: '0.5'"),
        ("metrics.rmse < 1 or metrics.rmse > 2", "AND but not OR"),
        ("metrics.rmse <", "not a comparison"),
        ("foo.bar = 'x'", "“foo” is unknown"),
    ],
)
def test_a_bad_filter_is_explained(library: Library, runs: RunCatalogue, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        runs.search([library.experiment_id], text)


def test_a_bad_order_is_explained_as_one(library: Library, runs: RunCatalogue) -> None:
    with pytest.raises(InvalidInput, match=r"The order “rmse” .* write metrics.rmse"):
        runs.search([library.experiment_id], "params.alpha = '0.5'", "rmse")


def test_old_runs_are_known_as_such(library: Library, runs: RunCatalogue) -> None:
    assert runs.run(library.old).mlflow2_model
    assert not runs.run(library.bare).mlflow2_model
    assert "model/MLmodel" in runs.artifacts(library.old)


def test_artifacts_include_those_of_logged_models(library: Library, runs: RunCatalogue) -> None:
    assert "model/MLmodel" in runs.artifacts(library.new)
    assert {"first/MLmodel", "second/MLmodel"} <= set(runs.artifacts(library.two))
    assert runs.artifacts(library.bare) == []


def test_registered_versions_with_their_aliases(library: Library, runs: RunCatalogue) -> None:
    mine = [v for v in runs.registered_models() if v.name == library.registered]
    assert [(v.version, v.aliases) for v in mine] == [("2", ()), ("1", ("champion",))]
    assert mine[1].model_uri == f"models:/{library.registered}/1"
    assert mine[0].run_id == library.old


def test_a_run_id_means_its_one_model(library: Library, models: ModelCatalogue) -> None:
    ref = models.resolve(library.new)
    assert ref.uri == f"models:/{library.model_id}"
    assert ref == models.resolve(f"models:/{library.model_id}")
    assert ref == models.resolve(library.model_id)
    assert ref == models.resolve(f"runs:/{library.new}/model")
    assert (ref.provenance.run_name, ref.provenance.model_id) == ("new", library.model_id)
    assert ref.signature.tensors[0].shape == (-1, 2)
    assert ref.input_example == [[1.0, 2.0]]
    assert ref.parameters == ()
    assert "scikit-learn==1.9.1" in ref.requirements
    assert "sklearn" in ref.flavors and ref.python_version.startswith("3.")


def test_several_models_are_named_rather_than_guessed(library: Library, models: ModelCatalogue) -> None:
    with pytest.raises(InvalidInput, match=r"has 2 models: first \(models:/m-.*second"):
        models.resolve(library.two)
    assert models.resolve(f"runs:/{library.two}/second").provenance.run_name == "two"


def test_an_mlflow_2_run(library: Library, models: ModelCatalogue) -> None:
    ref = models.resolve(library.old)
    assert ref.uri == f"runs:/{library.old}/model"
    assert ref == models.resolve(f"runs:/{library.old}/model")
    assert ref.provenance.run_name == "old" and ref.provenance.run_id == library.old
    assert [c.type for c in ref.signature.columns] == [ColumnType.DOUBLE] * 11
    assert ref.signature.columns[0].example == ref.input_example[0][0]  # type: ignore[index]
    assert ref.parameters == (Parameter("xtype", "DataFrame"),)


def test_registered_versions_are_pinned(library: Library, models: ModelCatalogue) -> None:
    name = library.registered
    first = models.resolve(f"models:/{name}/1")
    assert first.uri == f"models:/{library.model_id}"
    assert (first.provenance.registered_name, first.provenance.registered_version) == (name, "1")
    assert first.provenance.label == f"{name} v1"
    assert models.resolve(f"models:/{name}@champion") == first
    second = models.resolve(f"models:/{name}/2")
    assert second.uri == f"models:/{name}/2"
    assert second.provenance.run_name == "old"
    assert models.resolve(f"models:/{name}/latest") == second


def test_an_alias_that_moves_is_followed_at_once(library: Library, models: ModelCatalogue) -> None:
    client = MlflowClient(library.uri)
    client.set_registered_model_alias(library.registered, "moving", "1")
    assert models.resolve(f"models:/{library.registered}@moving").provenance.registered_version == "1"
    client.set_registered_model_alias(library.registered, "moving", "2")
    assert models.resolve(f"models:/{library.registered}@moving").provenance.registered_version == "2"
    client.delete_registered_model_alias(library.registered, "moving")


def test_a_folder(models: ModelCatalogue, tmp_path: Path) -> None:
    folder = save_wine_model(tmp_path / "my model", 0.5, 0.5)
    ref = models.resolve(str(folder))
    assert ref.uri == str(folder)
    assert models.resolve(folder.as_uri()).uri == str(folder)
    (folder / "model.skops").unlink()  # nothing is loaded, so nothing is missed
    assert models.resolve(str(folder)).signature == ref.signature
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("python_function:", "something_else:"))
    with pytest.raises(InvalidInput, match="no python_function flavor"):
        models.resolve(str(folder))


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ("0" * 32, "run"),
        ("m-" + "0" * 32, "logged model"),
        ("models:/nothing/1", "registered model version"),
        ("models:/nothing@x", "registered model alias"),
        ("models:/nothing/latest", "registered model"),
        ("runs:/zzz/model", "run"),
        ("/nowhere/at/all", "model folder"),
    ],
)
def test_what_does_not_exist(models: ModelCatalogue, reference: str, kind: str) -> None:
    with pytest.raises(NotFound, match=f"There is no {kind}"):
        models.resolve(reference)


def test_a_run_without_a_model(library: Library, models: ModelCatalogue) -> None:
    with pytest.raises(NotFound, match="no model in run “bare”"):
        models.resolve(library.bare)
    with pytest.raises(NotFound):
        models.resolve(f"runs:/{library.new}/elsewhere")


@pytest.mark.parametrize("reference", ["", "   ", "wine", "models:/wine", "models:/wine/Production"])
def test_what_is_no_reference(models: ModelCatalogue, reference: str) -> None:
    with pytest.raises(InvalidInput):
        models.resolve(reference)


def test_a_page_of_runs_is_one_request(mlflow_server: RunningMlflow) -> None:
    catalogue = RunCatalogue(mlflow_server.uri)
    ids = [catalogue.experiments()[0].id]
    offset = mlflow_server.log.stat().st_size
    with counting_proxy(mlflow_server.uri) as (uri, seen):
        proxied = RunCatalogue(uri)
        proxied.search(ids)
        proxied.search(ids)
    assert [path for path in seen if path != "/version"] == ["/api/2.0/mlflow/runs/search"] * 2
    assert seen.count("/version") == 1
    assert mlflow_server.log.stat().st_size >= offset


class counting_proxy:
    """An HTTP server in front of MLflow that notes the paths asked for."""

    def __init__(self, target: str) -> None:
        self.seen: list[str] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                import requests

                seen.append(self.path.split("?")[0])
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
                answer = requests.request(self.command, target + self.path, data=body, headers=headers, timeout=30)
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = _pass_on

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> tuple[str, list[str]]:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}", self.seen

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("ask", [RunCatalogue.ping, RunCatalogue.experiments, RunCatalogue.registered_models])
def test_nobody_there(ask: object) -> None:
    with pytest.raises(Unavailable, match=r"MLflow does not answer .*nothing listens there"):
        ask(RunCatalogue(f"http://127.0.0.1:{free_port()}"))  # type: ignore[operator]


def test_somebody_else_there() -> None:
    with answering(200, b"<html>hello</html>") as uri, pytest.raises(Unavailable, match="is not an MLflow server"):
        RunCatalogue(uri).experiments()
    with answering(401, b"who are you") as uri, pytest.raises(Rejected) as raised:
        RunCatalogue(uri).ping()
    assert "MLFLOW_TRACKING_USERNAME" in raised.value.hint


class answering:
    """An HTTP server with one answer."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_folder_of_runs(tmp_path: Path) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    catalogue = RunCatalogue(uri)
    assert catalogue.ping() == uri
    assert [e.name for e in catalogue.experiments()] == ["Default"]


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="unable to open database file"):
        RunCatalogue(f"sqlite:///{tmp_path}").experiments()


def test_passwords_stay_out_of_errors() -> None:
    with pytest.raises(Unavailable) as raised:
        RunCatalogue(f"http://ada:secret@127.0.0.1:{free_port()}").experiments()
    assert "secret" not in str(raised.value)


def test_a_server_that_answered_just_now_is_not_asked_twice(mlflow_server: RunningMlflow) -> None:
    with counting_proxy(mlflow_server.uri) as (uri, seen):
        door = Door(uri)
        for _ in range(3):
            with door.asking() as client:
                client.get_experiment("0")
    assert seen.count("/version") == 1
    assert FRESH_S > 0
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
