"""What a model needs of the server that loads it, from its text files. Pure: nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from services.domain import ModelFacts

CONDA = "conda.yaml"
REQUIREMENTS = "requirements.txt"


def read_facts(mlmodel: Mapping[str, Any], texts: Mapping[str, str], named_columns: bool) -> ModelFacts:
    """Read `mlmodel` (the MLmodel file, parsed) beside the model's other text files, by name."""
    flavors = mlmodel.get("flavors") or {}
    served = flavors.get("python_function") or {}
    env = _environments(served.get("env"))
    lines = [line.strip() for line in texts.get(REQUIREMENTS, "").splitlines()]
    return ModelFacts(
        uri="",
        flavors=tuple(sorted(flavors)),
        python_version=str(served.get("python_version", "")),
        requirements=tuple(line for line in lines if line and not line.startswith("#")),
        conda=texts.get(env["conda"]) if env.get("conda") else None,
        env=MappingProxyType(env),
        env_is_mapping=isinstance(served.get("env"), Mapping),
        mlflow_version=str(mlmodel.get("mlflow_version") or ""),
        named_columns=named_columns,
    )


def _environments(env: object) -> dict[str, str]:
    """The `env` entry by manager; up to MLflow 1 it was the name of one file, conda's."""
    if isinstance(env, str):
        return {"conda": env}
    return {str(kind): str(file) for kind, file in env.items()} if isinstance(env, Mapping) else {}
