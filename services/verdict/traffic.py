"""The strand of live traffic: arms that a split divided, from counters, or from the ledger where those cannot. Pure.

Counters see the feedback of every client. The ledger knows only what Decant sent, but knows it row by row, and also the
rewards that no counter can take. Which of them speaks for a test is fixed in its rule: a test that relied on first one
and then the other would have two chances to err.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from services.metrics.history import CounterHistory
from services.stats import adaptive, batches, difference, gates, power
from services.stats.batches import Batches
from services.stats.difference import Difference
from services.stats.sums import Sums
from services.stats.welch import welch
from services.traffic.rewards import Reward, RewardKind
from services.verdict.ledger_side import ArmSums, together
from services.verdict.live import LiveIntervals, Values
from services.verdict.model import CurvePoint, Interval, Strand
from services.verdict.paired import as_interval
from services.verdict.rule import LiveFrom, Rule, Source

MOST_POINTS = 60
BOUNDED_BY_ONE = {RewardKind.BOUNDED, RewardKind.HIT, RewardKind.BRIER}
FROM_COUNTERS = (
    "AIPW of the counters per scrape interval with the split in force, adjusted for traffic changes and drift; "
    "variance from the intervals; asymptotic confidence sequence (Waudby-Smith and others, 2024) with Student's t."
)
FROM_LEDGER = (
    "Differences within each split, weighted by its rewards; asymptotic confidence sequence (Waudby-Smith and others, "
    "2024). From the ledger: what Decant itself sent."
)


def bound_of(reward: Reward) -> float | None:
    """The largest that the reward can be, where that is known and it is never negative."""
    return 1.0 if reward.kind in BOUNDED_BY_ONE else None


def counters_tail(rule: Rule, seen: LiveIntervals) -> str | None:
    """What the counters say against this reward."""
    bound = bound_of(rule.reward)
    found = (
        gates.tail_batches(seen.n_a, seen.s_a, "A", bound=bound),
        gates.tail_batches(seen.n_b, seen.s_b, "B", bound=bound),
    )
    return next((words for words in found if words), None)


def not_ours(rule: Rule, history: CounterHistory) -> str | None:
    """Why the counters hold rewards that cannot be this test's; None if they all may be."""
    bound = bound_of(rule.reward)
    found = (
        gates.not_ours(history.of(history.feedback, arm), history.of(history.rewards, arm), name, bound=bound)
        for arm, name in ((rule.champion, "A"), (rule.challenger, "B"))
    )
    return next((words for words in found if words), None)


def counters_strand(rule: Rule, seen: LiveIntervals, tail: str | None, promql: str) -> Strand | None:
    """The strand from counters, or None if they hold no feedback of the two arms."""
    n_a, n_b = float(seen.n_a.sum()), float(seen.n_b.sum())
    if not n_a + n_b:
        return None
    missing = gates.enough_batches(seen.n_a, seen.s_a, seen.n_b, seen.s_b, bound=bound_of(rule.reward))
    if not missing and not np.any((seen.share_b > 0) & (seen.share_b < 1)):
        missing = ["no split has fed both arms"]
    withheld = _withheld(tail, missing)
    found = None if withheld else adaptive.aipw(*_arrays(seen), planned=rule.planned_live, alpha=rule.alpha_each)
    left = None if found is None else _left(rule, found)
    rate = _rate_per_s(seen)
    return Strand(
        source=Source.LIVE,
        n=round(n_a + n_b),
        n_a=round(n_a),
        n_b=round(n_b),
        interval=None if found is None else as_interval(found),
        withheld=withheld,
        mean_a=float(seen.s_a.sum()) / n_a if n_a else None,
        mean_b=float(seen.s_b.sum()) / n_b if n_b else None,
        curve=() if found is None else _curve(rule, seen),
        welch=None if found is None or seen.changes else as_interval(batches.fixed(_batches(seen), rule.alpha)),
        adjusted_for=seen.changes,
        remaining_n=left,
        remaining_s=left / rate if left and rate else None,
        detectable=None if found is None else _detectable(rule, found),
        formula=FROM_COUNTERS,
        query=promql,
        read_from=LiveFrom.COUNTERS,
    )


def unread_strand(rule: Rule, why: str) -> Strand:
    """Nothing from where the rule reads live traffic; `why` says what is the matter."""
    formula = FROM_COUNTERS if rule.live_source is LiveFrom.COUNTERS else FROM_LEDGER
    return Strand(Source.LIVE, 0, 0, 0, None, why, formula=formula, read_from=rule.live_source)


