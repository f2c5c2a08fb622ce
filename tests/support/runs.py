"""Runs in a real MLflow for page tests: two small models logged as MLflow 3 does, one as MLflow 2 did, one bare run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient

from tests.support.tracking import tracking_at

EXPERIMENT = "wine-quality"
EXAMPLE = pd.DataFrame({"alcohol": [8.8, 9.5], "pH": [3.0, 3.3]})


class Constant(mlflow.pyfunc.PythonModel):
    """Answers one number to every row."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, context, model_input):  # type: ignore[no-untyped-def]
        return [self.value] * len(model_input)


@dataclass(frozen=True)
class Seeded:
    """Ids of the runs by what they are."""

    first: str
    second: str
    old_style: str
    bare: str


def seed(tracking_uri: str, folder: Path) -> Seeded:
    """Log the runs into an MLflow that keeps its artifacts in `folder`. Takes seconds: do it once."""
    client = MlflowClient(tracking_uri)
    experiment = client.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
    with tracking_at(tracking_uri):
        first = _train(experiment, "elastic-a", 0.5, 0.5, rmse=0.8222, r2=0.1268)
        second = _train(experiment, "elastic-b", 0.75, 0.2, rmse=0.8118, r2=0.1488)
        with mlflow.start_run(experiment_id=experiment, run_name="old-style") as run:
            mlflow.log_metric("rmse", 0.9)
            mlflow.pyfunc.save_model(
                str(folder / "old"), python_model=Constant(1.0), pip_requirements=["scikit-learn"], **_described()
            )
            mlflow.log_artifacts(str(folder / "old"), "model")
            client.set_tag(run.info.run_id, "mlflow.log-model.history", _history(run.info.run_id))
            shutil.rmtree(folder / "old")
            old_style = run.info.run_id
        with mlflow.start_run(experiment_id=experiment, run_name="bare") as run:
            mlflow.log_param("alpha", 0.9)
            bare = run.info.run_id
    return Seeded(first, second, old_style, bare)


def _train(experiment: str, name: str, alpha: float, l1_ratio: float, rmse: float, r2: float) -> str:
    with mlflow.start_run(experiment_id=experiment, run_name=name) as run:
        mlflow.log_params({"alpha": alpha, "l1_ratio": l1_ratio, "seed": 40})
        mlflow.log_metrics({"rmse": rmse, "r2": r2})
        mlflow.pyfunc.log_model(
            name="model", python_model=Constant(rmse), pip_requirements=["scikit-learn"], **_described()
        )
        return str(run.info.run_id)


def _described() -> dict[str, object]:
    return {"signature": infer_signature(EXAMPLE, pd.Series([1.0, 2.0])), "input_example": EXAMPLE}


def _history(run_id: str) -> str:
    return f'[{{"run_id": "{run_id}", "artifact_path": "model", "flavors": {{"python_function": {{}}}}}}]'
