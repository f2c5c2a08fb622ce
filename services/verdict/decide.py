"""The rule applied: from checks, strands and guardrails to one of four calls. Pure, and short enough to be read.

In this order, and the first that holds decides:

1. A red check: do not trust yet. Nothing below can repair evidence that is not sound.
2. The replay and the live traffic each exclude 0, in opposite directions: do not trust yet.
3. A guardrail is broken for certain (the whole interval lies beyond its limit): keep A.
4. The deciding strand excludes 0 on B's side, and B's lead is at least the minimum effect: ship B, if no guardrail can
   still be broken by a point estimate beyond its limit.
5. The deciding strand excludes every lead of B that matters: keep A.
6. Otherwise: keep running.

The deciding strand is the paired replay once it has enough rows, else the live traffic. Live traffic beside a paired
replay can veto (2) but not decide, so that the error level holds for one interval and not for the better of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.domain.text import number
from services.verdict import words
from services.verdict.model import Call, Check, Interval, Light, MetricRow, Strand
from services.verdict.rule import ABTest, Source

NAMES = {Source.PAIRED: "the paired replay", Source.LIVE: "the live traffic"}
UNITS = {Source.PAIRED: "rows", Source.LIVE: "rewards"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The call, one sentence that begins with it, and the rule that fired in words."""

    call: Call
    headline: str
    fired: str


def decide(
    test: ABTest, checks: Sequence[Check], paired: Strand | None, live: Strand | None, table: Sequence[MetricRow]
) -> Verdict:
    """Apply the rule of `test`."""
    red = [check for check in checks if check.light is Light.RED]
    if red:
        return _verdict(Call.DISTRUST, red[0].sentence, f"A check is red: {', '.join(c.title.lower() for c in red)}.")
    strands = [s for s in (paired, live) if s is not None and s.interval is not None and s.interval.excludes_zero]
    if len(strands) == 2 and _sign(strands[0]) != _sign(strands[1]):
        return _verdict(
            Call.DISTRUST,
            "the paired replay and the live traffic name different winners.",
            "Replay and live traffic exclude 0 in opposite directions: the replayed rows are not like the traffic.",
        )
    broken = [row for row in table if row.limit is not None and row.difference and row.difference.low > row.limit]
    if broken:
        row = broken[0]
        return _verdict(
            Call.KEEP,
            f"B breaks a guardrail: {_raised(row)}, for certain more than the {_amount(row.limit, row)} allowed.",
            f"Guardrail “{row.label}”: its whole interval lies beyond the limit.",
        )
    strand = next((s for s in (paired, live) if s is not None and s.interval is not None), None)
    if strand is None or strand.interval is None:
        return _verdict(Call.RUNNING, _waiting(paired, live), "No strand of evidence has enough rewards yet.")
    return _by_interval(test, strand, strand.interval, table)


def _by_interval(test: ABTest, strand: Strand, interval: Interval, table: Sequence[MetricRow]) -> Verdict:
    rule, where = test.rule, NAMES[strand.source]
    said = f"B − A is {words.change(interval.estimate, '')}, always-valid interval {words.bounds(interval, '')}"
    fired = f"{where[0].upper()}{where[1:]} ({strand.n:,} {UNITS[strand.source]}): {said}"
    if interval.low == interval.high == 0:
        planned = rule.planned_pairs if strand.source is Source.PAIRED else rule.planned_live
        if strand.n < planned:  # a hit or miss that differs on one row in a thousand looks like this for long
            left = f"about {_rounded(planned - strand.n):,} more {UNITS[strand.source]}"
            return _verdict(
                Call.RUNNING, f"{left}: not one has differed so far.", f"{fired}: fewer than the {planned:,} planned."
            )
        return _verdict(
            Call.KEEP,
            f"both models earn exactly the same on all {strand.n:,} {UNITS[strand.source]}.",
            f"{fired}: there is nothing to gain.",
        )
    if interval.low > 0 and interval.estimate >= rule.minimum_effect:
        doubtful = [r for r in table if r.limit is not None and r.difference and r.difference.estimate > r.limit]
        if doubtful:
            return _verdict(
                Call.RUNNING,
                f"B earns more, but {_raised(doubtful[0])}, and more data must show whether that is chance.",
                f"{fired}; guardrail “{doubtful[0].label}” is beyond its limit, not yet for certain.",
            )
        return _verdict(
            Call.SHIP,
            f"B earns {number(interval.estimate)} a prediction more than A in {where}.",
            f"{fired}, wholly above 0" + (f", and at least {rule.minimum_effect:g}." if rule.minimum_effect else "."),
        )
    if interval.high < 0:
        return _verdict(
            Call.KEEP,
            f"B earns {number(-interval.estimate)} a prediction less than A in {where}.",
            f"{fired}, wholly below 0.",
        )
    if rule.minimum_effect and interval.high < rule.minimum_effect:
        return _verdict(
            Call.KEEP,
            f"B cannot be better by the {rule.minimum_effect:g} that would matter.",
            f"{fired}, wholly below the minimum effect of {rule.minimum_effect:g}.",
        )
    why = "the interval still holds 0" if interval.low <= 0 else "B's lead is below the minimum effect"
    return _verdict(Call.RUNNING, f"{_left(strand)}: {why}.", f"{fired}; {why}.")


def _verdict(call: Call, because: str, fired: str) -> Verdict:
    return Verdict(call, f"{call.value}: {because}", fired)


def _sign(strand: Strand) -> int:
    return 1 if strand.interval is not None and strand.interval.estimate > 0 else -1


def _waiting(paired: Strand | None, live: Strand | None) -> str:
    """What is missing where no strand has an interval."""
    withheld = [s.withheld for s in (paired, live) if s is not None and s.withheld]
    return withheld[0] if withheld else "nothing that earned a reward has been sent in this test yet."


def _left(strand: Strand) -> str:
    unit = UNITS[strand.source]
    if strand.remaining_n is None:
        return "no decision is in sight at the present difference"
    about = f"about {_rounded(strand.remaining_n):,} more {unit}"
    return f"{about}, about {_duration(strand.remaining_s)} at the current rate" if strand.remaining_s else about


def _rounded(n: int) -> int:
    """Two figures are as much as such a forecast is good for."""
    digits = max(0, len(str(n)) - 2)
    return int(round(n, -digits))


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


def _raised(row: MetricRow) -> str:
    assert row.difference is not None
    return f"its {row.label.lower()} is higher by {_amount(row.difference.estimate, row)} ({NAMES[row.source]})"


def _amount(value: float | None, row: MetricRow) -> str:
    value = value or 0.0
    return f"{100 * value:.2g} points" if row.unit == "share" else f"{value:.3g} {row.unit}".strip()
