"""The table of metrics: for each source the reward, the errors of the predictions, latency and failures. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.domain.text import latency, number
from services.stats import difference
from services.stats.difference import Difference
from services.stats.sums import Sums
from services.verdict.ledger_side import ArmSums, PairedSide
from services.verdict.model import Cell, Interval, MetricRow, Strand
from services.verdict.paired import as_interval
from services.verdict.rule import Rule, Source

GUARDRAILS = 3
"""How many guardrails share one error level: failures in pairs, failures and slowness of live traffic."""

P95 = 0.95
JUDGED_LIVE = "its limit is judged on live traffic"
NO_QUANTILE = (
    "measured at the sender, network and queueing included; a quantile of buckets has no interval, the share of slow "
    "requests below has one"
)
ABOUT = "about, as only counts per bucket are kept, here of {}; "


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
) -> tuple[MetricRow, ...]:
    """The rows, the deciding metric first, paired replay before live traffic.

    Args:
        paired: the paired replays.
        strata: live replays by split, for errors of predictions.
        live: both arms' live traffic over all splits, for counts.
        strands: the evidence on the primary metric, whose intervals the reward rows show.
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
        rows += _service(rule, view)
    return tuple(rows)


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
        note=strand.withheld,
    )


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
        absolute = _known(view.differ("absolute_error"))
        rows.append(_row(view, "mae", "MAE", view.a.absolute_error, view.b.absolute_error, absolute))
    elif view.a.hits.n and view.b.hits.n:
        hits = _known(view.differ("hits"))
        rows.append(_row(view, "accuracy", "Accuracy", view.a.hits, view.b.hits, hits, better_high=True, unit="share"))
    return rows


def _service(rule: Rule, view: _View) -> list[MetricRow]:
    """Latency and failures, with the guardrails on them."""
    a, b, rails = view.a, view.b, rule.guardrails
    planned = rule.planned_of(view.source)
    alpha = rule.alpha / GUARDRAILS

    def share(
        key: str, label: str, bad: Callable[[ArmSums], tuple[int, int]], limit: float | None, note: str = ""
    ) -> MetricRow:
        """A share of bad events: (bad, of how many) of an arm, compared within each split."""
        counts = [(*bad(one), *bad(other)) for one, other in view.strata]
        found = difference.stratified_proportions(counts, planned=planned, alpha=alpha)
        of_a, of_b = (Cell(n_bad / n if n else None, n) for n_bad, n in (bad(a), bad(b)))
        return MetricRow(key, label, view.source, of_a, of_b, _known(found), False, "share", limit=limit, note=note)

    rows = [
        MetricRow(
            "p95",
            "Latency p95",
            view.source,
            Cell(a.quantile_ms(P95), a.answered),
            Cell(b.quantile_ms(P95), b.answered),
            None,
            False,
            "ms",
            note=_between(a, b) + NO_QUANTILE,
        )
    ]
    slow = rails.slow_ms
    if sum(a.latency_counts) and sum(b.latency_counts):
        # A replay to both arms is a load test of its own making: only live traffic says how fast B will be.
        judged = view.source is Source.LIVE
        rows.append(
            share(
                "slow",
                f"Slower than {slow:g} ms",
                lambda s: (s.slower_than(slow), sum(s.latency_counts)),
                rails.slow_increase if judged else None,
                "" if judged else JUDGED_LIVE,
            )
        )
    rows.append(share("errors", "Failed predictions", lambda s: (s.failed, s.sent), rails.error_increase))
    return rows


def _between(a: ArmSums, b: ArmSums) -> str:
    """Why a quantile is said with “about”: the buckets that it was interpolated in."""
    found = [bucket for bucket in (a.bucket_ms(P95), b.bucket_ms(P95)) if bucket is not None]
    said = dict.fromkeys(f"{number(low)} to {latency(high)}" for low, high in found)
    return ABOUT.format(" and ".join(said)) if said else ""


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


def _known(found: Difference) -> Interval | None:
    return as_interval(found) if math.isfinite(found.low) else None


def _scaled(found: Difference, scale: float) -> Interval | None:
    if not (math.isfinite(found.low) and scale > 0):
        return None
    return Interval(found.estimate / scale, found.low / scale, found.high / scale, found.level, found.p)
