"""Which parts of the rows are named where B is equal, better, worse everywhere, or worse in one part only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.stats.slices import Q, worth_naming
from tests.simulation.chance import Share
from tests.support.wine import TARGET, wine_frame

ROWS = 800
PLANTED = "alcohol"


@dataclass(frozen=True, slots=True)
class World:
    """True differences in standard deviations of a row's: in the strongest fifth of the wines, and in the others."""

    name: str
    strong: float
    others: float


EQUAL = World("equal models", 0.0, 0.0)
ONE_EQUAL = World("better by .3 sd but for one part, truly equal", 0.0, 0.3)
BETTER = World("better by .1 sd everywhere", 0.1, 0.1)
WORSE = World("worse by .3 sd everywhere", -0.3, -0.3)
ONE_WORSE = World("better by .1 sd, worse by .5 sd in one part", -0.5, 0.1)


@dataclass(frozen=True, slots=True)
class Named:
    """In how many replays any part is named a loss, any a gain, the planted part a loss; any stands out."""

    loss: Share
    gain: Share
    planted: Share
    apart: Share


def name_parts(world: World, *, runs: int, seed: int) -> Named:
    """Replays of 800 wine rows whose differences are Student's t with 5 degrees of freedom, of sd 1, in 55 slices."""
    wines = wine_frame().drop(columns=TARGET).head(ROWS)
    features = {str(name): wines[name].to_numpy() for name in wines.columns}
    edge = float(np.quantile(features[PLANTED], 0.8))
    truth = np.where(features[PLANTED] >= edge, world.strong, world.others)
    rng, hits = np.random.default_rng(seed), [0, 0, 0, 0]
    for _ in range(runs):
        found = worth_naming(truth + rng.standard_t(5, ROWS) * np.sqrt(3 / 5), features)
        losses = [s for s in found if s.loses(Q)]
        hits[0] += bool(losses)
        hits[1] += any(s.gains(Q) for s in found)
        hits[2] += any(s.feature == PLANTED and s.low == edge for s in losses)
        hits[3] += any(s.q <= Q for s in found)
    return Named(*(Share(n, runs) for n in hits))
