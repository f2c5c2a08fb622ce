"""Decant's way of starting MLflow serves what `mlflow server` would, from one process, and keeps its state."""

from __future__ import annotations

from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.server import constants

from services.tracking import server
from tests.support.mlflow_server import running_mlflow


def test_the_names_are_those_that_mlflow_reads(tmp_path: Path) -> None:
    assert {name for name in server.environment(tmp_path) if name.startswith("_MLFLOW_SERVER")} == {
        constants.BACKEND_STORE_URI_ENV_VAR,
        constants.REGISTRY_STORE_URI_ENV_VAR,
        constants.ARTIFACT_ROOT_ENV_VAR,
        constants.ARTIFACTS_DESTINATION_ENV_VAR,
        constants.SERVE_ARTIFACTS_ENV_VAR,
    }


def test_state_outlives_a_kill(tmp_path: Path) -> None:
    with running_mlflow(tmp_path) as first:
        client = MlflowClient(first.uri)
        experiment = client.create_experiment("kept")
        run = client.create_run(experiment)
        client.log_text(run.info.run_id, "hello", "note.txt")
        process = psutil.Process(first.pid)
        assert process.children(recursive=True) == []
        process.kill()
    with running_mlflow(tmp_path) as second:
        client = MlflowClient(second.uri)
        assert client.get_run(run.info.run_id).info.experiment_id == experiment
        assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["note.txt"]
