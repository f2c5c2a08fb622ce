"""When a truth and a prediction are the same, and when they are numbers: one rule for rewards and for the ledger."""

from __future__ import annotations

import math
import numbers


def single(value: object) -> object:
    """The one value inside [v], [[v]], ...: models answer a row in either shape. Several values stay a list."""
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value


def real(value: object) -> float | None:
    """The value as a finite number, or None if it is none: text, True and False, several values, nan."""
    value = single(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def same(one: object, other: object) -> bool:
    """Whether two labels or numbers are the same; a whole number reads the same whether a CSV made it 3 or 3.0."""
    if isinstance(one, str) or isinstance(other, str):
        return _text(one) == _text(other)
    return bool(one == other)


def hit(truth: object, prediction: object) -> bool | None:
    """Whether the prediction is the truth; None where one of them is missing or has several values."""
    truth, prediction = single(truth), single(prediction)
    if any(value is None or isinstance(value, list | tuple | dict) for value in (truth, prediction)):
        return None
    return same(truth, prediction)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
