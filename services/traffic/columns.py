"""Whether a dataset fits a model, in words, before thousands of requests say so one by one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


def sent_columns(features: Sequence[str], signatures: Iterable[Signature]) -> tuple[str, ...]:
    """Those of `features` that at least one of the models names, in the file's order.

    All of them where a model names none: it has no signature, takes a tensor, or goes by the columns' positions.
    """
    known: set[str] = set()
    for signature in signatures:
        named = {column.name for column in signature.columns}.intersection(features)
        if not named:
            return tuple(features)
        known |= named
    return tuple(name for name in features if name in known) if known else tuple(features)


def check_arms(
    frame: pd.DataFrame,
    target: str,
    signatures: Mapping[str, Signature],
    place: Callable[[int], str] = row_number,
    *,
    together: bool = False,
) -> Fit:
    """`check_columns` for the models of several arms; where they want different columns, it says whose is meant.

    `together`: every arm is sent the same row, as through the split, with the columns that any of them knows.
    """
    alike: dict[object, tuple[list[str], Signature]] = {}
    for arm, signature in signatures.items():
        wanted = tuple((column.name, column.type, column.required) for column in signature.columns)
        alike.setdefault((wanted, signature.tensors), ([], signature))[0].append(arm)
    features = [str(column) for column in frame.columns if str(column) != target]
    sent = sent_columns(features, signatures.values()) if together and len(alike) > 1 else ()
    fits = [(", ".join(arms), check_columns(frame, target, found, place, sent)) for arms, found in alike.values()]
    problems = _of_all([(arms, fit.problems) for arms, fit in fits])
    return Fit(problems, _of_all([(arms, fit.notes) for arms, fit in fits]))


def _of_all(said: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """What is said of every arm once, the rest with the arm that it is said of."""
    common = [words for words in said[0][1] if all(words in lines for _, lines in said)] if said else []
    return (*common, *(f"Arm {arm}: {words}" for arm, lines in said for words in lines if words not in common))


def check_columns(
    frame: pd.DataFrame,
    target: str,
    signature: Signature,
    place: Callable[[int], str] = row_number,
    sent: Sequence[str] = (),
) -> Fit:
    """Compare the dataset's columns (all but the target) with the columns that the model wants.

    `place` says where a row is, by its index: `Dataset.place` knows the line of the file. `sent` are columns that go
    to the model whether it knows them or not.
    """
    features = [str(column) for column in frame.columns if str(column) != target]
    if not signature.columns or (signature.by_position and not {*signature.names} & {*features}):
        return _check_unnamed(features, signature)
    wanted = {column.name: column for column in signature.columns}
    problems, notes = [], []
    absent = [c.name for c in signature.columns if c.required and c.name not in features]
    if absent == [target]:
        problems.append(f"The model was trained with “{target}” as an input, so it cannot be the target.")
    elif absent:
        problems.append(f"The data lacks {_names(absent)}, which the model wants.")
    extra = [name for name in features if name not in wanted and name not in sent]
    if extra and len(extra) < len(features):
        notes.append(f"{_names(extra)} {_is(extra)} not sent: the model does not know {_it(extra)}.")
    if forced := [name for name in features if name not in wanted and name in sent]:
        notes.append(
            f"{_names(forced)} {_is(forced)} sent, because another arm's model may want {_it(forced)}; this one does "
            f"not know {_it(forced)} and may refuse the rows. In pairs each arm is sent what its own model knows."
        )
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
    width = len(signature.columns) or (shape[1] if len(shape) == 2 else -1)
    if 0 < width != len(features):
        return Fit((f"The model wants {width} values a row and the data has {len(features)} beside the target.",))
    told = bool(signature.tensors or signature.columns)
    return Fit(notes=() if told else ("The model has no signature, so the columns cannot be checked.",))


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


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _names(names: list[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
