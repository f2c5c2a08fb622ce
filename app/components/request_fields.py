"""One row as a form: a field per column of the model's signature, filled with its example."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from services.errors import InvalidPayload
from services.schema import Column, ColumnType, Signature

INTEGERS = (ColumnType.INTEGER, ColumnType.LONG)
FLOATS = (ColumnType.FLOAT, ColumnType.DOUBLE)
COLUMNS_WIDE = 4


def draw_fields(signature: Signature, example: list[list[Any]] | None, key: str) -> tuple[list[Any], tuple[str, ...]]:
    """Draw the fields; returns the row and the names of its columns (none for a model without named columns).

    Raises InvalidPayload naming the field when JSON typed by hand is none.
    """
    if not signature.columns:
        return _draw_json(signature, example, key), ()
    first = example[0] if example and len(example[0]) == len(signature.columns) else None
    row = []
    for i, column in enumerate(signature.columns):
        shown = column.example if column.example is not None or first is None else first[i]
        if i % COLUMNS_WIDE == 0:  # columns per line: the tab key then goes as the eye reads
            places = st.columns(COLUMNS_WIDE)
        with places[i % COLUMNS_WIDE]:
            row.append(_field(column, shown, f"{key}-{i}-{column.name}"))
    return row, tuple(signature.names)


def _field(column: Column, example: object, key: str) -> Any:
    label = column.name if column.required else f"{column.name} (optional)"
    if column.type is ColumnType.BOOLEAN:
        return st.checkbox(label, bool(example), key=key)
    if column.type in INTEGERS:
        whole = int(example) if isinstance(example, int | float) and math.isfinite(example) else None
        return st.number_input(label, value=whole, step=1, key=key, placeholder="whole number")
    if column.type in FLOATS:
        number = float(example) if isinstance(example, int | float) else None
        return st.number_input(
            label, value=number, key=key, placeholder="number", step=step_of(number), format=format_of(number)
        )
    if column.type is ColumnType.DATETIME:
        moment = _moment(example)
        chosen = st.datetime_input(label, moment, key=key)
        return chosen.isoformat() if chosen else None
    text = st.text_input(label, _as_text(column, example), key=key)
    if column.type in (ColumnType.STRING, ColumnType.BINARY):
        return text if text or column.required else None
    return read_json(column.name, text)


def _draw_json(signature: Signature, example: list[list[Any]] | None, key: str) -> list[Any]:
    what = ", ".join(f"{t.dtype} {list(t.shape)}" for t in signature.tensors)
    text = st.text_area(
        "One row as JSON",
        json.dumps(example[0]) if example else "[]",
        key=key,
        height=120,
        help="A list of the row's values" + (f"; the model wants {what}." if what else "; the model has no signature."),
    )
    row = read_json("the row", text)
    if not isinstance(row, list):
        raise InvalidPayload("the row", "is not a list", "Write its values as [1, 2, 3].")
    return row


def read_json(field: str, text: str) -> Any:
    """Text as JSON, None when it is empty. Raises InvalidPayload. Pure."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidPayload(field, f"is not JSON ({error})", 'Text needs quotes: “"red"”.') from error


def step_of(value: float | None) -> float:
    """What one press of + or - adds: a tenth of the value's size, rounded to a power of ten. Pure."""
    if value is None or value == 0 or not math.isfinite(value):
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(value))) - 1)


def format_of(value: float | None) -> str:
    """Enough places for the value and for its step, and no more. Pure."""
    step = step_of(value)
    places = max(0, -math.floor(math.log10(step)))
    if value is not None and math.isfinite(value):
        text = f"{value:.10f}".rstrip("0")
        places = max(places, len(text.partition(".")[2]))
    return f"%.{min(places, 10)}f"


def missing(row: Sequence[Any], signature: Signature) -> list[str]:
    """Names of required columns that are empty. Pure."""
    return [c.name for c, value in zip(signature.columns, row, strict=False) if c.required and value is None]


def _moment(example: object) -> datetime | None:
    if isinstance(example, datetime):
        return example
    try:
        return datetime.fromisoformat(str(example)) if example else None
    except ValueError:
        return None


def _as_text(column: Column, example: object) -> str:
    if example is None:
        return ""
    return str(example) if column.type in (ColumnType.STRING, ColumnType.BINARY) else json.dumps(example, default=str)
