"""Rows for models with a column signature: names to columns, values to the declared types, one table per predict call.

The common case, every column a float64, is checked with one set operation per row and becomes one numpy array per
predict call; everything else goes value by value, which is also how the error messages find their cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from services.errors import InvalidPayload
from services.runtime.model_server.parts import Assembled, NamedArray, Part, Where, records_to_columns
from services.runtime.model_server.values import check_for, numpy_type, problem
from services.schema import Column, ColumnType, Signature

_PLAIN = frozenset({float, int})
_MAX_PLANS = 1024  # distinct orders of names remembered; a client with ever-changing names must not grow the process


@dataclass(frozen=True)
class ColumnLayout:
    """A table with these columns, in the signature's order. Payloads are lists of rows."""

    columns: tuple[Column, ...]
    named: bool
    has_missing: bool = False  # an optional cell is null: MLflow decides what becomes of its column
    index: pd.Index = field(init=False, compare=False, repr=False)
    all_double: bool = field(init=False, compare=False)
    exact: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names: Any = [c.name for c in self.columns] if self.named else range(len(self.columns))
        types = {c.type for c in self.columns}
        object.__setattr__(self, "index", pd.Index(names))
        object.__setattr__(self, "all_double", types == {ColumnType.DOUBLE} and not self.has_missing)
        object.__setattr__(self, "exact", ColumnType.OTHER not in types and not self.has_missing)

    @property
    def mergeable(self) -> bool:
        # A null changes the type of its whole column, so such a request is computed by itself.
        return not self.has_missing

    def assemble(self, payloads: Sequence[list[list[Any]]]) -> Assembled:
        rows = payloads[0] if len(payloads) == 1 else list(chain.from_iterable(payloads))
        if self.all_double:
            return Assembled(pd.DataFrame(np.array(rows, dtype=np.float64), columns=self.index, copy=False), True)
        cells = list(zip(*rows, strict=True))
        table = {
            label: _column(list(values), column.type)
            for label, values, column in zip(self.index, cells, self.columns, strict=True)
        }
        return Assembled(pd.DataFrame(table), self.exact)


def _column(values: list[Any], kind: ColumnType) -> Any:
    dtype = numpy_type(kind)
    if dtype is not None and None not in values:
        return np.array(values, dtype=dtype)
    if kind is ColumnType.STRING:
        return pd.Series(values)
    return pd.Series(values, dtype=object if dtype is None or dtype.kind == "b" else None)


@dataclass(frozen=True)
class _Plan:
    """How rows that come with certain names are read."""

    layout: ColumnLayout
    requested: tuple[Column, ...]  # in the order of the request
    order: itemgetter[Any] | None  # picks the signature's order out of a row of the request; None: already so

    @property
    def width(self) -> int:
        return len(self.requested)


