"""Where B stands out: the features of the replayed rows beside their differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from services.domain.text import count
from services.errors import DecantError
from services.stats.slices import MIN_ROWS, FoundSlice, Q, worth_naming
from services.traffic.datasets import Dataset
from services.verdict.model import Side, Slice
from services.verdict.rows import MOST_PAIRS, ReplayRows


@dataclass(frozen=True, slots=True)
class Slicing:
    """Slices worth naming, B's worst first, and in words what was looked at."""

    slices: tuple[Slice, ...] = ()
    note: str = ""


def find_slices(parts: Sequence[ReplayRows], pairs: int, load: Callable[[str, str], Dataset]) -> Slicing:
    """Look through the largest replay of `parts`, whose dataset must still be there as it was.

    `pairs` is how many pairs there are, read or not; `load` reads a dataset by source and digest.
    """
    if pairs > MOST_PAIRS:
        return Slicing(note=f"Parts are looked at for up to {count(MOST_PAIRS)} pairs; here are {count(pairs)}.")
    if not parts:
        return Slicing()
    part = max(parts, key=lambda p: len(p.row))
    spec = part.record.spec
    if len(part.row) < 2 * MIN_ROWS:
        return Slicing(note=f"{count(len(part.row))} rows are too few to look at parts of them.")
    try:
        dataset = load(str(spec["dataset"]), part.digest)
        names = dataset.features(str(spec["target"]))
    except DecantError as error:
        return Slicing(note=f"The replayed rows cannot be read any more: {error.sentence}")
    if part.digest and dataset.digest != part.digest:
        return Slicing(note="The replayed file has changed since, so its rows cannot be told apart.")
    frame = dataset.frame.iloc[part.row]
    features = {name: frame[name].to_numpy() for name in names}
    found = worth_naming(part.reward_b - part.reward_a, features, q=Q)
    looked = f"Looked at {len(names)} features of {count(len(part.row))} rows of replay {part.record.id}"
    silent = "" if found else ": no part loses, gains or stands out beyond chance"
    return Slicing(
        tuple(_slice(s) for s in found if np.isfinite(s.difference)),
        f"{looked}{silent}; false-discovery rate {Q:.0%} each of losses, of gains and of what stands out.",
    )


def _slice(found: FoundSlice) -> Slice:
    side = Side.LOSS if found.loses(Q) else Side.GAIN if found.gains(Q) else Side.NEITHER
    rate = {Side.LOSS: found.q_loss, Side.GAIN: found.q_gain, Side.NEITHER: min(found.q_loss, found.q_gain)}[side]
    apart = found.q <= Q
    return Slice(found.label, found.feature, found.n, found.difference, found.shrunk, rate, side, apart, found.q)
