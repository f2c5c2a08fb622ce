"""Which rows of a dataset a replay sends, and in what order. Pure; the same spec always means the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from services.traffic.replay import ReplaySpec


@dataclass(frozen=True, slots=True)
class Share:
    """One of `count` equal parts of a replay: every row whose place in the sending order leaves the rest `index`."""

    index: int = 0
    count: int = 1

    def takes(self, place: int) -> bool:
        """Whether the row at this place, from 0, belongs to it."""
        return place % self.count == self.index

    def of(self, spec: ReplaySpec) -> ReplaySpec:
        """The spec with this share's part of its pace; all parts together are the whole, or one request each."""
        whole, more = divmod(spec.concurrency, self.count)
        rate = None if spec.rate is None else spec.rate / self.count
        return replace(spec, rate=rate, concurrency=max(1, whole + (self.index < more)))


WHOLE = Share()


def most_shares(spec: ReplaySpec, wanted: int) -> int:
    """How many shares a replay can have: no more than rows that it may have under way (a row of a pair is two)."""
    return max(1, min(wanted, spec.concurrency // max(1, len(spec.arms))))


def chosen_rows(spec: ReplaySpec, size: int) -> list[int]:
    """Indexes of the rows to send out of `size`, ascending: from `start` on, or a random sample without repetition."""
    order = np.arange(size)
    if spec.sample_seed is not None:
        order = np.random.default_rng(spec.sample_seed).permutation(size)
    end = None if spec.rows is None else spec.start + spec.rows
    return [int(index) for index in np.sort(order[spec.start : end])]


def rows_to_send(spec: ReplaySpec, size: int) -> int:
    """How many rows that are, all passes together."""
    return len(chosen_rows(spec, size)) * spec.passes


def sending_order(spec: ReplaySpec, size: int) -> Iterator[tuple[int, int]]:
    """(pass, row) in the order of sending: pass by pass, each in the file's order or shuffled in its own way."""
    chosen = chosen_rows(spec, size)
    for pass_ in range(spec.passes):
        if spec.shuffle_seed is None:
            yield from ((pass_, row) for row in chosen)
        else:
            mixed = np.random.default_rng([spec.shuffle_seed, pass_]).permutation(len(chosen))
            yield from ((pass_, chosen[place]) for place in mixed)
