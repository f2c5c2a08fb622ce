"""Checking and converting single values to MLflow's column types, with errors that name the cell."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from services.errors import InvalidPayload
from services.schema import ColumnType

Check = Callable[[Any], Any]
"""Returns the value to use; raises ValueError with the problem in words."""

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How Protobuf's JSON (so SeldonClient) spells what JSON cannot say."""

_INT_BITS = {ColumnType.INTEGER: 32, ColumnType.LONG: 64}
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def show(value: Any) -> str:
    """A value for a message, short."""
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 60 else f"{text[:57]}..."


def to_float(value: Any) -> float:
    kind = type(value)
    if kind is float or kind is int:
        return float(value)
    if value is None:
        return math.nan
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    raise ValueError(f"{show(value)} is not a number")


def to_float32(value: Any) -> float:
    number = to_float(value)
    if math.isfinite(number) and abs(number) > _FLOAT32_MAX:
        raise ValueError(f"{show(value)} is too large for a 32-bit float")
    return number


def to_int(value: Any, bits: int) -> int:
    if type(value) is float:
        if not value.is_integer():
            raise ValueError(f"{show(value)} is not a whole number")
        value = int(value)
    if type(value) is not int:
        raise ValueError("a whole number is required here" if value is None else f"{show(value)} is not a number")
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"{show(value)} does not fit into {bits} bits")
    return int(value)


def to_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{show(value)} is not true or false")
    return value


def to_text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("a text is required here" if value is None else f"{show(value)} is not a text")
    return value


def to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(to_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{show(value)} is not base64") from error


def to_datetime(value: Any) -> Any:
    try:
        stamp = pd.Timestamp(to_text(value))
    except ValueError as error:
        raise ValueError(f"{show(value)} is not an ISO date or time") from error
    if pd.isna(stamp):
        raise ValueError(f"{show(value)} is not an ISO date or time")
    if stamp.tzinfo is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    return stamp.to_datetime64().astype("datetime64[ns]")


def check_for(kind: ColumnType) -> Check:
    """The check of a column type; `OTHER` (arrays, objects) is left to MLflow."""
    if kind in _INT_BITS:
        bits = _INT_BITS[kind]
        return lambda value: to_int(value, bits)
    simple: dict[ColumnType, Check] = {
        ColumnType.DOUBLE: to_float,
        ColumnType.FLOAT: to_float32,
        ColumnType.BOOLEAN: to_bool,
        ColumnType.STRING: to_text,
        ColumnType.BINARY: to_bytes,
        ColumnType.DATETIME: to_datetime,
    }
    return simple.get(kind, lambda value: value)


def numpy_type(kind: ColumnType) -> np.dtype[Any] | None:
    """The dtype in which MLflow wants a column; None where the values stay objects."""
    names = {
        ColumnType.DOUBLE: "float64",
        ColumnType.FLOAT: "float32",
        ColumnType.LONG: "int64",
        ColumnType.INTEGER: "int32",
        ColumnType.BOOLEAN: "bool",
        ColumnType.DATETIME: "datetime64[ns]",
    }
    return np.dtype(names[kind]) if kind in names else None


def problem(field: str, error: ValueError, column: str = "") -> InvalidPayload:
    """The error of one cell, with its column's name where it has one."""
    where = f' (column "{column}")' if column else ""
    return InvalidPayload(field, f"{error}{where}.")
