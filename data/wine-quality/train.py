"""Train one ElasticNet on the white wines and log it to MLflow: what `mlflow run data/wine-quality` runs.

It logs to whatever tracking server the environment names. The seeds are fixed: the same parameters give the same
model, the same split into training and test rows, and the same metrics.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

try:
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.data.sources import LocalArtifactDatasetSource
    from mlflow.models import infer_signature
    from sklearn.linear_model import ElasticNet
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is not installed for {sys.executable}. Activate the environment that has it "
        "(source .venv/bin/activate), or build one: see data/wine-quality/README.md."
    )

DATA = Path(__file__).resolve().parent / "wine-quality.csv"
TARGET = "quality"
SPLIT_SEED = 40
MODEL_SEED = 42
EXAMPLE_ROWS = 5
# Named here because MLflow's own inference loads the model in a second process for this: about 18 s.
REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "skops", "pandas", "numpy", "scipy")]
GENERATED_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("alpha", type=float, help="strength of the penalty, 0 or more")
    parser.add_argument("l1_ratio", type=float, nargs="?", default=0.1, help="share of the L1 penalty, 0 to 1")
    given = parser.parse_args()
    if not given.alpha >= 0 or given.alpha == float("inf"):
        parser.error(f"alpha is {given.alpha}; it must be a number, 0 or more")
    if not 0 <= given.l1_ratio <= 1:
        parser.error(f"l1_ratio is {given.l1_ratio}; it must lie between 0 and 1")
    train(given.alpha, given.l1_ratio)


def train(alpha: float, l1_ratio: float) -> None:
    """Fit on three quarters of the rows, measure on the rest, log both and the model."""
    wines = pd.read_csv(DATA, dtype=float)  # an integer column could not hold a missing value in the signature
    np.random.seed(SPLIT_SEED)
    training, test = train_test_split(wines)
    features = training.drop(columns=TARGET)
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=MODEL_SEED).fit(features, training[TARGET])
    predicted = model.predict(test.drop(columns=TARGET))
    metrics = {
        "rmse": float(np.sqrt(mean_squared_error(test[TARGET], predicted))),
        "mae": float(mean_absolute_error(test[TARGET], predicted)),
        "r2": float(r2_score(test[TARGET], predicted)),
    }
    name = f"ElasticNet α={alpha:g} l1={l1_ratio:g}"
    # `mlflow run` names its run in MLFLOW_RUN_ID, and start_run goes on with that one.
    with mlflow.start_run(run_name=None if os.environ.get("MLFLOW_RUN_ID") else name) as run:
        if GENERATED_NAME.fullmatch(run.info.run_name or ""):
            mlflow.MlflowClient().update_run(run.info.run_id, name=name)
        # `mlflow run` has logged its own spelling of the parameters ("1" for 1.0), and MLflow lets none change.
        mlflow.log_params({k: v for k, v in {"alpha": alpha, "l1_ratio": l1_ratio}.items() if k not in run.data.params})
        log_rows(training, test)
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(features, model.predict(features)),
            input_example=features.head(EXAMPLE_ROWS),
            pip_requirements=REQUIREMENTS,
        )
        mlflow.log_metrics(metrics, model_id=logged.model_id)
    print(f"{name}: " + ", ".join(f"{metric} {value:.4f}" for metric, value in metrics.items()))
    print(f"run {run.info.run_id}, model {logged.model_id}")


def log_rows(training: pd.DataFrame, test: pd.DataFrame) -> None:
    """Record which data this was: digests as dataset inputs, and the row numbers of both parts as an artifact.

    An A/B test on rows that a model has already seen flatters that model; the row numbers let a replay leave them out.
    """
    source = LocalArtifactDatasetSource(str(DATA))
    for rows, context in ((training, "training"), (test, "test")):
        mlflow.log_input(from_pandas(rows, source=source, targets=TARGET, name=DATA.stem), context=context)
    split = {
        "file": DATA.name,
        "sha256": hashlib.sha256(DATA.read_bytes()).hexdigest(),
        "rows": len(training) + len(test),
        "training_rows": sorted(map(int, training.index)),
        "test_rows": sorted(map(int, test.index)),
    }
    mlflow.log_dict(split, "data/split.json")


if __name__ == "__main__":
    main()
