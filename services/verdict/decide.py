"""The rule applied: from checks, strands and guardrails to one of four calls. Pure, and short enough to be read.

In this order, and the first that holds decides:

1. A red check: do not trust yet. Nothing below can repair evidence that is not sound.
2. The replay and the live traffic each exclude 0, in opposite directions: do not trust yet.
3. A guardrail is broken for certain (the whole interval lies beyond its limit): keep A.
4. The deciding strand excludes 0 on B's side, and B's lead is at least the minimum effect: ship B, if no guardrail's
   point estimate lies beyond its limit, and every guardrail of that strand's source could be read. An interval of some
   hundred rows is wider than the limit itself, so this is "no harm seen", not "no harm"; the words say which it is.
5. The deciding strand excludes every lead of B that matters: keep A.
6. Otherwise: keep running.

Where either source decides and one comes to 4, the other to 5: do not trust yet.

Which strand decides is part of the rule and was fixed before the first reward; the other one can veto (2) and name no
winner. Where the rule lets either decide, each interval has half of alpha, so both together err as rarely as one would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.domain.text import count, number
from services.verdict import figures, words
from services.verdict.model import Call, Check, Interval, Light, MetricRow, Strand
from services.verdict.rule import ABTest, Decides, Rule

NOTHING_YET = {
    Decides.PAIRED: "this test decides by the paired replay, and none has run. Start one on Traffic.",
    Decides.LIVE: "this test decides by the live traffic, and no reward of any has come in. Send some on Traffic, with "
    "the rewards.",
    Decides.EITHER: "nothing that earned a reward has been sent in this test yet. Start a paired replay on Traffic.",
}


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
    strands = [strand for strand in (paired, live) if strand is not None]
    signs = {s.interval.estimate > 0 for s in strands if s.interval is not None and s.interval.excludes_zero}
    if len(signs) == 2:
        return _verdict(
            Call.DISTRUST,
            "the paired replay and the live traffic name different winners.",
            "Replay and live traffic exclude 0 in opposite directions: the replayed rows are not like the traffic.",
        )
    broken = [row for row in table if row.limit is not None and row.difference and row.difference.low > row.limit]
    if broken:
        row = broken[0]
        limit = figures.change(row.limit, row.unit)
        return _verdict(
            Call.KEEP,
            f"B breaks a guardrail: {_raised(row)}, for certain beyond the {limit} allowed.",
            f"Guardrail “{row.label}”: its whole interval lies beyond the limit.",
        )
    calls = [
        _by_interval(test.rule, strand, strand.interval, table)
        for strand in strands
        if strand.interval is not None and test.rule.decided_by(strand.source)
    ]
    beside = " ".join(_beside(strand) for strand in strands if not test.rule.decided_by(strand.source)).strip()
    if not calls:
        missing = "No interval yet from the source that decides."
        return _verdict(Call.RUNNING, _waiting(test.rule, strands), f"{missing} {beside}".strip())
    named = [verdict for verdict in calls if verdict.call is not Call.RUNNING]
    if len({verdict.call for verdict in named}) > 1:
        return _verdict(
            Call.DISTRUST,
            "the paired replay and the live traffic do not come to the same.",
            " ".join(f"{verdict.call.value} by one: {verdict.fired}" for verdict in named),
        )
    found = next(iter(named), calls[0])
    return Verdict(found.call, found.headline, f"{found.fired} {beside}".strip())


def _by_interval(rule: Rule, strand: Strand, interval: Interval, table: Sequence[MetricRow]) -> Verdict:
    where, planned = f"the {words.SOURCES[strand.source]}", rule.planned_of(strand.source)
    fired = f"{where[0].upper()}{where[1:]} ({words.amount(strand)}): {_said(interval)}"
    if interval.low == interval.high == 0:
        if strand.n < planned:  # a hit or miss that differs on one row in a thousand looks like this for long
            missing = f"{words.about(planned - strand.n)} more {words.UNITS[strand.source]}"
            return _verdict(
                Call.RUNNING,
                f"{missing}: not one has differed so far.",
                f"{fired}: fewer than the {count(planned)} planned.",
            )
        return _verdict(
            Call.KEEP,
            f"both models earn exactly the same on all {words.amount(strand)}.",
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
        unread = [r for r in table if r.in_doubt and r.source is strand.source]
        if unread:
            row = unread[0]
            return _verdict(
                Call.RUNNING,
                f"B earns more, but whether it keeps the limit on “{row.label}” cannot be told: {row.note}.",
                f"{fired}; guardrail “{row.label}” is in doubt.",
            )
        return _verdict(
            Call.SHIP,
            f"B earns {number(interval.estimate)} a prediction more than A in {where}.",
            f"{fired}, wholly above 0"
            + (f", and at least {rule.minimum_effect:g}." if rule.minimum_effect else ".")
            + _no_harm(table),
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
    missing = words.left(strand) or "no decision is in sight at the present difference"
    return _verdict(Call.RUNNING, f"{missing}: {why}.", f"{fired}; {why}.")


def _no_harm(table: Sequence[MetricRow]) -> str:
    """What the guardrails say for B, no more than their intervals carry; "" without any."""
    rails = [(row, row.difference) for row in table if row.limit is not None and row.difference is not None]
    open_ = [
        f"{row.label.lower()} up to {figures.change(found.high, row.unit)} ({words.SOURCES[row.source]})"
        for row, found in rails
        if row.limit is not None and found.high > row.limit
    ]
    if open_:
        return f" No harm seen; that B raises {' or '.join(open_)} is not ruled out."
    return " Every guardrail's interval lies within its limit." if rails else ""


def _verdict(call: Call, because: str, fired: str) -> Verdict:
    return Verdict(call, f"{call.value}: {because}", fired)


def _said(interval: Interval) -> str:
    return f"B − A is {figures.middle(interval, '')}, always-valid interval {figures.bounds(interval, '')}"


def _beside(strand: Strand) -> str:
    """What a source shows that cannot name the winner; "" unless it shows one."""
    if strand.interval is None or not strand.interval.excludes_zero:
        return ""
    where = words.SOURCES[strand.source]
    return f"Beside it, not deciding, the {where} ({words.amount(strand)}): {_said(strand.interval)}."


def _waiting(rule: Rule, strands: Sequence[Strand]) -> str:
    """What is missing where no strand that decides has an interval."""
    withheld = [s.withheld for s in strands if s.withheld and rule.decided_by(s.source)]
    return withheld[0] if withheld else NOTHING_YET[rule.decides]


def _raised(row: MetricRow) -> str:
    assert row.difference is not None
    raised = figures.change(row.difference.estimate, row.unit)
    label = row.label[:1].lower() + row.label[1:]
    what = f"share of predictions {label} is" if row.key == "slow" else f"{label} are"
    return f"its {what} higher by {raised} ({words.SOURCES[row.source]})"
