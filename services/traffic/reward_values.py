"""A truth and a prediction as values that can be compared: out of their lists, as numbers, labels, probabilities."""

from __future__ import annotations

import math
import numbers

import numpy as np

from services.errors import InvalidPayload

_WANTED = "Brier and log loss want probabilities, and classes written as 0, 1, 2, ..."
LEAST_PROBABILITY = 1e-15
"""What log loss takes a probability of 0 for: ln is finite there, about −34.5."""


def probability_reward(truth: object, prediction: object, *, logarithm: bool) -> float:
    """ln p(truth), or 1 minus the Brier score, of one row; nan where a value is missing.

    `prediction` is p of class 1, or one p per class 0, 1, ... in order.

    The Brier score of several classes is halved, so that for two it is that of p alone (G. W. Brier, 1950, sums over
    both classes).

    Raises InvalidPayload if that is no probability, or the truth no class.
    """
    while isinstance(prediction, list | tuple | np.ndarray) and len(prediction) == 1:
        prediction = prediction[0]
    shares = list(prediction) if isinstance(prediction, list | tuple | np.ndarray) else [prediction]
    given = [number("prediction", share) for share in shares]
    y = number("truth", truth)
    if math.isnan(y) or any(math.isnan(p) for p in given):
        return math.nan
    if any(not 0 <= p <= 1 for p in given):
        raise InvalidPayload("prediction", f"{shares if len(shares) > 1 else shares[0]} is not a probability", _WANTED)
    each = given if len(given) > 1 else [1 - given[0], given[0]]
    if y not in range(len(each)):
        words = f"“{truth}” is none of the classes 0 to {len(each) - 1} that the probabilities are for"
        raise InvalidPayload("truth", words, _WANTED)
    if logarithm:
        return math.log(max(each[int(y)], LEAST_PROBABILITY))
    return 1 - sum((p - (k == y)) ** 2 for k, p in enumerate(each)) / 2


def single(field: str, value: object) -> object:
    """The one value inside [v], [[v]], ...; models answer a row in either shape. Raises InvalidPayload."""
    while isinstance(value, list | tuple | np.ndarray):
        if len(value) != 1:
            raise InvalidPayload(field, f"there are {len(value)} values for one row, and a reward needs one")
        value = value[0]
    return value


def number(field: str, value: object) -> float:
    """A value as a float; nan for None. Raises InvalidPayload."""
    if value is None:
        return math.nan
    if isinstance(value, numbers.Real):  # numpy's scalars are registered as such
        return float(value)
    raise InvalidPayload(field, f"“{value}” is not a number", "Use hit or miss for classes.")


def missing(value: object) -> bool:
    """Whether there is no value."""
    return value is None or (isinstance(value, float) and math.isnan(value))
