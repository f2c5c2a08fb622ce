"""Paired replays of the wine rows in random order: what the tutorial's two models look like after how many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.stats.curve import paired_looks
from services.traffic.rewards import Reward
from tests.simulation.chance import Share
from tests.simulation.pairs import PLANNED, pair_gates_open
from tests.support.wine_rewards import predictions

ROWS = 400


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Replays in which the interval, looked at after each row, excluded 0 for B, or for A, within ROWS rows."""

    for_b: Share
    for_a: Share


def shuffle(reward: Reward, *, runs: int, seed: int) -> Shuffled:
    """Replay ROWS rows, drawn without replacement, `runs` times."""
    truth, a, b = (values.tolist() for values in predictions())
    difference = reward.of(truth, b) - reward.of(truth, a)
    rng = np.random.default_rng(seed)
    d = np.array([rng.choice(difference, ROWS, replace=False) for _ in range(runs)])
    n = np.broadcast_to(np.arange(1.0, ROWS + 1), d.shape)
    total, squares = np.cumsum(d, axis=1), np.cumsum(d * d, axis=1)
    open_ = pair_gates_open(n, total, squares, np.maximum.accumulate(np.abs(d), axis=1))
    curve = paired_looks(n, total, squares, planned=PLANNED)
    named = ((curve.low > 0) & open_, (curve.high < 0) & open_)
    return Shuffled(*(Share(int(found.any(axis=1).sum()), runs) for found in named))
