"""The loaded model: its reader for payloads, its predict call, and what is known about how it may be called.

MLflow checks every table against the signature, column by column, which costs twice as much as a small model's own
work (0.7 ms of 1.1 ms for the wine model). Our readers build the table in exactly the declared types, and for such a
table the check returns equal columns: the first calls compare (`_Shortcut`), and only a model of a flavour whose
wrapper looks at nothing but the table, with a signature without parameters, is then called without the check.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, DataType
from mlflow.types import Schema as MlflowSchema

from services.runtime.model_server.answers import Answer, read_output
from services.runtime.model_server.columns import ColumnReader
from services.runtime.model_server.failures import ModelFailed, RequestFailed
from services.runtime.model_server.freeform import FreeReader
from services.runtime.model_server.parts import Layout, Part, Reader
from services.runtime.model_server.tensors import TensorReader
from services.schema import Column, ColumnType, Signature, TensorSpec

log = logging.getLogger(__name__)

ROW_WISE_FLAVOURS = frozenset(
    f"mlflow.{name}"
    for name in ("sklearn", "xgboost", "lightgbm", "catboost", "statsmodels", "onnx", "pytorch", "tensorflow", "keras")
)
"""Flavours whose models answer row by row as a rule, so that merging is worth trying (and is then verified)."""

TABLE_FLAVOURS = frozenset(f"mlflow.{name}" for name in ("sklearn", "xgboost", "lightgbm", "catboost"))
"""Flavours whose pyfunc wrapper does nothing beside predicting on the table it is given: short, no context."""

BATCH_KEY = "decant_batching"
"""Metadata key of an MLmodel (`log_model(metadata={"decant_batching": True})`) that overrules the flavour."""

_CHECKED_CALLS = 20
_RECHECK_EVERY = 1000
_BLAMES_DATA = (ValueError, TypeError, KeyError, IndexError, ArithmeticError)


class Model:
    """A python_function model, ready to be called from one thread at a time."""

    def __init__(self, pyfunc: PyFuncModel, *, dataframe_input: bool = False) -> None:
        self._pyfunc = pyfunc
        metadata: Any = pyfunc.metadata  # untyped in MLflow
        schema = metadata.get_input_schema()
        flavour = str(pyfunc.loader_module)
        wished = (metadata.metadata or {}).get(BATCH_KEY)
        self.flavour = flavour
        self.signature = read_signature(schema, metadata.get_output_schema())
        self.merges = flavour in ROW_WISE_FLAVOURS if wished is None else str(wished).lower() == "true"
        self.brief = flavour in TABLE_FLAVOURS  # may be called on the event loop if it proves to be fast
        self.reader: Reader = _reader(self.signature, dataframe_input)
        self.examples: list[Part] = []  # rows of its own input example, for a rehearsal
        self._shortcut = _Shortcut(pyfunc, schema) if self._may_skip_check(schema) else None
        self._outputs = _output_names(metadata.get_output_schema())

    def predict(self, layout: Layout, payloads: Sequence[Any]) -> Answer:
        """One predict call over the joined payloads. Raises ModelFailed for whatever the model raises."""
        try:
            data, exact = layout.assemble(payloads)
            if exact and self._shortcut is not None:
                output = self._shortcut.predict(data)
            else:
                output = self._pyfunc.predict(data)
            answer = read_output(output)
        except RequestFailed:
            raise
        except MlflowException as error:
            raise _failure(error, error.error_code == "INVALID_PARAMETER_VALUE") from error
        except (Exception, SystemExit) as error:
            # Foreign code: whatever it raises is the answer to its request, and `sys.exit` must not end ours.
            raise _failure(error, isinstance(error, _BLAMES_DATA)) from error
        if not answer.names and self._outputs:
            width = answer.tail[0] if answer.tail else 1
            if answer.tail is not None and len(answer.tail) <= 1 and width == len(self._outputs):
                answer.names = self._outputs
        return answer

    def _may_skip_check(self, schema: MlflowSchema | None) -> bool:
        metadata: Any = self._pyfunc.metadata
        plain = self.flavour in TABLE_FLAVOURS and metadata.get_params_schema() is None
        return plain and schema is not None and not metadata._is_signature_from_type_hint()


def _failure(error: BaseException, blames_data: bool) -> ModelFailed:
    if blames_data:  # a client's mistake, which it is told; a log line each would let clients fill the disk
        log.debug("The model refused a request: %s", error)
    else:
        log.warning("The model failed on a request", exc_info=error)
    return ModelFailed(error, blames_data)


class _Shortcut:
    """Calls the wrapped model without MLflow's signature check, as long as that check changes nothing.

    Whether it changes a table depends on the table's columns and types only (values are looked at when a type has to
    be converted), and those are the same in every call; the comparison is repeated now and then all the same.
    """

    def __init__(self, pyfunc: PyFuncModel, schema: MlflowSchema) -> None:
        self._pyfunc, self._schema = pyfunc, schema
        name = pyfunc.metadata.flavors["python_function"].get("predict_fn", "predict")
        self._direct: Callable[[Any], Any] = getattr(pyfunc._model_impl, name)
        self._calls = 0
        self._refused = False

    def predict(self, data: Any) -> Any:
        calls = self._calls
        self._calls = calls + 1
        if self._refused:
            return self._pyfunc.predict(data)
        if calls < _CHECKED_CALLS or calls % _RECHECK_EVERY == 0:
            if not _equal(_enforce_schema(data, self._schema, self._pyfunc.loader_module), data):
                self._refused = True
                log.info("MLflow's signature check converts this model's input: it stays on for every call.")
            return self._pyfunc.predict(data)
        return self._direct(data)


def _equal(checked: Any, given: Any) -> bool:
    if isinstance(given, pd.DataFrame):
        alike = isinstance(checked, pd.DataFrame) and list(checked.columns) == list(given.columns)
        return alike and bool((checked.dtypes == given.dtypes).all()) and checked.equals(given)
    if isinstance(given, np.ndarray):
        return isinstance(checked, np.ndarray) and checked.dtype == given.dtype and np.shares_memory(checked, given)
    if isinstance(given, dict) and isinstance(checked, dict) and checked.keys() == given.keys():
        return all(_equal(checked[k], given[k]) for k in given)
    return False


def _reader(signature: Signature, dataframe_input: bool) -> Reader:
    if signature.columns:
        return ColumnReader(signature)
    if signature.tensors:
        return TensorReader(signature)
    return FreeReader(dataframe_input)


def read_signature(inputs: Any, outputs: Any = None) -> Signature:
    """MLflow's schema objects (mlflow.types.Schema or None) as Decant's Signature; an undeclared side stays empty."""
    names = tuple(_output_names(outputs))
    if inputs is None or not inputs.inputs:
        return Signature(outputs=names)
    if inputs.is_tensor_spec():
        tensors = (TensorSpec(str(np.dtype(t.type)), tuple(t.shape), t.name or "") for t in inputs.inputs)
        return Signature(tensors=tuple(tensors), outputs=names)
    columns = (Column(c.name or "", _column_type(c), c.required) for c in inputs.inputs)
    return Signature(columns=tuple(columns), outputs=names)


def _column_type(column: ColSpec) -> ColumnType:
    if not isinstance(column.type, DataType):
        return ColumnType.OTHER
    return ColumnType(column.type.name)


def _output_names(outputs: Any) -> list[str]:
    return [str(n) for n in outputs.input_names()] if outputs is not None and outputs.has_input_names() else []
