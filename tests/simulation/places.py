"""Live traffic of equal arms, read from the counters, from the ledger, or from whichever has an interval.

Half of the requests are Decant's own, so that the ledger has their rewards; the counters have those of every client.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.stats.adaptive import aipw_curve
from services.stats.curve import two_sample_looks
from tests.simulation.chance import Share
from tests.simulation.counting import counter_gates_open
from tests.simulation.families import Family
from tests.simulation.peeking import Looks, draw_looks, gates_open

OWN = 25
"""Requests of Decant's own per interval, and as many of others."""
INTERVALS = 400
SHARE_B = 0.2
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Read:
    """Shares of tests in which the interval shown excluded 0 at some look.

    Attributes:
        counters, ledger: of a test whose rule has fixed that place.
        one_then_other: the ledger's until the counters have one, then theirs.
        whichever: one of the two did at some look.
    """

    counters: Share
    ledger: Share
    one_then_other: Share
    whichever: Share


def read_live(family: Family, *, runs: int, seed: int, planned: float = 5000, alpha: float = 0.05) -> Read:
    """Simulate `runs` tests (a multiple of AT_ONCE) that are looked at after each of INTERVALS intervals."""
    rng = np.random.default_rng(seed)
    tally = np.zeros(4, dtype=int)
    for _ in range(runs // AT_ONCE):
        own, others = (draw_looks(family, family, SHARE_B, AT_ONCE, INTERVALS, OWN, rng) for _ in range(2))
        a, b = (_together(*arms) for arms in zip(own, others, strict=True))
        grown = [np.diff(part, axis=1, prepend=0.0) for part in (a.n, a.total, b.n, b.total)]
        counted = aipw_curve(*grown, np.full(a.n.shape, SHARE_B), planned=planned, alpha=alpha)
        booked = two_sample_looks(own[0].sums, own[1].sums, planned=planned, alpha=alpha)
        open_ = counter_gates_open(a, b, *grown, family.bound)
        by_counters, by_ledger = counted.excludes_zero & open_, booked.excludes_zero & gates_open(*own)
        shown = np.where(open_, by_counters, by_ledger)
        tally += [int(hit.any(axis=1).sum()) for hit in (by_counters, by_ledger, shown, by_counters | by_ledger)]
    return Read(*(Share(int(hits), runs // AT_ONCE * AT_ONCE) for hits in tally))


def _together(one: Looks, other: Looks) -> Looks:
    largest = np.maximum(one.largest, other.largest)
    return Looks(one.n + other.n, one.total + other.total, one.squares + other.squares, largest)
