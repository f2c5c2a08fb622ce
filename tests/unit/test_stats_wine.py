"""The statistics on the tutorial's own data: two models, 4,898 rows, and what each reward makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from services.stats import gates
from services.stats.difference import paired
from services.stats.sums import Sums
from services.stats.welch import welch_paired
from services.traffic.rewards import Reward, RewardKind
from tests.simulation.wines import shuffle
from tests.support.wine_rewards import held_out_rows, predictions

TRUTH, OF_A, OF_B = predictions()
ERROR_A, ERROR_B = TRUTH - OF_A, TRUTH - OF_B
BOUNDED = Reward(RewardKind.BOUNDED)


def earned(reward: Reward) -> tuple[np.ndarray, np.ndarray]:
    return reward.of(TRUTH.tolist(), OF_A.tolist()), reward.of(TRUTH.tolist(), OF_B.tolist())


def z(d: np.ndarray) -> float:
    found = welch_paired(Sums.of(d))
    return found.estimate / found.se


def test_b_is_the_better_model():
    test = held_out_rows()
    for rows, rmse_a, rmse_b, mae_a, mae_b in ((slice(None), 0.8252, 0.8142, 0.6323, 0.6277),
                                               (test, 0.8222, 0.8118, 0.6279, 0.6245)):  # fmt: skip
        a, b = ERROR_A[rows], ERROR_B[rows]
        found = [float(np.sqrt(np.mean(a**2))), float(np.sqrt(np.mean(b**2)))]
        assert found == pytest.approx([rmse_a, rmse_b], abs=5e-5)
        assert [np.mean(abs(a)), np.mean(abs(b))] == pytest.approx([mae_a, mae_b], abs=5e-5)


@pytest.mark.parametrize(
    ("reward", "mean_a", "mean_b", "z_all", "z_test"),
    [
        (lambda e: 1 / (1 + e**2), 0.7258, 0.7298, 14.7, 6.8),
        (lambda e: -(e**2), -0.6810, -0.6630, 16.6, 6.9),
        (lambda e: -np.abs(e), -0.6323, -0.6277, 7.9, 2.9),
        (lambda e: np.minimum(1 / e**2, 500), 62.25, 55.26, -8.3, -3.6),
    ],
)
def test_paired_differences(reward, mean_a: float, mean_b: float, z_all: float, z_test: float):
    a, b = reward(ERROR_A), reward(ERROR_B)
    assert [Sums.of(a).mean, Sums.of(b).mean] == pytest.approx([mean_a, mean_b], rel=1e-4)
    test = held_out_rows()
    assert z(b - a) == pytest.approx(z_all, abs=0.06)
    assert z((b - a)[test]) == pytest.approx(z_test, abs=0.06)


def test_the_bounded_reward_decides_for_b():
    a, b = earned(BOUNDED)
    d = Sums.of(b - a)
    found = paired(d, planned=500)
    assert gates.enough_pairs(d) == []
    assert gates.tail(Sums.of(a), Sums.of(b), hill_a=gates.hill(a), hill_b=gates.hill(b)) is None
    assert found.estimate == pytest.approx(0.0040, abs=5e-5)
    assert found.low > 0


def test_the_tutorials_reward_says_the_opposite_and_is_flagged():
    a, b = earned(Reward(RewardKind.TUTORIAL))
    of_a, of_b = Sums.of(a), Sums.of(b)
    assert [of_a.mean, of_b.mean] == pytest.approx([6623, 1617], abs=1)
    assert z(b - a) == pytest.approx(-2.35, abs=0.01)
    assert of_a.top_share == pytest.approx(0.237, abs=0.001)
    assert of_a.kish == pytest.approx(10, abs=0.5)
    words = gates.tail(of_a, of_b)
    assert words is not None
    assert "24% of A’s total" in words
    assert gates.hill(a) < gates.HILL


def test_rows_needed():
    """80 % power at one look, 7.849 v/δ²: 179 rows sent to both, or 174,000 requests at 80/20."""
    a, b = earned(BOUNDED)
    d = Sums.of(b - a)
    factor = (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 / d.mean**2
    assert factor == pytest.approx(7.849 / d.mean**2, rel=1e-3)
    assert factor * d.variance == pytest.approx(179, abs=1)
    split = Sums.of(a).variance / 0.8 + Sums.of(b).variance / 0.2
    assert factor * split == pytest.approx(174_484, rel=1e-3)


def test_four_hundred_rows_in_any_order_are_enough():
    found = shuffle(BOUNDED, runs=100, seed=20)
    assert found.for_b.hits >= 80
    assert found.for_a.hits == 0
