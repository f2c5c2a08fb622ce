"""The strand of the paired replay: both arms answered the same rows, so each row is its own comparison. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from services.evidence.blocks import PairBlock
from services.stats import difference, gates, power
from services.stats.curve import paired_curve
from services.stats.difference import Difference
from services.stats.sums import Sums
from services.stats.welch import welch_paired
from services.verdict.ledger_side import PairedSide
from services.verdict.model import CurvePoint, Interval, Strand
from services.verdict.rule import Rule, Source

MOST_POINTS = 200
FORMULA = (
    "Mean of the differences B − A over rows that both arms answered; standard error s/√n; asymptotic confidence "
    "sequence (Waudby-Smith and others, 2024), tightest at the planned number of rows."
)


def paired_strand(rule: Rule, side: PairedSide, tail: str | None, rows_per_s: float | None) -> Strand | None:
    """The strand, or None if nothing was replayed to both arms. `tail` is what the flags say against the reward."""
    if not side.pairs:
        return None
    whole = Sums.merge(block.reward for block in side.blocks)
    found = difference.paired(whole, planned=rule.planned_pairs, alpha=rule.alpha_each)
    missing = gates.enough_pairs(whole)
    withheld = tail or ("; ".join(missing) + "." if missing else "")
    agree, pairs = sum(block.agree for block in side.blocks), side.pairs
    left = None if withheld else _left(rule, found)
    return Strand(
        source=Source.PAIRED,
        n=whole.n,
        n_a=side.a.reward.n,
        n_b=side.b.reward.n,
        interval=None if withheld else as_interval(found),
        withheld=withheld[:1].upper() + withheld[1:],
        mean_a=side.a.reward.mean,
        mean_b=side.b.reward.mean,
        curve=() if withheld else curve_of(rule, side.blocks),
        welch=None if withheld else as_interval(welch_paired(whole, rule.alpha)),
        remaining_n=left,
        remaining_s=left / rows_per_s if left and rows_per_s else None,
        detectable=None
        if withheld
        else power.detectable(found.se, found.n, planned=rule.planned_pairs, alpha=rule.alpha_each),
        agreement=agree / pairs,
        formula=FORMULA,
        query=_query(side),
    )


def curve_of(rule: Rule, blocks: Sequence[PairBlock]) -> tuple[CurvePoint, ...]:
    """The interval after every so many rows, at most MOST_POINTS times, from the gates on."""
    curve = paired_curve([block.reward for block in blocks], planned=rule.planned_pairs, alpha=rule.alpha_each)
    every, points, so_far = max(1, math.ceil(len(blocks) / MOST_POINTS)), [], Sums()
    for place, block in enumerate(blocks):
        so_far = so_far.plus(block.reward)
        if ((place + 1) % every and place + 1 < len(blocks)) or gates.enough_pairs(so_far):
            continue
        estimate, low, high, p = (float(v[place]) for v in (curve.estimate, curve.low, curve.high, curve.p))
        points.append(CurvePoint(so_far.n, block.last_at, Interval(estimate, low, high, 1 - rule.alpha_each, p)))
    return tuple(points)


def as_interval(found: Difference) -> Interval:
    return Interval(found.estimate, found.low, found.high, found.level, found.p)


def known(found: Difference) -> Interval | None:
    """The interval, or None where there was too little for one."""
    return as_interval(found) if math.isfinite(found.low) else None


def _left(rule: Rule, found: Difference) -> int | None:
    return power.remaining_n(
        found.estimate,
        found.se,
        found.n,
        planned=rule.planned_pairs,
        alpha=rule.alpha_each,
        minimum_effect=rule.minimum_effect,
    )


def _query(side: PairedSide) -> str:
    numbers = ", ".join(str(record.id) for record in side.replays)
    said = f"Ledger: rows of replay {numbers} that both arms answered, each row once."
    if side.left_out:
        said += f" Left out, being the same rows again: replay {', '.join(map(str, side.left_out))}."
    return said
