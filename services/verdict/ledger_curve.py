"""The difference over time of live traffic that is read from the ledger: its estimate after every so many blocks. Pure.

A block is some hundred rows of one arm under one split, so the looks stand where rows were sent, and stay there however
often somebody looks. Rewards that came late count at the time of their rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from services.evidence.blocks import Block
from services.stats import difference, gates
from services.stats.sums import Sums
from services.verdict.ledger_side import LiveSide, feeds_both
from services.verdict.model import CurvePoint, Interval
from services.verdict.rule import Rule

MOST_POINTS = 60


def ledger_curve(rule: Rule, side: LiveSide, blocks: Sequence[Block]) -> tuple[CurvePoint, ...]:
    """The interval as it stood at up to MOST_POINTS times, from the gates on; the last is that of all rows.

    `blocks` are those of the test, of which the rows of `side` are used.
    """
    arms, chosen = (rule.champion, rule.challenger), set(side.replays)
    ours = sorted(
        (
            block
            for block in blocks
            if block.replay in chosen and block.predictor in arms and block.reward.n and feeds_both(block.segment, rule)
        ),
        key=lambda block: block.last_at,
    )
    every, points, p = max(1, math.ceil(len(ours) / MOST_POINTS)), [], 1.0
    strata: dict[str, dict[str, Sums]] = {}
    for place, block in enumerate(ours, 1):
        sums = strata.setdefault(block.segment, dict.fromkeys(arms, Sums()))
        sums[block.predictor] = sums[block.predictor].plus(block.reward)
        if place % every and place < len(ours):
            continue
        pairs = [(found[rule.champion], found[rule.challenger]) for found in strata.values()]
        if gates.enough(Sums.merge(a for a, _ in pairs), Sums.merge(b for _, b in pairs)):
            continue
        found = difference.stratified(pairs, planned=rule.planned_live, alpha=rule.alpha_each)
        if math.isfinite(found.low):
            p = min(p, found.p)
            shown = Interval(found.estimate, found.low, found.high, found.level, p)
            points.append(CurvePoint(found.n, block.last_at, shown))
    return tuple(points)
