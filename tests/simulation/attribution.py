"""Whose reward is it? Feedback given to the arm that predicted, against feedback given to an arm drawn anew.

A feedback request that does not name its prediction's arm is routed like any other request: 80 % to A, 20 % to B,
whoever predicted. Both counters then hold the same mixture of rewards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.stats.difference import Difference, two_samples
from services.stats.sums import Sums

MEAN_A, MEAN_B = 0.5, 0.7
"""Chance of a hit of each arm in the example: B is better by .2."""
SHARE_B = 0.2
REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Attributed:
    """The same predictions and rewards, counted for the arm that predicted and for an arm drawn anew."""

    ledger_a: Sums
    ledger_b: Sums
    naive_a: Sums
    naive_b: Sums

    @property
    def ledger(self) -> Difference:
        return two_samples(self.ledger_a, self.ledger_b, planned=5000)

    @property
    def naive(self) -> Difference:
        return two_samples(self.naive_a, self.naive_b, planned=5000)


def attribute(
    *, seed: int, mean_a: float = MEAN_A, mean_b: float = MEAN_B, share_b: float = SHARE_B, requests: int = REQUESTS
) -> Attributed:
    """One test of `requests` predictions with hit-or-miss rewards of known means."""
    rng = np.random.default_rng(seed)
    by_b = rng.random(requests) < share_b
    rewards = (rng.random(requests) < np.where(by_b, mean_b, mean_a)).astype(float)
    given_to_b = rng.random(requests) < share_b
    return Attributed(
        *(Sums.of(rewards[chosen]) for chosen in (~by_b, by_b, ~given_to_b, given_to_b)),
    )


def mixture(mean_a: float = MEAN_A, mean_b: float = MEAN_B, share_b: float = SHARE_B) -> float:
    """What both counters of the naive attribution tend to: (1 - q) mean_A + q mean_B."""
    return (1 - share_b) * mean_a + share_b * mean_b
