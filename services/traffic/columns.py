"""Whether a dataset fits a model, in words, before thousands of requests say so one by one. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from services.schema import NUMBERS, Column, ColumnType, Signature

NAMED = 6  # columns named in full before the rest is counted


@dataclass(frozen=True)
class Fit:
    """`problems` would make requests fail; `notes` are worth knowing."""

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def row_number(index: int) -> str:
    """How people call the row with this index: they count from one."""
    return f"row {index + 1:,}"


def check_columns(
    frame: pd.DataFrame, target: str, signature: Signature, place: Callable[[int], str] = row_number
) -> Fit:
    """Compare the dataset's columns (all but the target) with the columns that the model wants.

    `place` says where a row is, by its index: `Dataset.place` knows the line of the file.
    """
    features = [str(column) for column in frame.columns if str(column) != target]
    if not signature.columns:
        return _check_unnamed(features, signature)
    wanted = {column.name: column for column in signature.columns}
    problems, notes = [], []
    absent = [c.name for c in signature.columns if c.required and c.name not in features]
    if absent == [target]:
        problems.append(f"The model was trained with “{target}” as an input, so it cannot be the target.")
    elif absent:
        problems.append(f"The data lacks {_names(absent)}, which the model wants.")
    extra = [name for name in features if name not in wanted]
    if extra:
        notes.append(f"The model does not know {_names(extra)}.")
    for name in features:
        if name in wanted and (words := _type_problem(frame[name], wanted[name], place)):
            problems.append(words)
    holes = [n for n in features if n in wanted and wanted[n].required and bool(frame[n].isna().any())]
    if holes:
        rows = int(frame[holes].isna().any(axis=1).sum())
        some = "1 row has" if rows == 1 else f"{rows:,} rows have"
        notes.append(f"{some} no value in {_names(holes)}; the model may refuse that.")
    return Fit(tuple(problems), tuple(notes))


def _check_unnamed(features: list[str], signature: Signature) -> Fit:
    shape = signature.tensors[0].shape if len(signature.tensors) == 1 else ()
    if len(shape) == 2 and shape[1] > 0 and shape[1] != len(features):
        return Fit((f"The model wants {shape[1]} values a row and the data has {len(features)} beside the target.",))
    return Fit(notes=() if signature.tensors else ("The model has no signature, so the columns cannot be checked.",))


def _type_problem(cells: pd.Series[Any], column: Column, place: Callable[[int], str]) -> str:
    cells = cells.reset_index(drop=True)
    if column.type in NUMBERS and not pd.api.types.is_numeric_dtype(cells):
        numbers = pd.to_numeric(cells, errors="coerce")
        bad = cells[numbers.isna() & cells.notna()]
        if bad.empty:
            return ""
        return f"“{column.name}” must hold numbers; {place(int(bad.index[0]))} holds “{bad.iloc[0]}”."
    if column.type in (ColumnType.INTEGER, ColumnType.LONG) and pd.api.types.is_float_dtype(cells):
        odd = cells[cells.notna() & (cells % 1 != 0)]
        if not odd.empty:
            return f"“{column.name}” must hold whole numbers; {place(int(odd.index[0]))} holds {odd.iloc[0]}."
    if column.type is ColumnType.STRING and pd.api.types.is_numeric_dtype(cells):
        return f"“{column.name}” must hold text and holds numbers."
    return ""


def _names(names: list[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
