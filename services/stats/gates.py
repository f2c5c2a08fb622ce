"""When an interval may be shown at all: enough evidence, and a reward that has a mean.

The confidence sequence is asymptotic. What breaks it early is not few rewards but few rewards that matter: rare hits
under an uneven split, or an average that one request decides. Each threshold below comes from the simulation of
docs/statistics.md: with all of them on, false alarms under continuous looking stay below alpha for every family of
rewards there at 50/50 and 80/20; without them they reach 10 % for rare hits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from services.stats.difference import Difference, proportions
from services.stats.sums import Sums

REWARDS = 100
"""Rewards per arm, or pairs."""
KISH = 30
"""Kish's effective number of rewards per arm: 30 hits among any number of misses.

Of both arms' rewards together, an arm counts its share by number: what it would have if the arms were equal. An arm
that never hits is judged by how often it should have, not by its own hits: with five due and none seen, its variance
would be 0 and its interval a false alarm; with thirty due and none seen, none are coming.
"""
INTERVALS = 20
"""Intervals with feedback per arm, for variances that come from counters."""
PAIR_KISH = 20
"""The same for the differences of pairs, of which many may be 0. It is less: every row compares both arms."""
TOP_SHARE = 0.10
"""Most that the largest reward may make up of its arm's sum."""
HILL = 1.0
"""A tail index at or below 1 means that the reward has no finite mean."""
HILL_TOP = 0.05
HILL_MOST = 2_500
"""Most values in the tail. They tell the index to 2 % (its standard error is index/sqrt(k)), and more would not make it
truer: an estimate of the far tail has to go further out as n grows (k to infinity, k/n to 0)."""
BETWEEN_READS = 2
"""Rewards by which a sum may be ahead of its count in one interval."""
BATCH_SHARE = 0.20
"""Most by which an interval's share of the reward may exceed its share of the feedback."""
BATCH_INTERVALS = 30

ADVICE = "Use a bounded reward, such as 1/(1 + error²)."


def enough(a: Sums, b: Sums) -> list[str]:
    """What is still missing before rewards of two arms may be compared, in words; empty when nothing is."""
    missing = []
    both = a.plus(b)
    for name, arm in (("A", a), ("B", b)):
        if arm.n < REWARDS:
            missing.append(f"{name} has {arm.n:,} of {REWARDS} rewards")
        elif 0 < (due := both.kish * arm.n / both.n) < KISH:
            missing.append(f"{name}’s rewards weigh as much as {int(due)} equal ones, {KISH} are needed")
    if not missing and both.squares == 0:
        missing.append("every reward so far is 0")
    return missing


def enough_pairs(d: Sums) -> list[str]:
    """What is still missing before the differences of pairs may be judged; pairs that never differ are no gap."""
    if d.n < REWARDS:
        return [f"{d.n:,} of {REWARDS} rows have been answered by both arms"]
    if d.squares > 0 and d.kish < PAIR_KISH:
        return [f"the rows on which the arms differ weigh as much as {int(d.kish)} equal ones, {PAIR_KISH} are needed"]
    return []


def enough_batches(
    n_a: ArrayLike, s_a: ArrayLike, n_b: ArrayLike, s_b: ArrayLike, *, bound: float | None = None
) -> list[str]:
    """What is still missing before counters may be compared, in words; empty when nothing is.

    Args:
        n_a, s_a, n_b, s_b: feedbacks and sum of rewards per interval and arm, shape (m,).
        bound: the largest reward there can be, if known and rewards are never negative. Then sum/bound is at most
            Kish's number, which counters do not tell; otherwise the number of intervals that carry reward stands in.
    """
    counts = [np.asarray(n, dtype=np.float64) for n in (n_a, n_b)]
    sums = [np.asarray(s, dtype=np.float64) for s in (s_a, s_b)]
    total_n, total_s = float(sum(n.sum() for n in counts)), float(sum(s.sum() for s in sums))
    missing, intervals = [], []
    for name, n, s, other_n, other_s in zip("AB", counts, sums, counts[::-1], sums[::-1], strict=True):
        if n.sum() < REWARDS:
            missing.append(f"{name} has {n.sum():,.0f} of {REWARDS} rewards")
        elif bound is not None:
            if (due := total_s * float(n.sum()) / total_n) < KISH * bound:
                missing.append(f"{name} can be expected to have earned {due:.3g}, {KISH * bound:g} are needed")
        elif np.all(s >= 0) and np.all(other_s >= 0):
            carrying = max(batch_kish(s), batch_kish(other_s) * float(n.sum() / max(other_n.sum(), 1.0)))
            if carrying < KISH:
                missing.append(f"about {int(carrying)} of {KISH} intervals carry {name}’s rewards")
        fed = int(np.count_nonzero(n > 0))
        if fed < INTERVALS:
            intervals.append(f"{fed} of {INTERVALS} intervals hold feedback for {name}")
    return missing + intervals


