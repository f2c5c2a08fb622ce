"""Rewards: the formulas by hand, the column form equal to the row form, and what cannot be rewarded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidInput, InvalidPayload
from services.traffic.rewards import TUTORIAL_EXACT, Reward, RewardKind, default_reward

TUTORIAL, BOUNDED, HIT = (Reward(kind) for kind in RewardKind)
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
    ],
)
def test_formulas_by_hand(reward: Reward, truth: object, prediction: object, expected: float) -> None:
    assert reward(truth, prediction) == pytest.approx(expected, rel=1e-9)


@given(st.sampled_from([TUTORIAL, BOUNDED, Reward(RewardKind.BOUNDED, 0.3), HIT]), st.lists(st.tuples(FLOATS, FLOATS)))
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
