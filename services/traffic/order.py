"""Which rows of a dataset a replay sends, and in what order. Pure; the same spec always means the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.traffic.replay import ReplaySpec


def chosen_rows(spec: ReplaySpec, size: int) -> list[int]:
    """Indexes of the rows to send out of `size`, ascending: from `start` on, or a random sample without repetition."""
    order = np.arange(size)
    if spec.sample_seed is not None:
        order = np.random.default_rng(spec.sample_seed).permutation(size)
    end = None if spec.rows is None else spec.start + spec.rows
    return [int(index) for index in np.sort(order[spec.start : end])]


def sending_order(spec: ReplaySpec, size: int) -> Iterator[tuple[int, int]]:
    """(pass, row) in the order of sending: pass by pass, each in the file's order or shuffled in its own way."""
    chosen = chosen_rows(spec, size)
    for pass_ in range(spec.passes):
        if spec.shuffle_seed is None:
            yield from ((pass_, row) for row in chosen)
        else:
            mixed = np.random.default_rng([spec.shuffle_seed, pass_]).permutation(len(chosen))
            yield from ((pass_, chosen[place]) for place in mixed)