def tail(a: Sums, b: Sums, *, hill_a: float | None = None, hill_b: float | None = None) -> str | None:
    """Why this reward cannot be averaged, in words, or None if nothing speaks against it.

    An arm of at least REWARDS rewards is flagged when its largest makes up more than TOP_SHARE of the sum, or when
    `hill` puts its tail index at or below HILL. A reward that only ever takes one value beside 0 (hit or miss) is
    never flagged: with few hits it is `enough` that holds it back.
    """
    for name, arm, index in (("A", a, hill_a), ("B", b, hill_b)):
        share = arm.top_share
        if arm.n < REWARDS or share is None or _one_value(arm):
            continue
        if share > TOP_SHARE:
            return (
                f"Single requests decide this reward: the largest one makes up {share:.0%} of {name}’s total, so its "
                f"average says how long the test ran or how much traffic an arm got, not how good it is. {ADVICE}"
            )
        if index is not None and index <= HILL:
            return (
                f"The largest rewards of {name} grow so fast (tail index {index:.2f}) that their average never "
                f"settles. {ADVICE}"
            )
    return None


def tail_batches(n: ArrayLike, s: ArrayLike, name: str, *, bound: float | None = None) -> str | None:
    """The same from an arm's counters: one interval that holds far more of the reward than of the feedback.

    Says nothing for fewer than BATCH_INTERVALS intervals with feedback, for rewards of both signs, or for a reward
    with a known `bound`, which has a mean.
    """
    counts, sums = np.asarray(n, dtype=np.float64), np.asarray(s, dtype=np.float64)
    if bound is not None or np.count_nonzero(counts > 0) < BATCH_INTERVALS or np.any(sums < 0) or not sums.sum():
        return None
    excess = float(np.max(sums / sums.sum() - counts / counts.sum()))
    if excess <= BATCH_SHARE:
        return None
    return (
        f"A few requests decide this reward: one interval holds {excess:.0%} more of {name}’s reward than of its "
        f"feedback, so the average says how long the test ran or how much traffic an arm got, not how good it is. "
        f"{ADVICE}"
    )


def not_ours(n: ArrayLike, s: ArrayLike, name: str, *, bound: float | None) -> str | None:
    """Why an arm's counters cannot hold rewards within 0 to `bound`, by interval or in total; None if they can.

    Args:
        n, s: rewards and their sum per interval, shape (m,).
        name: the arm's, for the sentence.
        bound: the largest reward there can be; None if not known, and only negative sums are told.

    BETWEEN_READS rewards are allowed for, as a server may count a reward and add it up between two reads.
    """
    counts, sums = np.asarray(n, dtype=np.float64), np.asarray(s, dtype=np.float64)
    slack = 1e-6 * (1.0 + counts.sum())
    if np.any(sums < -slack):
        return f"rewards below 0: these are not rewards of this test. {name}’s sum of rewards has fallen."
    if bound is None or not counts.sum():
        return None
    each, whole = sums - bound * (counts + BETWEEN_READS), float(sums.sum() - bound * (counts.sum() + BETWEEN_READS))
    if whole <= slack and not np.any(each > slack):
        return None
    worst = int(np.argmax(each))
    held = (float(counts.sum()), float(sums.sum())) if whole > slack else (float(counts[worst]), float(sums[worst]))
    where = "counters hold" if whole > slack else "counters grew in one interval by"
    said = f"{name}’s {where} {held[0]:,.0f} rewards that add up to {held[1]:,.6g}."
    return f"rewards above {bound:g}: these are not rewards of this test. {said}"


def tail_size(n: int) -> int:
    """How many of n values are the tail that `hill` looks at."""
    return min(int(n * HILL_TOP), HILL_MOST)


def hill(values: ArrayLike, n: int | None = None) -> float | None:
    """Hill's estimate of the tail index from the largest HILL_TOP of n positive values, at most HILL_MOST.

    Args:
        values: all values, or at least the largest `tail_size(n) + 1` of them; shape (k,), any order.
        n: how many values there are in all; the number given if None.

    Returns:
        The index: the mean is finite above 1, the variance above 2. inf if the tail is flat. None if fewer than ten
        values lie in the tail, or too few were given.

    Source: Hill, Annals of Statistics 3 (1975): k / sum ln(x_(i)/x_(k+1)) over the k largest. Mason, Annals of
    Probability 10 (1982): it finds the index if k grows and k/n falls to 0.
    """
    found = np.sort(np.asarray(values, dtype=np.float64).ravel())[::-1]
    k = tail_size(len(found) if n is None else n)
    if k < 10 or len(found) <= k or not found[k] > 0:
        return None
    logs = float(np.log(found[:k] / found[k]).sum())
    return k / logs if logs > 0 else float("inf")


def batch_kish(s: ArrayLike) -> float:
    """How many intervals carry the reward: (sum s)^2 / sum s^2 of sums per interval, shape (m,)."""
    sums = np.asarray(s, dtype=np.float64)
    squares = float(sums @ sums)
    return float(sums.sum()) ** 2 / squares if squares > 0 else 0.0


def missing_feedback(
    sent_a: int, rewarded_a: int, sent_b: int, rewarded_b: int, *, planned: float, alpha: float = 0.05
) -> Difference:
    """Share of predictions without a reward, B minus A: if it differs, what is missing is not missing by chance.

    Rewards that arrive later than predictions count as missing meanwhile; leave out predictions too young to have one.
    Counts of rewards beyond what was sent (feedback given twice) count as complete.
    """
    lost_a, lost_b = max(0, sent_a - rewarded_a), max(0, sent_b - rewarded_b)
    return proportions(lost_a, sent_a, lost_b, sent_b, planned=planned, alpha=alpha)


def _one_value(arm: Sums) -> bool:
    """Whether all values that are not 0 are the same: then sum x^2 = largest * sum |x|."""
    return arm.largest is not None and arm.squares >= arm.largest * abs(arm.total) * (1 - 1e-9)
