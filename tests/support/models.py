"""Small real models, saved as MLflow models into temporary folders: one of each kind that the server must take.

Every function saves into `folder / name` and returns that folder. Requirements are given, so that saving takes
milliseconds instead of MLflow's inference of them.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

WINE_COLUMNS = (
    "fixed acidity",
    "volatile acidity",
    "citric acid",
    "residual sugar",
    "chlorides",
    "free sulfur dioxide",
    "total sulfur dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
)
WINE_ROW = [7.0, 0.27, 0.36, 20.7, 0.045, 45.0, 170.0, 1.001, 3.0, 0.45, 8.8]


def table(rows: int = 60, columns: tuple[str, ...] = WINE_COLUMNS, seed: int = 7) -> pd.DataFrame:
    """Random floats under the given names."""
    return pd.DataFrame(np.random.default_rng(seed).random((rows, len(columns))) * 10, columns=list(columns))


def elastic_net(folder: Path, name: str = "wine", alpha: float = 0.01) -> Path:
    """The tutorial's kind of model: named float columns, one number out."""
    from sklearn.linear_model import ElasticNet

    x = table()
    fitted = ElasticNet(alpha=alpha, random_state=42).fit(x, x.sum(axis=1).round())
    return _sklearn(fitted, folder / name, infer_signature(x, fitted.predict(x)), x[:2])


def no_signature(folder: Path, name: str = "bare") -> Path:
    """A linear model that declares nothing and wants an array."""
    from sklearn.linear_model import LinearRegression

    x = table(columns=("a", "b", "c")).to_numpy()
    return _sklearn(LinearRegression().fit(x, x.sum(axis=1)), folder / name, None)


