"""What is found before a deployment is applied, and what of a model has to be known to find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

RIGHTS = "rights"
"""The topic of what Decant or a person may not do."""


class Severity(StrEnum):
    """How much a finding matters."""

    BLOCKS = "blocks"  # it would certainly fail
    WARNS = "warns"  # it may fail, or nobody could look
    FINE = "fine"


class Fix(StrEnum):
    """Mends that can be made to a deployment without asking anything further."""

    XTYPE = "xtype"  # hand named columns to the model
    NODE_NAMES = "node-names"  # a graph node name of its own for each arm
    START_BUDGET = "start-budget"  # time enough to build an environment


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `topic` groups findings: model, environment, columns, place, names, rights, ..."""

    severity: Severity
    topic: str
    what: str
    mend: str = ""
    predictor: str = ""
    fix: Fix | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What a model's text files say about what it needs. Nothing of it comes from loading the model.

    Attributes:
        uri: as the deployment names it.
        flavors: MLflow flavours, such as python_function and sklearn.
        python_version: of the Python that saved it; empty if it does not say.
        requirements: lines of requirements.txt.
        conda: text of the conda.yaml that its `env` entry names; None when there is none.
        env: the `env` entry of its python_function flavour, by environment manager; older models name one file,
            which is given here as `conda`.
        env_is_mapping: whether that entry is a mapping, as MLflow 2 and later write it.
        mlflow_version: of the MLflow that saved it; empty if it does not say.
        named_columns: whether it wants its columns by name.
    """

    uri: str
    flavors: tuple[str, ...] = ()
    python_version: str = ""
    requirements: tuple[str, ...] = ()
    conda: str | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    env_is_mapping: bool = False
    mlflow_version: str = ""
    named_columns: bool = False
