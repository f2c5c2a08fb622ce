"""A whole test with both sources, looked at again and again: how often does the rule name a winner of equal arms?

Pairs and live rewards are drawn as sums between two looks: of normal values, sum and squares are normal and chi-square.
So a test can be long, which is where the error level of a sequence is spent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from services.stats.curve import Curve, paired_looks, two_sample_looks
from services.verdict.decide import decide
from services.verdict.model import Call, Interval, Strand
from services.verdict.rule import ABTest, Rule, Source
from tests.simulation.chance import Share

FIRST, LAST, LOOKS = 100, 200_000, 160
"""Pairs at the first look (the gate) and at the last; looks in between are spaced evenly on a logarithmic scale."""
LIVE_PER_PAIR = 4
"""Live rewards that come in meanwhile, both arms together."""
SHARE_B = 0.2
TEST = ABTest(1, "seldon", "wine", Rule(), "models:/a", "models:/b", "ann", datetime(2026, 3, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Told:
    """Shares of tests in which something happened at some look.

    Attributes:
        named: the rule said ship B or keep A.
        by_pairs, by_live: the interval of that source excluded 0 at some look.
        whichever: one of the two did, so a rule that took the first to do so would have named a winner.
    """

    named: Share
    by_pairs: Share
    by_live: Share
    whichever: Share


def both_sources(rule: Rule, *, runs: int, seed: int, gain: float = 0.0) -> Told:
    """Simulate `runs` tests under `rule`; `gain` is B's true lead in standard deviations, in pairs and live."""
    test = replace(TEST, rule=rule)
    paired, live = _curves(rule, runs, seed, gain)
    by_pairs, by_live, whichever = _clear(paired, live)
    named = 0
    for run in range(runs):
        # Where neither interval excludes 0 nothing can be named, so the rule is asked at the other looks only.
        looks = np.flatnonzero(paired.excludes_zero[run] | live.excludes_zero[run])
        named += any(_call(test, paired, live, run, at) in (Call.SHIP, Call.KEEP) for at in looks)
    return Told(Share(named, runs), by_pairs, by_live, whichever)


def whichever_first(rule: Rule, *, runs: int, seed: int) -> Share:
    """Told.whichever alone: without the rule, which takes its time."""
    return _clear(*_curves(rule, runs, seed, 0.0))[2]


def _curves(rule: Rule, runs: int, seed: int, gain: float) -> tuple[Curve, Curve]:
    rng = np.random.default_rng(seed)
    n = np.unique(np.geomspace(FIRST, LAST, LOOKS).astype(int)).astype(float)
    steps = np.broadcast_to(np.diff(n, prepend=0.0), (runs, len(n)))
    pairs, requests = _sums(rng, steps, gain), steps * LIVE_PER_PAIR
    a, b = _sums(rng, np.ceil(requests * (1 - SHARE_B)), 0.0), _sums(rng, np.ceil(requests * SHARE_B), gain)
    return (
        paired_looks(*pairs, planned=rule.planned_pairs, alpha=rule.alpha_each),
        two_sample_looks(a, b, planned=rule.planned_live, alpha=rule.alpha_each),
    )


def _clear(paired: Curve, live: Curve) -> tuple[Share, Share, Share]:
    """Tests in which the interval of the pairs, of the live traffic, and of either excluded 0 at some look."""
    pairs, others = (curve.excludes_zero.any(axis=1) for curve in (paired, live))
    by_pairs, by_live, whichever = (Share(int(hit.sum()), len(hit)) for hit in (pairs, others, pairs | others))
    return by_pairs, by_live, whichever


def _call(test: ABTest, paired: Curve, live: Curve, run: int, at: int) -> Call:
    """What the product's own rule says at this look."""

    def strand(source: Source, curve: Curve) -> Strand:
        estimate, low, high = (float(values[run, at]) for values in (curve.estimate, curve.low, curve.high))
        n = int(curve.n[run, at])
        return Strand(source, n, n, n, Interval(estimate, low, high, 1 - test.rule.alpha_each))

    return decide(test, (), strand(Source.PAIRED, paired), strand(Source.LIVE, live), ()).call


def _sums(rng: np.random.Generator, steps: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulated (n, total, squares) of normal values of variance 1, `steps` new ones at each look."""
    noise = rng.standard_normal(steps.shape)
    total = mean * steps + np.sqrt(steps) * noise
    squares = total**2 / steps + rng.chisquare(steps - 1)
    return np.cumsum(steps, axis=1), np.cumsum(total, axis=1), np.cumsum(squares, axis=1)
