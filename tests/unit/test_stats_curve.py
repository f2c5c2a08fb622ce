"""The curve over time agrees, look by look, with the interval of that look."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.stats.curve import paired_curve, two_sample_looks
from services.stats.difference import paired, two_samples
from services.stats.sums import Sums

RNG = np.random.default_rng(12)
ROWS = RNG.normal(0.05, 1, 1000)
BLOCKS = [Sums.of(part) for part in np.split(ROWS, [1, 80, 300, 310])]


def cumulated(blocks: list[Sums]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, total, squares = np.cumsum([(block.n, block.total, block.squares) for block in blocks], axis=0, dtype=float).T
    return n, total, squares


def test_paired():
    curve = paired_curve(BLOCKS, planned=500)
    so_far, smallest = Sums(), 1.0
    for at, block in enumerate(BLOCKS):
        so_far = so_far.plus(block)
        found = paired(so_far, planned=500)
        smallest = min(smallest, found.p)
        assert curve.n[at] == so_far.n
        assert curve.p[at] == pytest.approx(smallest)
        assert (curve.low[at], curve.high[at]) == pytest.approx((found.low, found.high))
    assert math.isinf(curve.high[0])
    assert math.isnan(curve.estimate[0])
    assert curve.excludes_zero.tolist() == ((curve.low > 0) | (curve.high < 0)).tolist()


def test_two_samples():
    other = [Sums(), Sums.of(RNG.normal(size=30)), Sums.of(RNG.normal(size=3)), Sums(), Sums.of([0.5])]
    curve = two_sample_looks(cumulated(BLOCKS), cumulated(other), planned=5000)
    for at in range(len(BLOCKS)):
        found = two_samples(Sums.merge(BLOCKS[: at + 1]), Sums.merge(other[: at + 1]), planned=5000)
        assert curve.n[at] == found.n
        assert (curve.low[at], curve.high[at]) == pytest.approx((found.low, found.high))


def test_no_blocks_no_curve():
    assert paired_curve([], planned=500).n.shape == (0,)


def test_copies_of_a_model():
    curve = paired_curve([Sums.of(np.zeros(50))] * 3, planned=500)
    assert curve.low.tolist() == curve.high.tolist() == [0, 0, 0]
    assert curve.p.tolist() == [1, 1, 1]
