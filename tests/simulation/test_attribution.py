"""Two arms with known means: the ledger finds them, feedback to an arm drawn anew finds their mixture twice."""

from __future__ import annotations

import math

import pytest

from tests.simulation.attribution import MEAN_A, MEAN_B, attribute, mixture
from tests.simulation.chance import Share


def test_the_ledger_finds_both_means_and_the_naive_way_finds_neither():
    found = attribute(seed=1)
    for arm, truth in (
        (found.ledger_a, MEAN_A),
        (found.ledger_b, MEAN_B),
        (found.naive_a, mixture()),
        (found.naive_b, mixture()),
    ):
        assert arm.mean == pytest.approx(truth, abs=4 * math.sqrt(0.25 / arm.n))
    assert found.ledger.low > 0.15
    assert not found.naive.excludes_zero
    assert found.naive.high < MEAN_B - MEAN_A


def test_over_many_tests():
    """The true difference of .2 is named by the ledger always, by the naive way as rarely as none at all."""
    runs = 300
    both = [attribute(seed=seed, requests=2000) for seed in range(runs)]
    ledger = Share(sum(one.ledger.low > 0 for one in both), runs)
    naive = Share(sum(one.naive.excludes_zero for one in both), runs)
    missed = Share(sum(not one.naive.low <= MEAN_B - MEAN_A <= one.naive.high for one in both), runs)
    assert ledger.at_least > 0.95
    assert naive.at_most < 0.06
    assert missed.at_least > 0.95


def test_no_request_is_lost_or_invented():
    found = attribute(seed=2, requests=500)
    ledger, naive = found.ledger_a.plus(found.ledger_b), found.naive_a.plus(found.naive_b)
    assert (ledger.n, ledger.total) == (naive.n, naive.total) == (500, ledger.total)


def test_the_mixture():
    assert mixture() == pytest.approx(0.8 * 0.5 + 0.2 * 0.7)
