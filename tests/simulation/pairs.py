"""Paired replays: every row to both arms, looked at after every few rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from services.stats import gates
from services.stats.curve import paired_looks
from tests.simulation.chance import Share
from tests.simulation.families import RESIDUAL_SD, bounded

PLANNED = 500
ROWS, EVERY = 2000, 20


@dataclass(frozen=True)
class Pairs:
    """Differences B - A of shape (experiments, rows) whose mean is `truth`."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    truth: float = 0.0


def _alike(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Bounded rewards of two models whose errors agree but for a twentieth, as those of the wine models do."""
    common = rng.normal(0, RESIDUAL_SD, shape)
    a, b = (common + rng.normal(0, RESIDUAL_SD / 20, shape) for _ in range(2))
    return bounded(b * b) - bounded(a * a)


def _hits(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Hit or miss; the arms disagree on 2 % of the rows, each being right as often."""
    return np.where(rng.random(shape) < 0.02, rng.choice((-1.0, 1.0), shape), 0.0)


def _lopsided(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One big gain of B among a hundred rows, against four small losses."""
    draw = rng.random(shape)
    return np.where(draw < 0.01, 1.0, np.where(draw < 0.05, -0.25, 0.0))


def _very_lopsided(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One among two hundred, against ten very small ones."""
    draw = rng.random(shape)
    return np.where(draw < 0.005, 1.0, np.where(draw < 0.055, -0.1, 0.0))


PAIRS = (
    Pairs("normal", lambda rng, shape: rng.standard_normal(shape)),
    Pairs("1/(1 + e²), errors alike", _alike),
    Pairs("hit or miss, 2 % differ", _hits),
    Pairs("1 gain of 1 against 4 losses of .25", _lopsided),
    Pairs("1 gain of 1 against 10 losses of .1", _very_lopsided),
)
PLANTED = Pairs("normal, .2 sd better", lambda rng, shape: rng.normal(0.2, 1, shape), 0.2)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Shares of replays: the interval missed the truth at a look with open gates, or at any; it excluded 0 rightly."""

    gated: Share
    ungated: Share
    found: Share


def replay(pairs: Pairs, *, runs: int, seed: int) -> Replayed:
    """Simulate replays of ROWS rows with a look after every EVERY."""
    rng = np.random.default_rng(seed)
    d = pairs.draw(rng, (runs, ROWS)).reshape(runs, ROWS // EVERY, EVERY)
    n = np.broadcast_to(np.arange(EVERY, ROWS + 1, EVERY, dtype=float), d.shape[:2])
    total, squares = np.cumsum(d.sum(axis=2), axis=1), np.cumsum((d * d).sum(axis=2), axis=1)
    largest = np.maximum.accumulate(np.abs(d).max(axis=2), axis=1)
    curve = paired_looks(n, total, squares, planned=PLANNED)
    open_ = pair_gates_open(n, total, squares, largest)
    missed = (curve.low > pairs.truth) | (curve.high < pairs.truth)
    right = (curve.low > 0) & open_
    hits = ((missed & open_).any(axis=1), missed.any(axis=1), right.any(axis=1))
    return Replayed(*(Share(int(found.sum()), runs) for found in hits))


def pair_gates_open(n: np.ndarray, total: np.ndarray, squares: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """gates.enough_pairs as booleans, shape (experiments, looks)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.maximum(np.abs(total), np.where(largest > 0, squares / largest, 0))
        weighty = (squares == 0) | (magnitude**2 / squares >= gates.PAIR_KISH)
    return (n >= gates.REWARDS) & weighty
