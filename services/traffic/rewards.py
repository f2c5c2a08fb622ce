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

from services.domain.values import same
from services.errors import InvalidInput, InvalidPayload
from services.traffic.formula import formula, sampled
from services.traffic.reward_values import LEAST_PROBABILITY, missing, number, probability_reward, single

TUTORIAL_EXACT = 500.0
"""What the tutorial pays when prediction and truth are equal."""

TAIL_WARNING = (
    "This reward has no mean. 1/e² grows so fast near e = 0 that its tail index is 1/2: a few lucky hits decide "
    "the average, and the average keeps growing with the number of rows. So the arm with more traffic tends to look "
    "better even when both models are the same, and on the wine data it names the model with the larger error as the "
    "winner. Look at it, but decide with the bounded reward."
)


class RewardKind(StrEnum):
    """The formulas there are, by the name they are stored under."""

    BOUNDED = "bounded"
    HIT = "hit"
    ABSOLUTE = "absolute"
    SQUARED = "squared"
    BRIER = "brier"
    LOG_LOSS = "log_loss"
    FORMULA = "formula"
    TUTORIAL = "tutorial"


LABELS = {
    RewardKind.BOUNDED: "Bounded: 1/(1 + (error/scale)²)",
    RewardKind.HIT: "Hit or miss",
    RewardKind.ABSOLUTE: "Negative absolute error",
    RewardKind.SQUARED: "Negative squared error",
    RewardKind.BRIER: "Brier: 1 − (y − p)²",
    RewardKind.LOG_LOSS: "Log loss: ln p(y)",
    RewardKind.FORMULA: "Formula: your own",
    RewardKind.TUTORIAL: "Tutorial: 1/error²",
}

SENTENCES = {
    RewardKind.BOUNDED: "Within 0 to 1: full marks for an exact prediction, one half for an error as large as the "
    "scale; a few rows can never decide the mean.",
    RewardKind.HIT: "1 if prediction and truth are the same, else 0: the mean is the accuracy. For classes.",
    RewardKind.ABSOLUTE: "Minus the size of the error, in the unit of the target: the mean is minus the MAE.",
    RewardKind.SQUARED: "Minus the error squared: the mean is minus the MSE, in which large errors weigh most.",
    RewardKind.BRIER: "For probabilities (of class 1, or one per class): 1 minus the Brier score, within 0 to 1.",
    RewardKind.LOG_LOSS: "For probabilities: the logarithm of what the model gave to the class that came true. "
    "Hard on confident errors.",
    RewardKind.FORMULA: "An expression over y (truth) and y_pred (prediction), such as exp(-abs(y - y_pred)).",
    RewardKind.TUTORIAL: "1/error², as in the original tutorial: to see what a reward without a mean does.",
}

LEDGER_ONLY = "It can be negative, so it lives in the ledger alone: an arm's counters only grow."
_NEGATIVE = {RewardKind.ABSOLUTE, RewardKind.SQUARED, RewardKind.LOG_LOSS}
_EXACT_TEXT = {RewardKind.HIT, RewardKind.FORMULA}


