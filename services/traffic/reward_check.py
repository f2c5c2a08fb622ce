"""Trying a reward on the truths of a dataset before anything is sent: what would fail rows fails here, in words."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

from services.errors import InvalidInput, InvalidPayload
from services.traffic.formula import SAMPLES
from services.traffic.reward_values import missing
from services.traffic.rewards import Reward, RewardKind

TRIED = 25
"""Truths on which a formula is tried, each with the others as predictions."""

MOST_CLASSES = 1000


def check_reward(reward: Reward, truths: Sequence[object]) -> str:
    """Try a reward on the truths of a dataset; returns what to know beforehand, or "".

    Raises InvalidInput if some truth can never earn anything: text where numbers are needed, a class that is none of
    the probabilities', a formula without a finite value, or one that is the same whatever was predicted.
    """
    kept = list(dict.fromkeys(value for value in truths if not missing(value)))
    if reward.kind is RewardKind.FORMULA:
        return _check_formula(reward, kept[:: max(1, len(kept) // TRIED)])
    for truth in kept:
        try:
            reward(truth, _possible_prediction(reward, truth))
        except InvalidPayload as error:
            words = "needs numbers" if error.hint.startswith("Use hit") else f"cannot be worked out ({error.problem})"
            raise InvalidInput(
                f"“{reward.label}” {words}, and the target holds “{truth}”.", error.hint or "Use hit or miss."
            ) from error
    return ""


def truths_words(truths: Sequence[object], target: str) -> str:
    """How many rows have no truth, and what that means for them; "" if all have one."""
    empty = sum(map(missing, truths))
    if not empty:
        return ""
    return (
        f"{empty:,} of {len(truths):,} rows {'has' if empty == 1 else 'have'} no value in the target “{target}”: "
        f"{'it is' if empty == 1 else 'they are'} sent, and {'earns' if empty == 1 else 'earn'} no reward."
    )


def _possible_prediction(reward: Reward, truth: object) -> object:
    if reward.kind not in (RewardKind.BRIER, RewardKind.LOG_LOSS):
        return truth
    given = float(truth) if isinstance(truth, numbers.Real) else 0.0
    classes = int(given) + 1 if 0 <= given < MOST_CLASSES else 2
    return [1 / max(2, classes)] * max(2, classes)


def _check_formula(reward: Reward, truths: Sequence[object]) -> str:
    table = [_values(reward, truth, truths) for truth in truths]
    values = [value for row in table for value in row]
    bad = sum(not math.isfinite(value) for value in values)
    if values and bad == len(values):
        raise InvalidInput(
            f"The formula “{reward.expression}” has no finite value for any truth of this data.",
            "Mind divisions by zero and logarithms of negative numbers.",
        )
    if not _tells_apart(reward, truths, table):
        raise InvalidInput(
            f"The formula “{reward.expression}” gives the same whatever is predicted: every model would earn the same.",
            "Let the value depend on y_pred.",
        )
    if bad:
        return (
            f"The formula has no finite value for {bad:,} of the {len(values):,} pairs of truths tried; rows like them "
            "stay without a reward."
        )
    return ""


def _values(reward: Reward, truth: object, predictions: Sequence[object]) -> list[float]:
    found = []
    for prediction in predictions:
        try:
            found.append(reward(truth, prediction))
        except InvalidPayload as error:
            raise InvalidInput(f"{error.problem[:1].upper()}{error.problem[1:]}.", error.hint) from error
    return found


def _tells_apart(reward: Reward, truths: Sequence[object], table: Sequence[Sequence[float]]) -> bool:
    """Whether two predictions earn different rewards for some truth; taken to be so where only one can be tried."""
    if any(map(_differ, table)):
        return True
    if truths and all(isinstance(truth, numbers.Real) for truth in truths):  # a threshold may lie beyond the truths
        return any(_differ(_values(reward, truth, SAMPLES)) for truth in truths)
    return len(truths) < 2


def _differ(values: Sequence[float]) -> bool:
    return len({value for value in values if math.isfinite(value)}) > 1
