"""From counters and the history of splits to intervals that a comparison of live traffic may use. Pure.

An interval is used only if one split was in force in all of it: those around a change are left out, with two scrapes
of room because feedback follows its prediction and a scrape sees both late. So are those that hold feedback which no
split has divided, of replays from before Decant kept it out of the counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.domain import Split
from services.metrics.answers import AnswerHistory
from services.metrics.history import CounterHistory

Values = NDArray[np.float64]

GUARD_SCRAPES = 2


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Requests that an arm answered, how many failed; whose time was taken, how many were slow."""

    answered: int = 0
    failed: int = 0
    timed: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Both arms' counts under one split."""

    a: ArmCounts
    b: ArmCounts


@dataclass(frozen=True)
class LiveIntervals:
    """What both arms did in m intervals, oldest first; all arrays have shape (m,).

    Attributes:
        ends: unix times in seconds at which the intervals end.
        n_a, n_b: feedbacks; s_a, s_b: sums of their rewards.
        routed_a, routed_b: requests that the gateway sent to each arm through the split.
        share_b: B's configured share of the requests that A and B get together, within 0 to 1.
        changes: how often that share changed.
        splits: (unix time since when, split) as they were given.
        guard_s: the room that was left around a change, seconds.
    """

    ends: Values
    n_a: Values
    s_a: Values
    n_b: Values
    s_b: Values
    routed_a: Values
    routed_b: Values
    share_b: Values
    changes: int
    splits: Sequence[tuple[float, Split]] = ()
    guard_s: float = 0.0


def live_intervals(
    history: CounterHistory,
    splits: Sequence[tuple[float, Split]],
    champion: str,
    challenger: str,
    guard_s: float,
    blind: Sequence[tuple[float, float]] = (),
) -> LiveIntervals:
    """The usable intervals of `history`.

    Args:
        splits: (unix time since when, split), oldest first; the first holds from the beginning.
        guard_s: room to leave on both sides of a change, seconds.
        blind: (from, to) unix times in which the counters took feedback that no split divided.
    """
    starts, ends = history.since, history.edges[1:]
    held, share, use = _under_one_split(starts, ends, splits, champion, challenger, guard_s)
    for begin, end in blind:
        use &= (ends <= begin) | (starts >= end + guard_s)
    table = {
        "n_a": history.of(history.feedback, champion),
        "s_a": history.of(history.rewards, champion),
        "n_b": history.of(history.feedback, challenger),
        "s_b": history.of(history.rewards, challenger),
        "routed_a": history.of(history.routed, champion),
        "routed_b": history.of(history.routed, challenger),
    }
    use &= sum(table.values()) > 0
    kept = {name: values[use] for name, values in table.items()}
    group = _groups(held[use], kept["n_b"])
    count = int(group[-1]) + 1 if len(group) else 0
    merged: dict[str, Values] = {
        name: np.bincount(group, weights=values, minlength=count).astype(np.float64) for name, values in kept.items()
    }
    last = np.flatnonzero(np.diff(group, append=-1)) if len(group) else np.array([], dtype=int)
    shares = share[use][last]
    return LiveIntervals(
        ends=ends[use][last],
        share_b=shares,
        changes=int(np.count_nonzero(np.diff(shares))),
        splits=splits,
        guard_s=guard_s,
        **merged,
    )


def counted_by_split(answers: AnswerHistory, seen: LiveIntervals, champion: str, challenger: str) -> list[SplitCounts]:
    """What both arms answered under each split that fed both, in the intervals that lie wholly within one."""
    ends = answers.edges[1:]
    _, share, use = _under_one_split(answers.since, ends, seen.splits, champion, challenger, seen.guard_s)
    use &= (share > 0) & (share < 1)
    return [
        SplitCounts(*(_counts_of(answers, arm, use & (share == value)) for arm in (champion, challenger)))
        for value in np.unique(share[use])
    ]


def _counts_of(answers: AnswerHistory, arm: str, within: NDArray[np.bool_]) -> ArmCounts:
    tables = (answers.answered, answers.failed, answers.timed, answers.slow)
    answered, failed, timed, slow = (round(float(answers.of(table, arm)[within].sum())) for table in tables)
    return ArmCounts(answered, min(failed, answered), timed, min(max(slow, 0), timed))


def _under_one_split(
    starts: Values, ends: Values, splits: Sequence[tuple[float, Split]], champion: str, challenger: str, guard_s: float
) -> tuple[NDArray[np.int64], Values, NDArray[np.bool_]]:
    """The number of the split at the end of each interval, B's share in it, and whether it held all the while."""
    moves = np.array([at for at, _ in splits[1:]])
    held = np.searchsorted(moves, ends, side="right") if len(moves) else np.zeros(len(ends), dtype=np.int64)
    share = np.array([_share_of(split, champion, challenger) for _, split in splits])[held]
    use = ~np.isnan(share)
    for at in moves:
        use &= (ends <= at - guard_s) | (starts >= at + guard_s)
    return held, share, use


def split_history(
    changes: Sequence[tuple[datetime, Split | None, Split | None]], now: Split
) -> list[tuple[float, Split]]:
    """Since when which split was asked for, oldest first, from (time, before, after) of each change, oldest first.

    None is a deployment that was not there. Without changes, what holds `now` has always held. Where a change found
    another split than the one before it had left, somebody moved it unseen meanwhile: of that time nothing is known,
    which is a split without arms.
    """
    if not changes:
        return [(0.0, now)]
    nothing = Split(())
    first = changes[0][1]
    found = [(0.0, first if first is not None else nothing)]
    for at, before, after in changes:
        split = after if after is not None else nothing
        if (before if before is not None else nothing).as_dict() != found[-1][1].as_dict():
            found[-1] = (found[-1][0], nothing)
        if split.as_dict() != found[-1][1].as_dict():
            found.append((at.timestamp(), split))
    return found


def _share_of(split: Split, champion: str, challenger: str) -> float:
    """B's share among A and B; nan where they take nothing together."""
    shares = split.as_dict()
    a, b = shares.get(champion, 0), shares.get(challenger, 0)
    return b / (a + b) if a + b else float("nan")


def _groups(held: NDArray[np.int64], n_b: Values) -> NDArray[np.int64]:
    """The number of the merged interval of each interval: as many as leave one feedback of B in each, on average.

    Intervals under different splits are never merged.
    """
    if not len(held):
        return np.array([], dtype=np.int64)
    size = int(np.ceil(len(held) / max(1.0, n_b.sum())))
    new = np.zeros(len(held), dtype=bool)
    run = 0
    for place in range(1, len(held)):
        run = 0 if held[place] != held[place - 1] else run + 1
        new[place] = held[place] != held[place - 1] or run % size == 0
    return np.cumsum(new)