def ledger_strand(
    rule: Rule, strata: Sequence[tuple[ArmSums, ArmSums]], tail: str | None, curve: tuple[CurvePoint, ...] = ()
) -> Strand | None:
    """The strand from live replays in the ledger (`curve`: see ledger_curve), or None if it holds no reward of any."""
    a, b = together(strata)
    if not a.reward.n + b.reward.n:
        return None
    withheld = _withheld(tail, gates.enough(a.reward, b.reward))
    pairs = [(one.reward, other.reward) for one, other in strata]
    found = difference.stratified(pairs, planned=rule.planned_live, alpha=rule.alpha_each)
    if not withheld and not math.isfinite(found.low):
        withheld = "No split has fed both arms enough."
    shown = None if withheld else as_interval(found)
    return Strand(
        source=Source.LIVE,
        n=a.reward.n + b.reward.n,
        n_a=a.reward.n,
        n_b=b.reward.n,
        interval=shown,
        withheld=withheld,
        mean_a=a.reward.mean,
        mean_b=b.reward.mean,
        curve=() if withheld else curve,
        welch=as_interval(welch(a.reward, b.reward, rule.alpha)) if shown and len(strata) == 1 else None,
        adjusted_for=len(strata) - 1,
        remaining_n=None if withheld else _left(rule, found),
        detectable=None if withheld else _detectable(rule, found),
        formula=FROM_LEDGER,
        query="Ledger: rows of the test's live replays, by the split in force.",
        read_from=LiveFrom.LEDGER,
    )


def _withheld(tail: str | None, missing: Sequence[str]) -> str:
    said = tail or ("; ".join(missing) + "." if missing else "")
    return said[:1].upper() + said[1:]


def _arrays(seen: LiveIntervals) -> tuple[Values, Values, Values, Values, Values]:
    return seen.n_a, seen.s_a, seen.n_b, seen.s_b, seen.share_b


def _curve(rule: Rule, seen: LiveIntervals) -> tuple[CurvePoint, ...]:
    """The interval as it stood at up to MOST_POINTS times, from the gates on."""
    curve = adaptive.aipw_curve(*_arrays(seen), planned=rule.planned_live, alpha=rule.alpha_each)
    m, bound, points = len(seen.ends), bound_of(rule.reward), []
    for at in sorted({round(m * (k + 1) / MOST_POINTS) for k in range(MOST_POINTS)} - {0}):
        counts = (values[:at] for values in _arrays(seen)[:4])
        if not math.isfinite(curve.se[at - 1]) or gates.enough_batches(*counts, bound=bound):
            continue
        low, high, p = (float(values[at - 1]) for values in (curve.low, curve.high, curve.p))
        shown = Interval(float(curve.estimate[at - 1]), low, high, 1 - rule.alpha_each, p)
        points.append(CurvePoint(round(float(curve.n[at - 1])), datetime.fromtimestamp(seen.ends[at - 1], UTC), shown))
    return tuple(points)


def _rate_per_s(seen: LiveIntervals) -> float | None:
    """Feedbacks per second over the last tenth of the intervals, and over at least ten."""
    last = max(10, len(seen.ends) // 10)
    if len(seen.ends) <= last:
        return None
    span_s = float(seen.ends[-1] - seen.ends[-last - 1])
    return float(seen.n_a[-last:].sum() + seen.n_b[-last:].sum()) / span_s if span_s > 0 else None


def _batches(seen: LiveIntervals) -> Batches:
    return Batches.of(seen.n_a, seen.s_a, seen.n_b, seen.s_b)


def _detectable(rule: Rule, found: Difference) -> float:
    return power.detectable(found.se, found.n, planned=rule.planned_live, alpha=rule.alpha_each)


def _left(rule: Rule, found: Difference) -> int | None:
    return power.remaining_n(
        found.estimate,
        found.se,
        found.n,
        planned=rule.planned_live,
        alpha=rule.alpha_each,
        minimum_effect=rule.minimum_effect,
    )


def arm_tail(a: Sums, b: Sums, top_a: Values, top_b: Values) -> str | None:
    """What rows of the ledger say against this reward: one that dominates, or a tail without a mean.

    `top_a` and `top_b` are the rewards of each arm that are largest by absolute value: a mean needs both its tails.
    """
    return gates.tail(a, b, hill_a=gates.hill(np.abs(top_a), a.n), hill_b=gates.hill(np.abs(top_b), b.n))
