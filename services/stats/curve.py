"""The interval as it stood at every look: what a chart over time draws. Vectorised over looks, and over experiments.

The interval of the last look is the one that Difference holds; given the same blocks, no look is drawn anew. Counters
are read on a grid that grows coarser with the age of a test, so their earlier looks may move a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.stats.sequence import AsympCS, Floats
from services.stats.sums import Sums


@dataclass(frozen=True)
class Curve:
    """One entry per look, oldest first; all arrays have shape (looks,), or (experiments, looks).

    Attributes:
        n: pairs, or values of both arms, so far.
        estimate, se: B - A and its standard error; nan and inf while they are not known.
        low, high: the always-valid interval at that look.
        p: the smallest always-valid p up to that look.
    """

    n: Floats
    estimate: Floats
    se: Floats
    low: Floats
    high: Floats
    p: Floats

    @property
    def excludes_zero(self) -> np.ndarray:
        """At which looks the interval lies wholly on one side of 0; booleans of the same shape."""
        return np.asarray((self.low > 0) | (self.high < 0))


def always_valid_curve(
    estimate: Floats, se: Floats, n: Floats, *, planned: float, alpha: float, stretch: Floats | float = 1.0
) -> Curve:
    """Estimates and standard errors of all looks with their intervals; shapes (..., looks)."""
    sequence = AsympCS(planned, alpha)
    known = np.isfinite(estimate) & np.isfinite(se) & (n > 0)
    center, error = np.where(known, estimate, np.nan), np.where(known, se, np.inf)
    wide = np.where(known, error * stretch, np.inf)
    half = np.where(known, sequence.half_width(np.where(known, wide, 0.0), np.maximum(n, 1.0)), np.inf)
    middle = np.where(known, estimate, 0.0)
    p = np.where(known, sequence.p_value(middle, np.where(known, wide, 1.0), n), 1.0)
    return Curve(n, center, error, middle - half, middle + half, np.minimum.accumulate(p, axis=-1))


def paired_curve(blocks: Sequence[Sums], *, planned: float, alpha: float = 0.05) -> Curve:
    """difference.paired after each block of differences, shape (len(blocks),); blocks are disjoint, oldest first."""
    return paired_looks(*_cumulated(blocks), planned=planned, alpha=alpha)


def paired_looks(n: Floats, total: Floats, squares: Floats, *, planned: float, alpha: float = 0.05) -> Curve:
    """difference.paired at each look from cumulated sums of the differences, shapes (..., looks)."""
    return always_valid_curve(*_mean_and_error(n, total, squares), n, planned=planned, alpha=alpha)


def two_sample_looks(
    a: tuple[Floats, Floats, Floats], b: tuple[Floats, Floats, Floats], *, planned: float, alpha: float = 0.05
) -> Curve:
    """difference.two_samples at each look from cumulated (n, total, squares) of both arms, shapes (..., looks)."""
    (mean_a, error_a), (mean_b, error_b) = _mean_and_error(*a), _mean_and_error(*b)
    return always_valid_curve(
        mean_b - mean_a, np.sqrt(error_a**2 + error_b**2), a[0] + b[0], planned=planned, alpha=alpha
    )


def _cumulated(blocks: Sequence[Sums]) -> tuple[Floats, Floats, Floats]:
    """n, total and squares of all blocks up to each, shapes (len(blocks),)."""
    table = np.array([(block.n, block.total, block.squares) for block in blocks], dtype=np.float64).reshape(-1, 3)
    n, total, squares = np.cumsum(table, axis=0).T
    return n, total, squares


def _mean_and_error(n: Floats, total: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Mean and its standard error; nan where fewer than two values are there."""
    count = np.where(n >= 2, n, np.nan)
    mean = total / count
    return mean, np.sqrt(np.maximum(0.0, squares - total * mean) / (count - 1) / count)