@dataclass(frozen=True, slots=True)
class Reward:
    """A formula with what it needs.

    Attributes:
        kind: which of the catalogue.
        scale: the error that earns one half, in the unit of the target; matters to the bounded reward only.
        expression: over y and y_pred; given for a formula of one's own and empty for all others.
    """

    kind: RewardKind
    scale: float = 1.0
    expression: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InvalidInput(f"The scale of a reward must be a positive number, not {self.scale}.")
        if self.kind is not RewardKind.BOUNDED:
            object.__setattr__(self, "scale", 1.0)  # so that equal formulas are equal rewards
        if self.kind is RewardKind.FORMULA:
            formula(self.expression)
        elif self.expression:
            raise InvalidInput(f"“{LABELS[self.kind]}” takes no formula.")

    @property
    def label(self) -> str:
        return f"Formula: {self.expression}" if self.expression else LABELS[self.kind]

    @property
    def sentence(self) -> str:
        """What it pays for, and where it may go."""
        return SENTENCES[self.kind] if self.counted else f"{SENTENCES[self.kind]} {LEDGER_ONLY}"

    @property
    def formula(self) -> str:
        """The formula for y (truth) and f (prediction; p where it is a probability)."""
        match self.kind:
            case RewardKind.TUTORIAL:
                return f"1 / (y − f)², {TUTORIAL_EXACT:g} if y = f"
            case RewardKind.HIT:
                return "1 if y = f, else 0"
            case RewardKind.ABSOLUTE:
                return "−|y − f|"
            case RewardKind.SQUARED:
                return "−(y − f)²"
            case RewardKind.BRIER:
                return "1 − (y − p)², for several classes 1 − ½ Σ (pₖ − 1[k = y])²"
            case RewardKind.LOG_LOSS:
                return f"ln p(y), with p at least {LEAST_PROBABILITY:g}"
            case RewardKind.FORMULA:
                return self.expression
        return "1 / (1 + (y − f)²)" if self.scale == 1 else f"1 / (1 + ((y − f) / {self.scale:g})²)"

    @property
    def warning(self) -> str:
        """What to know before trusting it; empty when there is nothing."""
        return TAIL_WARNING if self.kind is RewardKind.TUTORIAL else ""

    @property
    def numeric(self) -> bool:
        """Whether truth and prediction must be numbers."""
        return self.kind not in _EXACT_TEXT

    @property
    def counted(self) -> bool:
        """Whether it may be sent to the arms' counters, which only grow: so not if it can be negative.

        Of a formula that is known only where it has been tried (see formula.SAMPLES).
        """
        if self.kind is RewardKind.FORMULA:
            return min(sampled(self.expression), default=0.0) >= 0
        return self.kind not in _NEGATIVE

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most that a row can earn; infinite where there is no such thing, or nobody knows."""
        match self.kind:
            case RewardKind.BOUNDED | RewardKind.HIT | RewardKind.BRIER:
                return 0.0, 1.0
            case RewardKind.TUTORIAL:
                return 0.0, math.inf
            case RewardKind.FORMULA:
                return -math.inf, math.inf
        return -math.inf, 0.0

    def to_json(self) -> dict[str, Any]:
        stored: dict[str, Any] = {"kind": str(self.kind), "scale": self.scale}
        return {**stored, "formula": self.expression} if self.expression else stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Reward:
        return cls(RewardKind(stored["kind"]), stored["scale"], stored.get("formula", ""))

    def __call__(self, truth: object, prediction: object) -> float:
        """The reward of one row: nan if truth or prediction is missing, or a formula has no value there.

        Raises InvalidPayload if the formula needs numbers and one of the two is none, or if the model answered several
        values for the row (probabilities apart).
        """
        truth = single("truth", truth)
        if self.kind is RewardKind.BOUNDED:  # first, because most rows pass here
            scaled = (number("truth", truth) - number("prediction", single("prediction", prediction))) / self.scale
            return 1.0 / (1.0 + scaled * scaled)
        if self.kind in (RewardKind.BRIER, RewardKind.LOG_LOSS):
            return probability_reward(truth, prediction, logarithm=self.kind is RewardKind.LOG_LOSS)
        prediction = single("prediction", prediction)
        if self.kind in _EXACT_TEXT and (missing(truth) or missing(prediction)):
            return math.nan
        if self.kind is RewardKind.HIT:
            return float(same(truth, prediction))
        if self.kind is RewardKind.FORMULA:
            return formula(self.expression)(truth, prediction)
        y, f = number("truth", truth), number("prediction", prediction)
        error = y - f
        if self.kind is RewardKind.ABSOLUTE:
            return -abs(error)
        squared = error * error
        if self.kind is RewardKind.SQUARED:
            return -squared
        # Below this the quotient is no finite number any more: as good as equal.
        return TUTORIAL_EXACT if squared < sys.float_info.min else 1.0 / squared

    def of(self, truths: Sequence[object], predictions: Sequence[object]) -> NDArray[np.float64]:
        """The rewards of many rows, shape (n,), equal to calling it row by row. Raises InvalidPayload."""
        if len(truths) != len(predictions):
            raise InvalidPayload("predictions", f"there are {len(predictions)} for {len(truths)} truths")
        if self.kind not in (RewardKind.BOUNDED, RewardKind.TUTORIAL):
            return np.array([self(y, f) for y, f in zip(truths, predictions, strict=True)], dtype=np.float64)
        y = np.array([number("truth", single("truth", v)) for v in truths], dtype=np.float64)
        f = np.array([number("prediction", single("prediction", v)) for v in predictions], dtype=np.float64)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if self.kind is RewardKind.BOUNDED:
                scaled = (y - f) / self.scale
                return np.asarray(1.0 / (1.0 + scaled * scaled), dtype=np.float64)
            squared = (y - f) * (y - f)
            return np.where(squared < sys.float_info.min, TUTORIAL_EXACT, 1.0 / squared)


def default_reward(truths: Sequence[object]) -> Reward:
    """Hit or miss for classes (text, booleans, 0/1 labels), bounded for all other numbers."""
    present = [value for value in truths if not missing(value)]
    if not present:
        return Reward(RewardKind.BOUNDED)
    if any(isinstance(v, bool | np.bool_) or not isinstance(v, numbers.Real) for v in present):
        return Reward(RewardKind.HIT)
    if all(isinstance(v, numbers.Integral) for v in present) and {int(v) for v in present} <= {0, 1}:  # type: ignore[call-overload]
        return Reward(RewardKind.HIT)
    return Reward(RewardKind.BOUNDED)
