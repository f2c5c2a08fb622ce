"""Two arms under a fixed split, looked at again and again: how often does which interval miss the truth?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.stats import gates
from services.stats.curve import always_valid_curve, two_sample_looks
from services.stats.difference import share_variance
from tests.simulation.chance import Share
from tests.simulation.families import Family

CHUNK_ROWS = 2_000_000
CLASSICAL = 1.96


@dataclass(frozen=True)
class Looks:
    """Cumulated sums of one arm at each look, shapes (experiments, looks)."""

    n: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    largest: np.ndarray

    @property
    def sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.n, self.total, self.squares


@dataclass(frozen=True, slots=True)
class Peeked:
    """Shares of experiments in which an interval missed the true difference.

    Attributes:
        gated: at any look at which the gates were open: what the product shows.
        ungated: at any look at all, with the same interval.
        classical: at any look from the first gate (100 rewards per arm) on, with the fixed 95 % interval.
        once: at the last look only, with the fixed 95 % interval.
        found: the gated interval excluded 0 at some look, on the right side.
        shown: the gates were open at the last look.
    """

    gated: Share
    ungated: Share
    classical: Share
    once: Share
    found: Share
    shown: Share


def peek(
    a: Family,
    b: Family,
    *,
    share_b: float,
    runs: int,
    seed: int,
    truth: float = 0.0,
    planned: float = 5000,
    looks: int = 100,
) -> Peeked:
    """Simulate `runs` experiments of `looks` * a.per_look requests, with `truth` the true mean B - mean A."""
    rng, per_look = np.random.default_rng(seed), a.per_look
    tally = np.zeros(6, dtype=int)
    left = runs
    while left:
        now = min(left, max(1, CHUNK_ROWS // (looks * per_look)))
        left -= now
        tally += _tally(*draw_looks(a, b, share_b, now, looks, per_look, rng), truth, planned)
    return Peeked(*(Share(int(hits), runs) for hits in tally))


def draw_looks(
    a: Family, b: Family, share_b: float, runs: int, looks: int, per_look: int, rng: np.random.Generator
) -> tuple[Looks, Looks]:
    """Each request goes to B by chance; requests are independent, so those of B may be drawn first in each look."""
    n_b = rng.binomial(per_look, share_b, (runs, looks))
    shape = (runs, looks, per_look)
    if a is b:
        rewards = a.draw(rng, shape)
        return _first(rewards[..., ::-1], per_look - n_b), _first(rewards, n_b)
    return _first(a.draw(rng, shape), per_look - n_b), _first(b.draw(rng, shape), n_b)


def gates_open(a: Looks, b: Looks) -> np.ndarray:
    """gates.enough and gates.tail (without Hill) as booleans, shape (experiments, looks)."""
    both = Looks(a.n + b.n, a.total + b.total, a.squares + b.squares, np.maximum(a.largest, b.largest))
    found = (np.minimum(a.n, b.n) >= gates.REWARDS) & (both.squares > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        due = _magnitude(both) ** 2 / both.squares * np.minimum(a.n, b.n) / both.n
        for arm in (a, b):
            one_value = arm.squares >= arm.largest * np.abs(arm.total) * (1 - 1e-9)
            found &= one_value | (arm.largest / _magnitude(arm) <= gates.TOP_SHARE)
    return found & (due >= gates.KISH)


def _magnitude(arm: Looks) -> np.ndarray:
    """Sums.magnitude."""
    return np.maximum(np.abs(arm.total), np.where(arm.largest > 0, arm.squares / arm.largest, 0))


def ahead(family: Family, share_b: float, *, runs: int, seed: int, requests: int = 2000) -> Share:
    """A/A tests in which A has the higher mean at the end: half of them, for a reward that has a mean."""
    rng = np.random.default_rng(seed)
    n_b = round(requests * share_b)
    means = [family.draw(rng, (runs, n)).mean(axis=1) for n in (requests - n_b, n_b)]
    return Share(int(np.sum(means[0] > means[1])), runs)


def errors(
    rate: float, share_b: float, *, runs: int, seed: int, looks: int = 100, per_look: int = 50, planned: float = 5000
) -> Share:
    """Experiments in which difference.proportions excludes 0 at any look, both arms failing at the same `rate`."""
    rng = np.random.default_rng(seed)
    new_b = rng.binomial(per_look, share_b, (runs, looks))
    bad_b, bad_a = (np.cumsum(rng.binomial(n, rate), axis=1).astype(float) for n in (new_b, per_look - new_b))
    n_b = np.cumsum(new_b, axis=1).astype(float)
    n_a = np.arange(1, looks + 1) * float(per_look) - n_b
    with np.errstate(invalid="ignore", divide="ignore"):  # an arm without requests yet: nothing is known
        se = np.sqrt(share_variance(bad_a, n_a) + share_variance(bad_b, n_b))
        gap = bad_b / n_b - bad_a / n_a
    curve = always_valid_curve(gap, se, n_a + n_b, planned=planned, alpha=0.05)
    return Share(int(curve.excludes_zero.any(axis=1).sum()), runs)


def _first(rewards: np.ndarray, count: np.ndarray) -> Looks:
    """Cumulated sums of the first `count` rewards of each look."""
    inside = np.arange(rewards.shape[-1]) < count[..., None]
    kept = np.where(inside, rewards, 0.0)
    size = np.maximum(kept.max(axis=-1), -kept.min(axis=-1))
    return Looks(
        np.cumsum(count, axis=1).astype(float),
        np.cumsum(kept.sum(axis=-1), axis=1),
        np.cumsum(np.einsum("...i,...i", kept, kept), axis=1),
        np.maximum.accumulate(size, axis=1),
    )


def _tally(a: Looks, b: Looks, truth: float, planned: float) -> np.ndarray:
    """Counts of experiments, in the order of Peeked."""
    curve = two_sample_looks(a.sums, b.sums, planned=planned)
    open_ = gates_open(a, b)
    missed = (curve.low > truth) | (curve.high < truth)
    with np.errstate(invalid="ignore"):
        beyond = np.abs(curve.estimate - truth) > CLASSICAL * curve.se
    warm = np.minimum(a.n, b.n) >= gates.REWARDS
    right = curve.low > 0 if truth >= 0 else curve.high < 0
    counted = [(missed & open_).any(axis=1), missed.any(axis=1), (beyond & warm).any(axis=1), beyond[:, -1]]
    return np.array([found.sum() for found in (*counted, (right & open_).any(axis=1), open_[:, -1])])
