"""The gateway's counts while the split moves, right and wrong: how often does the sequential test speak up?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from services.stats.srm import AMBER, RED, sequential_p
from tests.simulation.chance import Share

SHARES = np.repeat([0.05, 0.2, 0.5], [40, 60, 100])
"""B's share in each of 200 looks."""
PER_LOOK = 50


@dataclass(frozen=True, slots=True)
class Routed:
    """Experiments in which p fell below AMBER, below RED, and in which a classical z test did, looked at each time.

    `totals`: in which the totals contradict the last share at p < .001, as a test that forgets the past has it.
    """

    amber: Share
    red: Share
    classical: Share
    totals: Share


def route(*, runs: int, seed: int, lost_b: float = 0.0, lag: int = 0) -> Routed:
    """Simulate `runs` tests.

    Args:
        lost_b: share of B's requests that never arrive.
        lag: looks for which the gateway still uses the old share after each change.
    """
    rng = np.random.default_rng(seed)
    in_force = np.concatenate([np.full(lag, SHARES[0]), SHARES[: len(SHARES) - lag]])
    to_b = rng.binomial(PER_LOOK, in_force, (runs, len(SHARES)))
    to_a = PER_LOOK - to_b
    if lost_b:
        to_b = rng.binomial(to_b, 1 - lost_b)
    n = to_a + to_b
    excess, variance = np.cumsum(to_b - n * SHARES, axis=1), np.cumsum(n * SHARES * (1 - SHARES), axis=1)
    p = sequential_p(excess, variance).min(axis=1)
    beyond = -float(ndtri(RED / 2))
    classical = np.any(np.abs(excess) > beyond * np.sqrt(variance), axis=1)
    total, last = n.sum(axis=1), SHARES[-1]
    totals = np.abs(to_b.sum(axis=1) - total * last) > beyond * np.sqrt(total * last * (1 - last))
    return Routed(*(Share(int(np.sum(found)), runs) for found in (p < AMBER, p < RED, classical, totals)))
