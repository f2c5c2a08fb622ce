"""Whether a late truth can be one of the row that it names, and a reward one that the running test could have paid.

A column that was mixed up is noticed here: labels where the target is a number, amounts where the rule of the test
pays between 0 and 1, of which a few would decide a mean that they are not part of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.domain.values import real, single
from services.evidence.late import LateTruth
from services.evidence.tests_table import ABTestRecord
from services.traffic.rewards import Reward, RewardKind

Row = Mapping[str, Any]
Spec = Mapping[str, Any] | None


class Fitting:
    """Says what is wrong with a late truth, before it is attached.

    Args:
        test_of: the running test of a deployment (namespace, name), or None.
        priced: the formula for rows of the replay with this spec, or None.
    """

    def __init__(
        self, test_of: Callable[[tuple[str, str]], ABTestRecord | None], priced: Callable[[Spec], Reward | None]
    ) -> None:
        self._test_of, self._priced = test_of, priced

    def __call__(self, row: Row, late: LateTruth, spec: Spec) -> str:
        """What is wrong, without a full stop at its end, or ""."""
        test = self._test_of((row["namespace"], row["deployment"]))
        paid = Reward.from_json(test.rule["reward"]) if test is not None else None
        if late.truth is not None:
            words = _no_truth(late.truth, row, self._priced(spec) or paid)
            if words:
                return words
        if late.reward is None or test is None or paid is None or not _counts(row, test, paid, spec):
            return ""
        least, most = paid.bounds
        if least <= late.reward <= most:
            return ""
        return (
            f"the reward {_shown(late.reward)} is not within {_shown(least)} to {_shown(most)}, which is what "
            f"A/B test {test.id} pays ({paid.formula})"
        )


def _counts(row: Row, test: ABTestRecord, paid: Reward, spec: Spec) -> bool:
    """Whether the row is evidence of this test: sent since it began, and by no replay that goes by another reward."""
    if row["at"] < test.started_at:
        return False
    return spec is None or "reward" not in spec or Reward.from_json(spec["reward"]) == paid


def _no_truth(truth: object, row: Row, formula: Reward | None) -> str:
    """Why a truth cannot be one of the row, or "". A formula of one's own may take whatever it names."""
    if not isinstance(single(truth), str):
        return ""
    if formula is None:
        stored = real(row["truth"])
        why = f"{_shown(stored)} is stored" if stored is not None else ""
    elif formula.numeric:
        why = "the reward needs one; use hit or miss for classes"
    else:
        answered = formula.kind is RewardKind.HIT and real(row["prediction"]) is not None
        why = "the model predicts numbers" if answered else ""
    return f"the truth “{truth}” is not a number, and {why}" if why else ""


def _shown(value: float) -> str:
    return f"{value:.15g}".replace("-", "−").replace("inf", "∞")