class ColumnReader:
    """Reads every payload form into rows of a column signature."""

    def __init__(self, signature: Signature) -> None:
        self._columns = signature.columns
        self._named = any(c.name for c in signature.columns)
        self._default = _Plan(ColumnLayout(self._columns, self._named), self._columns, None)
        self._plans: dict[tuple[str, ...], _Plan] = {(): self._default}
        self._text = [c for c in self._columns if c.type is ColumnType.STRING]

    def from_rows(self, rows: Any, names: Sequence[str], field: str) -> Part:
        if type(rows) is not list:
            raise InvalidPayload(field, "must be a list of rows, such as [[1.0, 2.0]].")
        if not rows:
            raise InvalidPayload(field, "has no rows.")
        plan = self._plan(names) if names else self._default
        width = plan.width
        if plan.layout.all_double:
            for row in rows:
                if type(row) is not list or len(row) != width or not _PLAIN.issuperset(map(type, row)):
                    break
            else:
                return Part(plan.layout, len(rows), rows if plan.order is None else [list(plan.order(r)) for r in rows])
        return self._checked(rows, plan, field, lambda r, c: f"{field}[{r}][{c}]")

    def from_tensor(self, shape: Sequence[int], values: list[Any], names: Sequence[str], field: str) -> Part:
        plan = self._plan(names) if names else self._default
        width = plan.width
        if len(shape) != 2 or shape[1] != width:
            wanted = f"[rows, {width}]"
            raise InvalidPayload(f"{field}.shape", f"is {list(shape)}, but this model takes {wanted}.", self._order())
        if shape[0] == 0:
            raise InvalidPayload(f"{field}.values", "has no rows.")
        rows = [values[i : i + width] for i in range(0, len(values), width)]
        return self._checked(rows, plan, field, lambda r, c: f"{field}.values[{r * width + c}]")

    def from_json(self, value: Any, field: str) -> Part:
        table = records_to_columns(value, field)
        if table is None:
            return self.from_rows(value, (), field)
        names, rows = table
        if not rows:
            raise InvalidPayload(field, "has no rows.")
        plan = self._plan(names, field)
        by_record = isinstance(value, list)
        lists = isinstance(value, dict) and isinstance(next(iter(value.values())), list)

        def where(row: int, column: int) -> str:
            if by_record:
                return f"{field}[{row}].{names[column]}"
            return f"{field}.{names[column]}[{row}]" if lists else f"{field}.{names[column]}"

        return self._checked(rows, plan, field, where)

    def from_text(self, text: str, field: str) -> Part:
        if len(self._columns) != 1 or not self._text:
            raise InvalidPayload(field, "this model does not take a text.", self._order())
        return Part(self._default.layout, 1, [[text]])

    def from_arrays(self, arrays: Sequence[NamedArray], _content_type: str, field: str) -> Part:
        whole = arrays[0]
        known = {c.name for c in self._columns}
        if len(arrays) == 1 and len(whole.shape) == 2 and (whole.name not in known or whole.shape[1] > 1):
            plan = self._default
            if whole.shape[1] != plan.width:
                text = f"is {list(whole.shape)}, but this model takes [rows, {plan.width}]."
                raise InvalidPayload(f"{whole.field}.shape", text, self._order())
            return self.from_tensor(whole.shape, whole.values, (), whole.field)
        rows = arrays[0].shape[0] if arrays[0].shape else 0
        for array in arrays:
            if array.shape not in ((rows,), (rows, 1)):
                text = f"is {list(array.shape)}; one input per column must be [{rows}] or [{rows}, 1] like the first."
                raise InvalidPayload(f"{array.field}.shape", text)
        if not rows:
            raise InvalidPayload(field, "has no rows.")
        plan = self._plan([a.name for a in arrays], field)
        table = [list(row) for row in zip(*(a.values for a in arrays), strict=True)]
        return self._checked(table, plan, field, lambda r, c: f"{arrays[c].field}.data[{r}]")

    def _checked(self, rows: list[Any], plan: _Plan, field: str, where: Where) -> Part:
        """Check value by value. `where` names a cell by its place in the request."""
        columns, width = plan.requested, plan.width
        checks = [check_for(c.type) for c in columns]
        out: list[list[Any]] = []
        missing = False
        for r, row in enumerate(rows):
            if type(row) is not list:
                raise InvalidPayload(f"{field}[{r}]", "must be a list of values: each row has its own brackets.")
            if len(row) != width:
                text = f"has {len(row)} values, but this model takes {width}."
                raise InvalidPayload(f"{field}[{r}]", text, self._order(columns))
            ready: list[Any] = []
            for c, value in enumerate(row):
                if value is None and not columns[c].required and columns[c].type not in _FLOATS:
                    missing = True
                    ready.append(None)
                    continue
                try:
                    ready.append(checks[c](value))
                except ValueError as error:
                    raise problem(where(r, c), error, columns[c].name) from error
            out.append(ready if plan.order is None else list(plan.order(ready)))
        layout = plan.layout
        if missing:
            layout = ColumnLayout(layout.columns, layout.named, has_missing=True)
        return Part(layout, len(out), out)

    def _plan(self, names: Sequence[str], field: str = "data.names") -> _Plan:
        key = tuple(names)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._make_plan(key, field)
            if len(self._plans) < _MAX_PLANS:
                self._plans[key] = plan
        return plan

    def _make_plan(self, names: tuple[str, ...], field: str) -> _Plan:
        if not self._named:
            if len(names) != len(self._columns):
                raise InvalidPayload(
                    field, f"has {len(names)} names, but this model takes {len(self._columns)} columns."
                )
            return self._default
        known = {c.name: c for c in self._columns}
        twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
        if twice:
            raise InvalidPayload(field, f'column "{twice[0]}" is there twice.')
        problems = [f'column "{c.name}" is missing' for c in self._columns if c.required and c.name not in names]
        problems += [f'column "{n}" is unknown' for n in names if n not in known]
        if problems:
            raise InvalidPayload(field, f"{'; '.join(problems)}.", self._order())
        present = tuple(c for c in self._columns if c.name in names)
        layout = self._default.layout if present == self._columns else ColumnLayout(present, True)
        positions = [names.index(c.name) for c in present]
        in_order = positions == list(range(len(names)))
        # itemgetter with one position would return a bare value, but one column is always in order.
        return _Plan(layout, tuple(known[n] for n in names), None if in_order else itemgetter(*positions))

    def _order(self, columns: Sequence[Column] | None = None) -> str:
        if not self._named:
            return ""
        return f"The columns are: {', '.join(c.name for c in columns or self._columns)}."


_FLOATS = (ColumnType.DOUBLE, ColumnType.FLOAT)
