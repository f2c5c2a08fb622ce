"""Rewards: the formulas by hand, the column form equal to the row form, and what cannot be rewarded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidInput, InvalidPayload
from services.traffic.reward_check import check_reward, truths_words
from services.traffic.rewards import TUTORIAL_EXACT, Reward, RewardKind, default_reward

TUTORIAL, BOUNDED, HIT = (Reward(RewardKind(kind)) for kind in ("tutorial", "bounded", "hit"))
ABSOLUTE, SQUARED = Reward(RewardKind.ABSOLUTE), Reward(RewardKind.SQUARED)
BRIER, LOG_LOSS = Reward(RewardKind.BRIER), Reward(RewardKind.LOG_LOSS)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("reward", "truth", "prediction", "expected"),
    [
        (TUTORIAL, 6, 5.5, 4.0),
        (TUTORIAL, 6, 6.0, 500.0),
        (TUTORIAL, 6, 6.01, 10_000.0),
        (TUTORIAL, 0.0, 1e-200, 500.0),
        (BOUNDED, 6, 6, 1.0),
        (BOUNDED, 6, 5, 0.5),
        (Reward(RewardKind.BOUNDED, 2.0), 6, 4, 0.5),
        (BOUNDED, 0.0, 1e308, 0.0),
        (BOUNDED, -1e308, 1e308, 0.0),
        (HIT, "red", "red", 1.0),
        (HIT, "red", "white", 0.0),
        (HIT, 3, "3", 1.0),
        (HIT, 3.0, "3", 1.0),
        (HIT, 3, 3.0, 1.0),
        (HIT, True, 1, 1.0),
        (HIT, "1", "01", 0.0),
        (HIT, "red", [["red"]], 1.0),
        (BOUNDED, 6, [5.0], 0.5),
        (ABSOLUTE, 6, 4.5, -1.5),
        (SQUARED, 6, [4.5], -2.25),
        (BRIER, 1, 0.8, 0.96),
        (BRIER, 0, 0.8, 0.36),
        (BRIER, True, [[0.2, 0.8]], 0.96),
        (BRIER, 2, [0.1, 0.2, 0.7], 1 - (0.01 + 0.04 + 0.09) / 2),
        (LOG_LOSS, 1, 0.25, math.log(0.25)),
        (LOG_LOSS, 0, 0.25, math.log(0.75)),
        (LOG_LOSS, 2, [0.1, 0.2, 0.7], math.log(0.7)),
        (LOG_LOSS, 1, 0.0, math.log(1e-15)),
        (Reward(RewardKind.FORMULA, expression="exp(-abs(y - y_pred))"), 6, 5, math.exp(-1)),
        (Reward(RewardKind.FORMULA, expression="2 if y == y_pred else 0"), "red", ["red"], 2.0),
    ],
)
def test_formulas_by_hand(reward: Reward, truth: object, prediction: object, expected: float) -> None:
    assert reward(truth, prediction) == pytest.approx(expected, rel=1e-9)


@given(
    st.sampled_from([TUTORIAL, BOUNDED, Reward(RewardKind.BOUNDED, 0.3), HIT, ABSOLUTE, SQUARED]),
    st.lists(st.tuples(FLOATS, FLOATS)),
)
def test_a_column_earns_what_its_rows_earn(reward: Reward, pairs: list[tuple[float, float]]) -> None:
    truths, predictions = [y for y, _ in pairs], [f for _, f in pairs]
    by_row = [reward(y, f) for y, f in pairs]
    assert reward.of(truths, predictions).tolist() == by_row


@given(FLOATS, FLOATS, st.floats(min_value=1e-6, max_value=1e6))
def test_rewards_are_finite_and_not_negative(truth: float, prediction: float, scale: float) -> None:
    bounded = Reward(RewardKind.BOUNDED, scale)(truth, prediction)
    assert 0 <= bounded <= 1
    assert 0 <= TUTORIAL(truth, prediction) < math.inf
    assert HIT(truth, prediction) in (0.0, 1.0)


@given(FLOATS)
def test_nothing_beats_the_truth(value: float) -> None:
    assert BOUNDED(value, value) == 1.0
    assert HIT(value, value) == 1.0
    assert TUTORIAL(value, value) == TUTORIAL_EXACT


def test_missing_values_earn_nothing_and_are_no_error() -> None:
    for reward in (TUTORIAL, BOUNDED, HIT):
        assert math.isnan(reward(None, 1.0))
        assert math.isnan(reward(1.0, float("nan")))


def test_numbers_are_required_where_the_formula_needs_them() -> None:
    with pytest.raises(InvalidPayload, match="“red” is not a number"):
        BOUNDED("red", 1.0)
    with pytest.raises(InvalidPayload, match="prediction: there are 3 values"):
        HIT("red", [0.1, 0.2, 0.7])
    with pytest.raises(InvalidPayload):
        BOUNDED.of([1.0], [1.0, 2.0])
    for scale in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InvalidInput):
            Reward(RewardKind.BOUNDED, scale)


def test_the_default_is_hit_for_classes_and_bounded_for_numbers() -> None:
    assert default_reward(["red", "white"]).kind is RewardKind.HIT
    assert default_reward([True, False]).kind is RewardKind.HIT
    assert default_reward([np.bool_(True)]).kind is RewardKind.HIT
    assert default_reward([0, 1, 1, None]).kind is RewardKind.HIT
    assert default_reward([3, 6, 7]).kind is RewardKind.BOUNDED
    assert default_reward([np.int64(5), np.float64(2.5), float("nan")]).kind is RewardKind.BOUNDED
    assert default_reward([]).kind is RewardKind.BOUNDED


@pytest.mark.parametrize("kind", list(RewardKind))
def test_each_has_a_label_a_sentence_and_a_way_through_json(kind: RewardKind) -> None:
    reward = Reward(kind, 0.5, "y * y_pred" if kind is RewardKind.FORMULA else "")
    assert Reward.from_json(reward.to_json()) == reward
    assert reward.label and reward.formula and reward.sentence
    assert ("ledger" in reward.sentence) == (not reward.counted)


def test_what_was_stored_before_there_were_formulas_is_read() -> None:
    assert Reward.from_json({"kind": "bounded", "scale": 2.0}) == Reward(RewardKind.BOUNDED, 2.0)


@pytest.mark.parametrize(
    ("reward", "counted"),
    [
        (BOUNDED, True),
        (TUTORIAL, True),
        (HIT, True),
        (BRIER, True),
        (ABSOLUTE, False),
        (SQUARED, False),
        (LOG_LOSS, False),
        (Reward(RewardKind.FORMULA, expression="exp(-(y - y_pred) ** 2)"), True),
        (Reward(RewardKind.FORMULA, expression="1 - abs(y - y_pred)"), False),
        (Reward(RewardKind.FORMULA, expression="1 if y_pred == 'red' else 0"), True),
    ],
)
def test_only_what_is_never_negative_goes_to_a_counter(reward: Reward, counted: bool) -> None:
    assert reward.counted is counted


@given(st.integers(0, 2), st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda p: sum(p) > 0))
def test_probabilities_earn_within_their_bounds(truth: int, weights: list[float]) -> None:
    shares = [w / sum(weights) for w in weights]
    assert -1e-9 <= BRIER(truth, shares) <= 1
    assert math.log(1e-15) - 1e-9 <= LOG_LOSS(truth, shares) <= 0


@pytest.mark.parametrize(("truth", "prediction"), [(1, 1.5), (1, -0.1), (2, 0.5), (0.5, 0.5), ("red", 0.5), (1, "red")])
def test_what_is_no_probability_is_refused(truth: object, prediction: object) -> None:
    for reward in (BRIER, LOG_LOSS):
        with pytest.raises(InvalidPayload):
            reward(truth, prediction)


class TestBeforeAnythingIsSent:
    def test_numbers_where_the_target_is_text(self) -> None:
        with pytest.raises(InvalidInput, match="needs numbers, and the target holds “red”"):
            check_reward(BOUNDED, ["red"])
        assert check_reward(HIT, ["red", None]) == truths_words(["red"], "colour") == ""
        assert truths_words(["red", None, None, float("nan")], "colour") == (
            "3 of 4 rows have no value in the target “colour”: they are sent, and earn no reward."
        )

    def test_classes_of_probabilities(self) -> None:
        assert check_reward(BRIER, [0, 1, 1, None]) == check_reward(LOG_LOSS, [0, 3, 7]) == ""
        for truths in ([0.5], ["red"], [-1]):
            with pytest.raises(InvalidInput, match="the target holds"):
                check_reward(BRIER, truths)

    def test_a_formula_is_tried_on_the_truths(self) -> None:
        def tried(expression: str, truths: list[object]) -> str:
            return check_reward(Reward(RewardKind.FORMULA, expression=expression), truths)

        assert tried("1 / (1 + abs(y - y_pred))", [3, 6, 9]) == ""
        assert "3 of the 9 pairs" in tried("1 / (y - y_pred)", [3, 6, 9])
        with pytest.raises(InvalidInput, match="no finite value"):
            tried("log(-1 - y * y * y_pred * y_pred)", [3, 6, 9])
        with pytest.raises(InvalidInput, match="“red” is not a number"):
            tried("y - y_pred", ["red"])

    @pytest.mark.parametrize(
        ("expression", "truths"),
        [
            ("y * 2 + 0 * y_pred", [3, 6, 9]),
            ("y if y_pred == y_pred else 0", [3]),
            ("1 if y_pred == 'green' else 0", ["red", "white"]),
        ],
    )
    def test_a_formula_that_ignores_the_prediction_is_refused(self, expression: str, truths: list[object]) -> None:
        with pytest.raises(InvalidInput, match="every model would earn the same") as caught:
            check_reward(Reward(RewardKind.FORMULA, expression=expression), truths)
        assert "y_pred" in caught.value.hint

    @pytest.mark.parametrize(
        ("expression", "truths"),
        [
            ("exp(-y_pred)", [3, 6]),  # what a high prediction costs, whatever is true
            ("1 if y_pred > 50 else 0", [3, 6]),
            ("1 if y == y_pred else 0", [6]),
            ("1 if y == y_pred else 0", ["red"]),
            ("1 if y_pred == 'red' else 0", ["red", "white"]),
        ],
    )
    def test_a_formula_may_ignore_the_truth_or_be_flat_where_the_data_is(
        self, expression: str, truths: list[object]
    ) -> None:
        assert check_reward(Reward(RewardKind.FORMULA, expression=expression), truths) == ""

    def test_a_target_without_any_value_has_nothing_to_try(self) -> None:
        assert all(check_reward(reward, [None, math.nan]) == "" for reward in (BOUNDED, HIT, BRIER))


def test_only_the_tutorial_reward_warns() -> None:
    assert "no mean" in TUTORIAL.warning
    assert "more traffic" in TUTORIAL.warning
    assert BOUNDED.warning == HIT.warning == ""
    assert all(reward.label and reward.formula for reward in (TUTORIAL, BOUNDED, HIT))


def test_the_heavy_tail_is_real_and_the_bounded_reward_has_none() -> None:
    """Two identical models, one with four times the traffic: only the tutorial's mean favours it."""
    errors = np.random.default_rng(7).normal(0, 0.75, (400, 500))
    ahead = {}
    for reward in (TUTORIAL, BOUNDED):
        earned = reward.of(errors.ravel().tolist(), [0.0] * errors.size).reshape(errors.shape)
        ahead[reward.kind] = float(np.mean(earned[:, :400].mean(axis=1) > earned[:, 400:].mean(axis=1)))
    assert ahead[RewardKind.TUTORIAL] > 0.6
    assert 0.4 < ahead[RewardKind.BOUNDED] < 0.6
