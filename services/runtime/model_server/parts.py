"""What travels from a wire format to the model: checked rows, and the layout that says which of them may be merged.

A `Part` is the input of one request after validation. Two parts with equal layouts hold the same columns, types and
container, so that their payloads can be joined into one model input without changing any value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from services.errors import InvalidPayload

Where = Callable[[int, int], str]
"""Names a cell for an error message: (row, column) -> `data.ndarray[0][3]`."""


class Assembled(NamedTuple):
    """A model input, and whether it already has exactly the types that MLflow's signature check would give it."""

    data: Any
    exact: bool


class Layout(Protocol):
    """How payloads become a model input. Layouts compare equal exactly if their payloads may be merged."""

    @property
    def mergeable(self) -> bool: ...

    def assemble(self, payloads: Sequence[Any]) -> Assembled: ...


class Part(NamedTuple):
    """One request's rows."""

    layout: Layout
    rows: int
    payload: Any


class NamedArray(NamedTuple):
    """One V2 input: flat values in C order with their shape."""

    name: str
    shape: tuple[int, ...]
    values: list[Any]
    field: str


class Reader(Protocol):
    """Turns the contents of a payload into a checked Part. All methods raise InvalidPayload naming the field."""

    def from_rows(self, rows: Any, names: Sequence[str], field: str, /) -> Part:
        """`data.ndarray`: a list of rows."""
        ...

    def from_tensor(self, shape: Sequence[int], values: list[Any], names: Sequence[str], field: str, /) -> Part:
        """`data.tensor`: flat values in C order; the first axis counts rows."""
        ...

    def from_json(self, value: Any, field: str, /) -> Part:
        """`jsonData`: records, a dict of lists, one record, or nested lists."""
        ...

    def from_text(self, text: str, field: str, /) -> Part:
        """`strData`."""
        ...

    def from_arrays(self, arrays: Sequence[NamedArray], content_type: str, field: str, /) -> Part:
        """V2 inputs: one per column, or one that holds them all."""
        ...


def records_to_columns(value: Any, field: str) -> tuple[list[str], list[list[Any]]] | None:
    """Read records, one record, or a dict of lists as (names, rows); None when `value` is none of these.

    A key that some records lack gives None (a missing value) there.
    """
    if isinstance(value, Mapping):
        lists = [v for v in value.values() if isinstance(v, list)]
        if not value:
            return None
        if len(lists) == len(value):
            lengths = {len(v) for v in lists}
            if len(lengths) > 1:
                sizes = ", ".join(f"{k} {len(v)}" for k, v in value.items())
                raise InvalidPayload(field, f"the lists differ in length ({sizes}).")
            return list(value), [list(row) for row in zip(*lists, strict=True)]
        return list(value), [list(value.values())]
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        first = list(value[0])
        if all(list(v) == first for v in value):
            return first, [list(v.values()) for v in value]
        names = list(dict.fromkeys(key for record in value for key in record))
        return names, [[record.get(name) for name in names] for record in value]
    return None
