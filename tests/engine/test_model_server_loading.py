"""Loading: every way in which a model cannot be had ends in one clear line and a non-zero exit."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.support import models
from tests.support.model_process import model_server, run_until_exit
from tests.support.tracking import tracking_at
from tests.support.waiting import free_port


def last_line(log: str) -> str:
    return [line for line in log.splitlines() if " ERROR " in line][-1]


def test_a_folder_that_holds_no_model(tmp_path):
    code, log, _ = run_until_exit(tmp_path, tmp_path / "nothing")
    assert code == 3 and f"There is no MLflow model “{tmp_path / 'nothing'}”" in last_line(log)


def test_a_model_without_python_function(tmp_path):
    folder = models.elastic_net(tmp_path)
    text = (folder / "MLmodel").read_text()
    start, end = text.index("  python_function:"), text.index("  sklearn:")
    (folder / "MLmodel").write_text(text[:start] + text[end:])
    code, log, _ = run_until_exit(tmp_path, folder)
    assert code == 7 and "has no python_function flavour" in last_line(log)


def test_a_model_that_needs_a_module_that_is_not_there(tmp_path):
    folder = models.with_code(tmp_path)
    text = (folder / "MLmodel").read_text().replace("travelling_scaler", "library_that_is_not_there")
    (folder / "MLmodel").write_text(text)
    code, log, _ = run_until_exit(tmp_path, folder)
    assert code == 7
    assert "needs the module library_that_is_not_there, which is not installed" in last_line(log)


def test_a_damaged_pickle(tmp_path):
    folder = models.text_labels(tmp_path)
    (folder / "model.pkl").write_bytes(b"this is no pickle")
    code, log, _ = run_until_exit(tmp_path, folder)
    assert code == 7 and "cannot be" in last_line(log)


@pytest.mark.parametrize(("uri", "package"), [("gs://b/m", "google-cloud-storage")])
def test_a_bucket_whose_client_library_is_missing(tmp_path, uri, package):
    code, log, _ = run_until_exit(tmp_path, uri, "--models-dir", str(tmp_path / "cache"))
    assert code == 7
    assert f"{uri} cannot be fetched without the Python package {package}" in last_line(log)
    assert f"pip install {package}" in last_line(log)


def test_a_tracking_server_that_is_down(tmp_path):
    uri = f"http://127.0.0.1:{free_port()}"
    code, log, _ = run_until_exit(tmp_path, "models:/m-0123", "--models-dir", str(tmp_path / "cache"), tracking_uri=uri)
    assert code == 5 and "MLflow does not answer" in last_line(log) and uri in last_line(log)
    assert not any((tmp_path / "cache").iterdir())


def test_a_password_in_the_tracking_address_stays_out_of_the_log(tmp_path):
    uri = f"http://ada:secret@127.0.0.1:{free_port()}"
    code, log, _ = run_until_exit(tmp_path, "models:/m-0123", "--models-dir", str(tmp_path / "cache"), tracking_uri=uri)
    assert code == 5 and "//***@127.0.0.1" in last_line(log)
    assert "secret" not in log


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, log, _ = run_until_exit(tmp_path, tmp_path, port=other.getsockname()[1])
    assert code == 7 and "is taken" in last_line(log)


def test_requirements_that_differ_are_a_warning_only(tmp_path):
    folder = models.elastic_net(tmp_path)
    (folder / "requirements.txt").write_text("scikit-learn==0.1\n")
    with model_server(tmp_path, folder) as server:
        assert server.predict(models.WINE_ROW).status_code == 200
        assert "scikit-learn" in server.log.read_text() and "0.1" in server.log.read_text()


@pytest.fixture
def tracking(tmp_path: Path):
    """A file-backed tracking store with a run, its logged model, and a registered version."""
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with tracking_at(uri):
        experiment = mlflow.create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri())
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_artifacts(str(models.elastic_net(tmp_path, "old")), "model")
        source = f"runs:/{run.info.run_id}/model"
        version = mlflow.MlflowClient().create_model_version(
            mlflow.MlflowClient().create_registered_model("wine").name, source, run.info.run_id
        )
        yield uri, source, f"models:/wine/{version.version}"


def test_a_downloaded_model_outlives_its_store(tmp_path, tracking):
    uri, source, registered = tracking
    cache = tmp_path / "cache"
    for model_uri in (source, registered):
        with model_server(tmp_path, model_uri, "--models-dir", str(cache), tracking_uri=uri) as server:
            assert server.predict(models.WINE_ROW).status_code == 200
    (tmp_path / "mlflow.db").unlink()
    shutil.rmtree(tmp_path / "artifacts")
    down = f"http://127.0.0.1:{free_port()}"
    with model_server(tmp_path, registered, "--models-dir", str(cache), tracking_uri=down) as server:
        assert server.predict(models.WINE_ROW).status_code == 200
        assert "Using the downloaded copy" in server.log.read_text()
    code, log, _ = run_until_exit(tmp_path, "models:/wine/9", "--models-dir", str(cache), tracking_uri=down)
    assert code == 5 and "MLflow does not answer" in last_line(log)


def test_a_model_that_does_not_exist(tmp_path, tracking):
    uri, *_ = tracking
    for missing in ("models:/m-00000000000000000000000000000000", "models:/wine/77", "runs:/" + "0" * 32 + "/model"):
        code, log, _ = run_until_exit(tmp_path, missing, "--models-dir", str(tmp_path / "c"), tracking_uri=uri)
        assert code == 3 and f"There is no model “{missing}”" in last_line(log)
