"""A slider that moves while rewards drift: pooled means, strata, and weighting by the share in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from services.stats import gates
from services.stats.adaptive import aipw_curve
from services.stats.curve import Curve, two_sample_looks
from services.stats.difference import stratified
from services.stats.sums import Sums
from tests.simulation.chance import Share

INTERVALS, PER_INTERVAL, EVERY = 500, 20, 5
PLANNED = 5000


@dataclass(frozen=True)
class Day:
    """B's share per interval (one row per experiment) and the level that the rewards of both arms share."""

    name: str
    shares: Callable[[np.random.Generator, int], np.ndarray]
    level: np.ndarray


def _steps(*shares: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, runs: np.tile(np.repeat(shares, [100, 150, 250]), (runs, 1))


def _slider(rng: np.random.Generator, runs: int) -> np.ndarray:
    return np.repeat(rng.uniform(0.05, 0.95, (runs, INTERVALS // 10)), 10, axis=1)


FLAT = np.zeros(INTERVALS)
FALLING = np.repeat([3.0, 2.7, 2.2], [100, 150, 250])
WAVES = 0.5 * np.sin(np.arange(INTERVALS) * 2 * np.pi / INTERVALS)
DAYS = (
    Day("always 20 %, no drift", _steps(0.2, 0.2, 0.2), FLAT),
    Day("5 → 20 → 50 %, no drift", _steps(0.05, 0.2, 0.5), FLAT),
    Day("5 → 20 → 50 %, falling level", _steps(0.05, 0.2, 0.5), FALLING),
    Day("5 → 20 → 50 %, waves", _steps(0.05, 0.2, 0.5), WAVES),
    Day("slider moved every 10 intervals, waves", _slider, WAVES),
)


@dataclass(frozen=True, slots=True)
class Drifted:
    """Shares of experiments whose always-valid interval missed the truth at a look, and mean errors at the end.

    Attributes:
        aipw, pooled: at any look with open gates.
        aipw_bias, pooled_bias: mean of estimate - truth at the last interval, in standard deviations of a reward.
        found: the interval of `aipw` excluded 0 on the side of the truth.
        wrong: the pooled interval excluded the side of the truth.
    """

    aipw: Share
    pooled: Share
    aipw_bias: float
    pooled_bias: float
    found: Share
    wrong: Share


@dataclass(frozen=True)
class Counters:
    """Growth per interval, shapes (experiments, INTERVALS); squares only feed the pooled interval of rows."""

    share: np.ndarray
    n_a: np.ndarray
    s_a: np.ndarray
    n_b: np.ndarray
    s_b: np.ndarray
    squares_a: np.ndarray
    squares_b: np.ndarray


def live_through(day: Day, *, runs: int, seed: int, truth: float = 0.0) -> Drifted:
    """Normal rewards of sd 1 around the day's level, `truth` more for B; looks every EVERY intervals."""
    seen = count(day, runs, np.random.default_rng(seed), truth)
    weighted = aipw_curve(seen.n_a, seen.s_a, seen.n_b, seen.s_b, seen.share, planned=PLANNED)
    a, b = (tuple(np.cumsum(part, axis=1) for part in arm) for arm in _arms(seen))
    pooled = two_sample_looks(a, b, planned=PLANNED)
    looked = (np.arange(INTERVALS) + 1) % EVERY == 0
    fed = np.minimum(np.cumsum(seen.n_a > 0, axis=1), np.cumsum(seen.n_b > 0, axis=1))
    open_ = looked & (np.minimum(a[0], b[0]) >= gates.REWARDS) & (fed >= gates.INTERVALS)

    def any_of(found: np.ndarray) -> Share:
        return Share(int((found & open_).any(axis=1).sum()), runs)

    return Drifted(
        any_of(_misses(weighted, truth)),
        any_of(_misses(pooled, truth)),
        float(weighted.estimate[:, -1].mean() - truth),
        float(pooled.estimate[:, -1].mean() - truth),
        any_of(weighted.low > 0),
        any_of(pooled.high < 0),
    )


def stratify(day: Day, *, runs: int, seed: int, looks: int = 20) -> Share:
    """The same with difference.stratified over stretches of one share; misses of 0 at any of `looks` looks."""
    seen = count(day, runs, np.random.default_rng(seed), 0.0)
    missed = 0
    for run in range(runs):
        edges = np.flatnonzero(np.diff(seen.share[run], prepend=-1.0))
        missed += any(_stratum_misses(seen, run, edges, end) for end in np.linspace(25, INTERVALS, looks, dtype=int))
    return Share(missed, runs)


def count(day: Day, runs: int, rng: np.random.Generator, truth: float) -> Counters:
    """Draw the counters: sums of n normal rewards are normal, and what their squares add to that is chi-squared."""
    share = day.shares(rng, runs)
    total = rng.poisson(PER_INTERVAL, share.shape)
    n_b = rng.binomial(total, share)
    n_a = total - n_b
    (s_a, squares_a), (s_b, squares_b) = (_rewards(n, day.level + more, rng) for n, more in ((n_a, 0.0), (n_b, truth)))
    return Counters(share, n_a.astype(float), s_a, n_b.astype(float), s_b, squares_a, squares_b)


def _rewards(n: np.ndarray, level: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    sums = rng.normal(n * level, np.sqrt(n))
    around = np.where(n > 1, 2 * rng.standard_gamma(np.maximum(n - 1, 1) / 2), 0.0)
    return sums, around + sums**2 / np.maximum(n, 1)


def _arms(seen: Counters) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    return (seen.n_a, seen.s_a, seen.squares_a), (seen.n_b, seen.s_b, seen.squares_b)


def _misses(curve: Curve, truth: float) -> np.ndarray:
    return (curve.low > truth) | (curve.high < truth)


def _stratum_misses(seen: Counters, run: int, edges: np.ndarray, end: int) -> bool:
    begun = edges[edges < end]
    sums = [[np.add.reduceat(part[run, :end], begun) for part in arm] for arm in _arms(seen)]
    a, b = ([Sums(int(n), float(s), float(q)) for n, s, q in zip(*arm, strict=True)] for arm in sums)
    return stratified(list(zip(a, b, strict=True)), planned=PLANNED).excludes_zero
