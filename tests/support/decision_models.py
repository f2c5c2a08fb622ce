"""Two models that each answer a number of their own to everything, logged to an installation's MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.dummy import DummyRegressor

from tests.support.tracking import tracking_at
from tests.support.wine import TARGET, wine_frame


@dataclass(frozen=True)
class Trained:
    """Runs of the models, and how to name the models, by arm."""

    runs: dict[str, str]
    models: dict[str, str]


@contextmanager
def trained_at(tracking_uri: str, answers: Mapping[str, float]) -> Iterator[Trained]:
    """Models of the wine columns, by arm; MLflow is at `tracking_uri` within the block."""
    rows = wine_frame().drop(columns=TARGET).head(20)
    runs, models = {}, {}
    with tracking_at(tracking_uri):
        experiment = mlflow.create_experiment("decisions")
        for arm, answer in answers.items():
            fitted = DummyRegressor(strategy="constant", constant=answer).fit(rows, [answer] * len(rows))
            with mlflow.start_run(experiment_id=experiment, run_name=f"always-{answer:g}") as run:
                signature = infer_signature(rows, fitted.predict(rows))
                made = mlflow.sklearn.log_model(
                    fitted, name="model", signature=signature, pip_requirements=["scikit-learn"]
                )
            runs[arm], models[arm] = run.info.run_id, made.model_uri
        yield Trained(runs, models)
