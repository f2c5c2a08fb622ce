"""Evidence from counters alone: growth per interval, whose variance between intervals stands in for that of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.stats import batches, gates
from services.stats.adaptive import aipw_curve
from services.stats.batches import Batches
from services.stats.sums import Sums
from services.stats.welch import welch
from tests.simulation.chance import Share
from tests.simulation.families import Family
from tests.simulation.peeking import Looks, draw_looks

INTERVALS = 200
PER_INTERVAL = 25


def peek_counters(family: Family, *, share_b: float, runs: int, seed: int, bound: float | None = None) -> Share:
    """A/A tests in which adaptive.aipw excludes 0 at any interval at which the gates for counters are open."""
    rng = np.random.default_rng(seed)
    per_interval = PER_INTERVAL * family.per_look // 50
    found = 0
    for _ in range(runs // 100):
        a, b = draw_looks(family, family, share_b, 100, INTERVALS, per_interval, rng)
        grown = [np.diff(part, axis=1, prepend=0.0) for part in (a.n, a.total, b.n, b.total)]
        curve = aipw_curve(*grown, np.full(a.n.shape, share_b), planned=5000)
        open_ = counter_gates_open(a, b, *grown, bound)
        found += int((curve.excludes_zero & open_).any(axis=1).sum())
    return Share(found, runs // 100 * 100)


@dataclass(frozen=True, slots=True)
class Covered:
    """Experiments whose classical 95 % interval at the end held the truth: from batches, and from rows (Welch)."""

    batches: Share
    rows: Share


def cover(family: Family, *, intervals: int, runs: int, seed: int, shock_sd: float = 0.0) -> Covered:
    """A/A tests of so many intervals with 40 and 10 feedbacks on average.

    `shock_sd` shifts all rewards of an arm within an interval together.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(2, dtype=int)
    for _ in range(runs):
        arms = [_arm(family, rng.poisson(mean, intervals), shock_sd, rng) for mean in (40, 10)]
        (n_a, s_a, rows_a), (n_b, s_b, rows_b) = arms
        both = batches.fixed(Batches.of(n_a, s_a, n_b, s_b)), welch(rows_a, rows_b)
        held += [not found.excludes_zero for found in both]
    return Covered(*(Share(int(hits), runs) for hits in held))


def _arm(
    family: Family, n: np.ndarray, shock_sd: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, Sums]:
    rows = family.draw(rng, (int(n.sum()),)) + np.repeat(rng.normal(0, shock_sd, len(n)), n)
    upto = np.concatenate([[0.0], np.cumsum(rows)])[np.cumsum(n)]
    return n, np.diff(upto, prepend=0.0), Sums.of(rows)


def counter_gates_open(
    a: Looks, b: Looks, n_a: np.ndarray, s_a: np.ndarray, n_b: np.ndarray, s_b: np.ndarray, bound: float | None
) -> np.ndarray:
    """gates.enough_batches and gates.tail_batches as booleans, shape (experiments, intervals); rewards of one sign."""
    found = np.minimum(a.n, b.n) >= gates.REWARDS
    for n in (n_a, n_b):
        found &= np.cumsum(n > 0, axis=1) >= gates.INTERVALS
    with np.errstate(divide="ignore", invalid="ignore"):
        if bound is not None:
            return found & ((a.total + b.total) * np.minimum(a.n, b.n) / (a.n + b.n) >= gates.KISH * bound)
        if min(s_a.min(), s_b.min()) < 0:
            return found
        kish = [np.nan_to_num(arm.total**2 / np.cumsum(s * s, axis=1)) for arm, s in ((a, s_a), (b, s_b))]
        found &= np.maximum(kish[0], kish[1] * a.n / b.n) >= gates.KISH
        found &= np.maximum(kish[1], kish[0] * b.n / a.n) >= gates.KISH
    return found & _no_tail(a, n_a, s_a) & _no_tail(b, n_b, s_b)


def _no_tail(arm: Looks, n: np.ndarray, s: np.ndarray) -> np.ndarray:
    fed = np.cumsum(n > 0, axis=1)
    found = np.ones(n.shape, dtype=bool)
    for at in np.flatnonzero(np.any(fed >= gates.BATCH_INTERVALS, axis=0)):
        total = np.where(arm.total[:, at] > 0, arm.total[:, at], np.inf)
        excess = (s[:, : at + 1] / total[:, None] - n[:, : at + 1] / arm.n[:, at, None]).max(axis=1)
        found[:, at] = (fed[:, at] < gates.BATCH_INTERVALS) | (excess <= gates.BATCH_SHARE)
    return found
