"""What a prediction earns once its truth is known. Pure; the same formulas for one row and for a column of them.

A test compares means, so a reward needs a mean. The formula of the original tutorial has none, and is here because
people want to see for themselves what that does.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.errors import InvalidInput, InvalidPayload

TUTORIAL_EXACT = 500.0
"""What the tutorial pays when prediction and truth are equal."""

TAIL_WARNING = (
    "This reward has no mean. 1/e² grows so fast near e = 0 that its tail index is 1/2: a few lucky hits decide "
    "the average, and the average keeps growing with the number of rows. So the arm with more traffic tends to look "
    "better even when both models are the same, and on the wine data it names the model with the larger error as the "
    "winner. Look at it, but decide with the bounded reward."
)


class RewardKind(StrEnum):
    """The formulas there are."""

    TUTORIAL = "tutorial"
    BOUNDED = "bounded"
    HIT = "hit"


_LABELS = {
    RewardKind.TUTORIAL: "Tutorial: 1/error²",
    RewardKind.BOUNDED: "Bounded: 1/(1 + (error/scale)²)",
    RewardKind.HIT: "Hit or miss",
}


@dataclass(frozen=True, slots=True)
class Reward:
    """A formula with its scale. `scale` has the unit of the target and matters to the bounded reward only."""

    kind: RewardKind
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InvalidInput(f"The scale of a reward must be a positive number, not {self.scale}.")

    @property
    def label(self) -> str:
        return _LABELS[self.kind]

    @property
    def formula(self) -> str:
        """The formula for y (truth) and f (prediction)."""
        if self.kind is RewardKind.TUTORIAL:
            return f"1 / (y − f)², {TUTORIAL_EXACT:g} if y = f"
        if self.kind is RewardKind.HIT:
            return "1 if y = f, else 0"
        return "1 / (1 + (y − f)²)" if self.scale == 1 else f"1 / (1 + ((y − f) / {self.scale:g})²)"

    @property
    def warning(self) -> str:
        """What to know before trusting it; empty when there is nothing."""
        return TAIL_WARNING if self.kind is RewardKind.TUTORIAL else ""

    @property
    def numeric(self) -> bool:
        """Whether truth and prediction must be numbers."""
        return self.kind is not RewardKind.HIT

    def to_json(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "scale": self.scale}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Reward:
        return cls(RewardKind(stored["kind"]), stored["scale"])

    def __call__(self, truth: object, prediction: object) -> float:
        """The reward of one row: never negative; nan if truth or prediction is missing.

        Raises InvalidPayload if the formula needs numbers and one of the two is none, or if the model answered several
        values for the row.
        """
        truth, prediction = _single("truth", truth), _single("prediction", prediction)
        if self.kind is RewardKind.HIT:
            return math.nan if _missing(truth) or _missing(prediction) else float(_same(truth, prediction))
        y, f = _number("truth", truth), _number("prediction", prediction)
        error = y - f
        if self.kind is RewardKind.BOUNDED:
            scaled = error / self.scale
            return 1.0 / (1.0 + scaled * scaled)
        squared = error * error
        # Below this the quotient is no finite number any more: as good as equal.
        return TUTORIAL_EXACT if squared < sys.float_info.min else 1.0 / squared

    def of(self, truths: Sequence[object], predictions: Sequence[object]) -> NDArray[np.float64]:
        """The rewards of many rows, shape (n,), equal to calling it row by row. Raises InvalidPayload."""
        if len(truths) != len(predictions):
            raise InvalidPayload("predictions", f"there are {len(predictions)} for {len(truths)} truths")
        if self.kind is RewardKind.HIT:
            return np.array([self(y, f) for y, f in zip(truths, predictions, strict=True)], dtype=np.float64)
        y = np.array([_number("truth", _single("truth", v)) for v in truths], dtype=np.float64)
        f = np.array([_number("prediction", _single("prediction", v)) for v in predictions], dtype=np.float64)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if self.kind is RewardKind.BOUNDED:
                scaled = (y - f) / self.scale
                return np.asarray(1.0 / (1.0 + scaled * scaled), dtype=np.float64)
            squared = (y - f) * (y - f)
            return np.where(squared < sys.float_info.min, TUTORIAL_EXACT, 1.0 / squared)


def default_reward(truths: Sequence[object]) -> Reward:
    """Hit or miss for classes (text, booleans, 0/1 labels), bounded for all other numbers."""
    present = [value for value in truths if not _missing(value)]
    if not present:
        return Reward(RewardKind.BOUNDED)
    if any(isinstance(v, bool | np.bool_) or not isinstance(v, numbers.Real) for v in present):
        return Reward(RewardKind.HIT)
    if all(isinstance(v, numbers.Integral) for v in present) and {int(v) for v in present} <= {0, 1}:  # type: ignore[call-overload]
        return Reward(RewardKind.HIT)
    return Reward(RewardKind.BOUNDED)


def _single(field: str, value: object) -> object:
    """The one value inside [v], [[v]], ...; models answer a row in either shape."""
    while isinstance(value, list | tuple | np.ndarray):
        if len(value) != 1:
            raise InvalidPayload(field, f"there are {len(value)} values for one row, and a reward needs one")
        value = value[0]
    return value


def _number(field: str, value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, numbers.Real):  # numpy's scalars are registered as such
        return float(value)
    raise InvalidPayload(field, f"“{value}” is not a number", "Use hit or miss for classes.")


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _same(truth: object, prediction: object) -> bool:
    if isinstance(truth, str) or isinstance(prediction, str):
        return _text(truth) == _text(prediction)
    return bool(truth == prediction)


def _text(value: object) -> str:
    """Labels as text; a whole number reads the same whether a CSV made it 3 or 3.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
