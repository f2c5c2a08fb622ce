"""Which rows a run was trained on, from a real MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from services.tracking.row_split import RowSplit
from services.tracking.runs import RunCatalogue


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def new_run(client: MlflowClient, folder: Path) -> str:
    experiment = client.get_experiment_by_name("rows")
    number = experiment.experiment_id if experiment else client.create_experiment("rows", (folder / "art").as_uri())
    return str(client.create_run(number).info.run_id)


def test_what_a_run_says_and_what_it_does_not(client: MlflowClient, tmp_path: Path):
    runs = RunCatalogue(client.tracking_uri)
    says = new_run(client, tmp_path)
    client.log_dict(says, {"sha256": "abc", "training_rows": [1, 2, 5], "test_rows": [0]}, "data/split.json")
    assert runs.row_split(says) == RowSplit("abc", frozenset({1, 2, 5}))

    silent = new_run(client, tmp_path)
    assert runs.row_split(silent) is None

    odd = new_run(client, tmp_path)
    client.log_text(odd, "not json", "data/split.json")
    assert runs.row_split(odd) is None
    client.log_dict(odd, {"training_rows": ["x"]}, "data/split.json")
    assert runs.row_split(odd) is None
    assert runs.row_split("f" * 32) is None
