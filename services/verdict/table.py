"""The table of metrics: for each source the reward, the errors of the predictions, latency and failures. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.stats import difference
from services.stats.difference import Difference
from services.stats.sums import Sums
from services.verdict import figures
from services.verdict.answer_rows import NOT_COUNTED, OWN_ONLY, Requests, rows_of_requests, rows_of_sums
from services.verdict.ledger_side import ArmSums, PairedSide
from services.verdict.model import Cell, Interval, MetricRow, Strand
from services.verdict.paired import known
from services.verdict.rule import LiveFrom, Rule, Source

ROUNDING = 1e-4
"""Differences below this share of the means are not to be seen in the four figures that are shown of them."""


@dataclass(frozen=True)
class _View:
    """One source: both arms, and how a measure's difference is estimated there."""

    source: Source
    a: ArmSums
    b: ArmSums
    strata: Sequence[tuple[ArmSums, ArmSums]]
    differ: Callable[[str], Difference]


def metric_rows(
    rule: Rule,
    paired: PairedSide | None,
    strata: Sequence[tuple[ArmSums, ArmSums]],
    live: tuple[ArmSums, ArmSums],
    strands: Sequence[Strand],
    requests: Requests | None = None,
) -> tuple[MetricRow, ...]:
    """The rows, the deciding metric first, paired replay before live traffic.

    Args:
        paired: the paired replays.
        strata: live replays by split, for errors of predictions.
        live: both arms' live traffic over all splits, for counts.
        strands: the evidence on the primary metric, whose intervals the reward rows show.
        requests: how live requests were answered by the counters, where the rule reads live traffic from them.
    """
    views = []
    if paired is not None and paired.pairs:
        arms = (paired.a, paired.b)
        views.append(_View(Source.PAIRED, *arms, [arms], lambda name: _paired(rule, paired, name)))
    if live[0].sent or live[1].sent:
        views.append(_View(Source.LIVE, *live, strata, lambda name: _stratified(rule, strata, name)))
    rows = [_reward(rule, strand) for strand in strands]
    for view in views:
        rows += _quality(view)
    for view in views:
        if view.source is Source.PAIRED:
            rows += rows_of_sums(rule, view.source, view.a, view.b, view.strata)
    return (*rows, *_live_service(rule, live, strata, requests))


def _live_service(
    rule: Rule,
    live: tuple[ArmSums, ArmSums],
    strata: Sequence[tuple[ArmSums, ArmSums]],
    requests: Requests | None,
) -> list[MetricRow]:
    """How live requests were answered. What the counters cannot say, the ledger says of what Decant sent: it can show
    harm, but not that there is none."""
    booked = bool(live[0].sent or live[1].sent)
    if requests is None:
        return rows_of_sums(rule, Source.LIVE, *live, strata) if booked else []
    if not all(arm.answered for arm in requests.total()) and booked:
        return rows_of_sums(rule, Source.LIVE, *live, strata, f"{requests.missing or NOT_COUNTED}; {OWN_ONLY}")
    seen = any(arm.answered for arm in requests.total())
    return rows_of_requests(rule, requests) if seen or rule.decided_by(Source.LIVE) else []


def _reward(rule: Rule, strand: Strand) -> MetricRow:
    return MetricRow(
        "reward",
        "Mean reward",
        strand.source,
        Cell(strand.mean_a, strand.n_a),
        Cell(strand.mean_b, strand.n_b),
        strand.interval,
        True,
        primary=True,
        decides=rule.decided_by(strand.source),
        note=strand.withheld or _not_the_means(strand),
    )


def _not_the_means(strand: Strand) -> str:
    """That the estimate is not the difference of the means beside it, where these would let somebody think so."""
    if strand.interval is None or strand.mean_a is None or strand.mean_b is None:
        return ""
    plain, adjusted = strand.mean_b - strand.mean_a, strand.interval.estimate
    scale = max(abs(strand.mean_a), abs(strand.mean_b))
    if abs(plain - adjusted) <= max(ROUNDING * scale, 0.05 * abs(plain)):
        return ""
    how = "weighted by the split in force" if strand.read_from is LiveFrom.COUNTERS else "compared within each split"
    if strand.source is Source.PAIRED:
        how = "over rows that both answered"
    return f"adjusted, {how}: the plain difference of the means would be {figures.change(plain, '')}"


def _quality(view: _View) -> list[MetricRow]:
    """Errors where truth and prediction are numbers, accuracy where they are classes."""
    rows = []
    if view.a.squared_error.n and view.b.squared_error.n:
        mse_a, mse_b = view.a.squared_error.mean or 0.0, view.b.squared_error.mean or 0.0
        # rmse_B - rmse_A = (mse_B - mse_A) / (rmse_A + rmse_B), so its interval is that of the mean squares, scaled.
        scale = math.sqrt(mse_a) + math.sqrt(mse_b)
        squares = view.differ("squared_error")
        rows.append(
            _row(view, "rmse", "RMSE", view.a.squared_error, view.b.squared_error, _scaled(squares, scale), math.sqrt)
        )
        absolute = known(view.differ("absolute_error"))
        rows.append(_row(view, "mae", "MAE", view.a.absolute_error, view.b.absolute_error, absolute))
    elif view.a.hits.n and view.b.hits.n:
        hits = known(view.differ("hits"))
        rows.append(_row(view, "accuracy", "Accuracy", view.a.hits, view.b.hits, hits, better_high=True, unit="share"))
    return rows


def _row(
    view: _View,
    key: str,
    label: str,
    a: Sums,
    b: Sums,
    found: Interval | None,
    shown: Callable[[float], float] = float,
    *,
    better_high: bool = False,
    unit: str = "",
) -> MetricRow:
    of_a, of_b = (Cell(None if s.mean is None else shown(s.mean), s.n) for s in (a, b))
    return MetricRow(key, label, view.source, of_a, of_b, found, better_high, unit)


def _paired(rule: Rule, side: PairedSide, name: str) -> Difference:
    whole = Sums.merge(getattr(block, name) for block in side.blocks)
    return difference.paired(whole, planned=rule.planned_pairs, alpha=rule.alpha)


def _stratified(rule: Rule, strata: Sequence[tuple[ArmSums, ArmSums]], name: str) -> Difference:
    pairs = [(getattr(a, name), getattr(b, name)) for a, b in strata]
    return difference.stratified(pairs, planned=rule.planned_live, alpha=rule.alpha)


def _scaled(found: Difference, scale: float) -> Interval | None:
    if not (math.isfinite(found.low) and scale > 0):
        return None
    return Interval(found.estimate / scale, found.low / scale, found.high / scale, found.level, found.p)