def text_labels(folder: Path, name: str = "labels") -> Path:
    """A classifier of mixed columns (number, text, integer) whose answers are words."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier

    x = pd.DataFrame({"size": [1.0, 2.0, 8.0, 9.0] * 5, "colour": ["red", "blue"] * 10, "legs": [2, 4, 2, 4] * 5})
    y = ["small", "small", "large", "large"] * 5
    encode = ColumnTransformer(
        [("colour", OneHotEncoder(handle_unknown="ignore"), ["colour"])], remainder="passthrough"
    )
    fitted = make_pipeline(encode, DecisionTreeClassifier(random_state=0)).fit(x, y)
    return _sklearn(fitted, folder / name, infer_signature(x, fitted.predict(x)), x[:2], pickled=True)


def tensor(folder: Path, name: str = "tensor") -> Path:
    """A float32 tensor of shape (-1, 2, 3) in, two numbers per row out."""

    class Sums(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            assert model_input.dtype == np.float32
            return model_input.sum(axis=2)

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float32"), (-1, 2, 3))]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, 2))]),
    )
    return _python(Sums(), folder / name, signature)


def named_tensors(folder: Path, name: str = "tensors") -> Path:
    """Two named tensors in, their sum out."""

    class Sum(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input["left"] + model_input["right"]

    inputs = Schema([TensorSpec(np.dtype("float64"), (-1, 2), n) for n in ("left", "right")])
    return _python(Sum(), folder / name, ModelSignature(inputs=inputs))


def several_outputs(folder: Path, name: str = "outputs", kind: str = "frame") -> Path:
    """A custom model that returns `kind`: frame, array, dict, list, records, series, text or number."""

    class Outputs(mlflow.pyfunc.PythonModel):
        def __init__(self, kind: str) -> None:
            self.kind = kind

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            a, b = model_input["a"], model_input["b"]
            answers: dict[str, Any] = {
                "frame": pd.DataFrame({"sum": a + b, "word": ["w"] * len(a)}),
                "array": np.column_stack([a, b]),
                "dict": {"sum": (a + b).to_numpy(), "half": (a / 2).tolist()},
                "list": [float(v) for v in a],
                "records": [{"sum": float(v)} for v in a + b],
                "series": (a + b).rename("sum"),
                "text": "one text",
                "number": 5,
            }
            return answers[self.kind]

    return _python(Outputs(kind), folder / name, _columns("a", "b"))


def typed(folder: Path, name: str = "typed") -> Path:
    """One column of each type; answers with the types it was given."""

    class Types(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [",".join(f"{c}={model_input[c].dtype}" for c in model_input.columns)] * len(model_input)

    columns = [
        ColSpec(DataType.long, "n"),
        ColSpec(DataType.integer, "i"),
        ColSpec(DataType.double, "d"),
        ColSpec(DataType.float, "f"),
        ColSpec(DataType.boolean, "b"),
        ColSpec(DataType.string, "s"),
        ColSpec(DataType.datetime, "t"),
        ColSpec(DataType.double, "maybe", required=False),
    ]
    return _python(Types(), folder / name, ModelSignature(inputs=Schema(columns)))


def slow(folder: Path, name: str = "slow", seconds: float = 10.0) -> Path:
    """Sleeps in every call for the number of seconds in column a (at most `seconds`)."""

    class Slow(mlflow.pyfunc.PythonModel):
        def __init__(self, limit: float) -> None:
            self.limit = limit

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            time.sleep(min(self.limit, float(model_input["a"].max())))
            return model_input["a"]

    return _python(Slow(seconds), folder / name, _columns("a"))


def breaks(folder: Path, name: str = "breaks") -> Path:
    """Does what column a says: 1 raises ValueError, 2 raises RuntimeError, 4 calls sys.exit; else answers."""

    class Breaks(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            if (model_input["a"] == 1).any():
                raise ValueError("one is not allowed")
            if (model_input["a"] == 2).any():
                raise RuntimeError("two broke the machine")
            if (model_input["a"] == 4).any():
                sys.exit("four has had enough")
            return model_input["a"]

    return _python(Breaks(), folder / name, _columns("a"))


def unwritable(folder: Path, name: str = "unwritable") -> Path:
    """Answers what JSON cannot carry: for 1 a number of 65 bits, for 2 half a character; raises one in words for 3."""

    class Unwritable(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            if (model_input["a"] == 3).any():
                raise ValueError("half a character: \ud800")
            return [1 << 64] if (model_input["a"] == 1).any() else ["\ud800"]

    return _python(Unwritable(), folder / name, _columns("a"))


def centred(folder: Path, name: str = "centred") -> Path:
    """A scikit-learn model whose answer depends on the whole batch: it must never be merged."""
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def centre(x: Any) -> Any:  # nested, so that it is pickled by value and the server needs nothing of the tests
        return x - x.mean(axis=0)

    x = table(columns=("a", "b"))
    fitted = make_pipeline(FunctionTransformer(centre), LinearRegression()).fit(x, x["a"])
    return _sklearn(fitted, folder / name, infer_signature(x), pickled=True)


def with_code(folder: Path, name: str = "coded") -> Path:
    """A model whose class lives in a module that travels inside the model folder (code_paths)."""
    module = folder / "travelling_scaler.py"
    module.write_text(
        "class Scaler:\n    def predict(self, data):\n        return data['a'] * 4\n\n"
        "def _load_pyfunc(path):\n    return Scaler()\n"
    )
    mlflow.pyfunc.save_model(
        folder / name,
        loader_module="travelling_scaler",
        code_paths=[str(module)],
        signature=_columns("a"),
        pip_requirements=["mlflow"],
    )
    return folder / name


def with_params(folder: Path, name: str = "params") -> Path:
    """A signature with a parameter that has a default."""

    class Scaled(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input["a"] * params["factor"]

    params = ParamSchema([ParamSpec("factor", DataType.double, 3.0)])
    return _python(Scaled(), folder / name, ModelSignature(inputs=_columns("a").inputs, params=params))


def text(folder: Path, name: str = "text") -> Path:
    """One text column in, its upper case out."""

    class Upper(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [t.upper() for t in model_input["text"]]

    return _python(Upper(), folder / name, ModelSignature(inputs=Schema([ColSpec(DataType.string, "text")])))


def boosted(folder: Path, name: str = "boosted") -> Path:
    """XGBoost, which takes missing values."""
    import mlflow.xgboost
    import xgboost

    x = table(columns=("a", "b"))
    fitted = xgboost.XGBRegressor(n_estimators=5, max_depth=2).fit(x, x["a"] + x["b"])
    mlflow.xgboost.save_model(
        fitted, folder / name, signature=infer_signature(x, fitted.predict(x)), pip_requirements=["xgboost"]
    )
    return folder / name


def least_squares(folder: Path, name: str = "ols") -> Path:
    """Statsmodels' ordinary least squares."""
    import mlflow.statsmodels
    import statsmodels.api as sm

    x = table(columns=("a", "b"))
    fitted = sm.OLS(x["a"] * 2 + x["b"], x).fit()
    mlflow.statsmodels.save_model(
        fitted, folder / name, signature=infer_signature(x, fitted.predict(x)), pip_requirements=["statsmodels"]
    )
    return folder / name


def _columns(*names: str) -> ModelSignature:
    return ModelSignature(inputs=Schema([ColSpec(DataType.double, n) for n in names]))


def _sklearn(
    fitted: Any,
    folder: Path,
    signature: ModelSignature | None,
    example: Any = None,
    *,
    pickled: bool = False,
) -> Path:
    extra: dict[str, Any] = {"serialization_format": "cloudpickle"} if pickled else {}
    mlflow.sklearn.save_model(
        fitted,
        folder,
        signature=signature,
        input_example=example,
        pip_requirements=["scikit-learn"],
        **extra,
    )
    return folder


def _python(model: Any, folder: Path, signature: ModelSignature | None) -> Path:
    mlflow.pyfunc.save_model(folder, python_model=model, signature=signature, pip_requirements=["mlflow"])
    return folder
