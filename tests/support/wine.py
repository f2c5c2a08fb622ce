"""The tutorial's two wine models, trained in memory and saved as MLflow models."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from services.settings import ROOT

CSV = ROOT / "data" / "wine-quality" / "wine-quality.csv"
TARGET = "quality"


def wine_frame() -> pd.DataFrame:
    return pd.read_csv(CSV)


def save_wine_model(folder: Path, alpha: float, l1_ratio: float) -> Path:
    """Train ElasticNet as the project does (same rows, same seeds) and save it with signature and example."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.linear_model import ElasticNet
    from sklearn.model_selection import train_test_split

    frame = wine_frame()
    train, _ = train_test_split(frame, random_state=40)
    features = train.drop(columns=TARGET)
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=42).fit(features, train[TARGET])
    mlflow.sklearn.save_model(
        model,
        str(folder),
        signature=infer_signature(features, model.predict(features)),
        input_example=features.head(2),
        pip_requirements=["scikit-learn"],
    )
    return folder


def log_wine_runs(tracking_uri: str, experiment: str, count: int) -> None:
    """Runs with parameters and metrics but without models, to fill the list of runs."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    experiment_id = found.experiment_id if found else client.create_experiment(experiment)
    for number in range(count):
        run = client.create_run(experiment_id, run_name=f"run-{number}")
        client.log_param(run.info.run_id, "alpha", number / count)
        client.log_metric(run.info.run_id, "rmse", 0.8 + number / 1000)
        client.set_terminated(run.info.run_id)
