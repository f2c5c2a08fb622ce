"""Rows of the table on how requests were answered: latency, slow answers and failures, with their guardrails. Pure.

Of pairs and of Decant's own live replays the ledger tells them; of a test that reads live traffic from the counters,
the counters, which see every client's requests. What cannot be read says so and leaves its limit in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.domain.text import latency, number
from services.stats import difference
from services.verdict.ledger_side import ArmSums
from services.verdict.live import ArmCounts, SplitCounts
from services.verdict.model import Cell, MetricRow
from services.verdict.paired import known
from services.verdict.rule import Rule, Source

GUARDRAILS = 3
"""How many guardrails share one error level: failures in pairs, failures and slowness of live traffic."""

P95 = 0.95
JUDGED_LIVE = "its limit is judged on live traffic"
NO_QUANTILE = "no interval: see the share of slow requests"
AT_SENDER = f"measured at the sender, with network and queueing; {NO_QUANTILE}"
AT_GATEWAY = f"from counts per bucket, measured at the gateway; {NO_QUANTILE}"
AT_SERVERS = f"from counts per bucket, measured at the arms’ servers; {NO_QUANTILE}"
NOT_DIVIDED = "counted by the arms’ own servers, requests past the split included"
NOT_COUNTED = "the counters hold no requests to both arms under one split"
ABOUT = "from counts per bucket, of {}; "
SERVERS_FAULT = "answers of 5xx; a refusal (4xx) is about the request"
OWN_ONLY = "only what Decant itself sent is known"


@dataclass(frozen=True, slots=True)
class Requests:
    """What the counters say of live requests, by split.

    Attributes:
        strata: both arms' counts under each split.
        edge_ms: the limit at which slow requests were counted, in ms; None where no times are kept.
        p95_ms: of A and B, in ms; None where not known.
        divided: whether only requests through the split were counted.
        missing: why nothing is known, in a clause; "" where something is.
    """

    strata: tuple[SplitCounts, ...] = ()
    edge_ms: float | None = None
    p95_ms: tuple[float | None, float | None] = (None, None)
    divided: bool = True
    missing: str = ""

    def total(self) -> tuple[ArmCounts, ArmCounts]:
        """Both arms over all splits, for counts."""
        return _together([s.a for s in self.strata]), _together([s.b for s in self.strata])


@dataclass(frozen=True, slots=True)
class Tally:
    """Bad events of n, of an arm."""

    bad: int
    n: int


Strata = Sequence[tuple[Tally, Tally]]


def rows_of_sums(
    rule: Rule, source: Source, a: ArmSums, b: ArmSums, strata: Sequence[tuple[ArmSums, ArmSums]], doubt: str = ""
) -> list[MetricRow]:
    """From the ledger; `doubt` says what it cannot see of this source."""
    rails, slow = rule.guardrails, rule.guardrails.slow_ms
    p95 = Cell(a.quantile_ms(P95), a.answered), Cell(b.quantile_ms(P95), b.answered)
    rows = [MetricRow("p95", "Latency p95", source, *p95, None, False, "ms", note=_between(a, b) + AT_SENDER)]
    if sum(a.latency_counts) and sum(b.latency_counts):
        # A replay to both arms is a load test of its own making: only live traffic says how fast B will be.
        judged = source is Source.LIVE
        tallies = [tuple(Tally(s.slower_than(slow), sum(s.latency_counts)) for s in pair) for pair in strata]
        limit, note = (rails.slow_increase, doubt) if judged else (None, JUDGED_LIVE)
        rows.append(_share(rule, source, "slow", _slower(slow), tallies, limit, note, in_doubt=bool(judged and doubt)))
    elif source is Source.LIVE:
        why = doubt or "no answer of an arm has been timed"
        rows.append(_unknown(source, "slow", _slower(slow), rails.slow_increase, why))
    failed = [tuple(Tally(s.failed, s.sent) for s in pair) for pair in strata]
    rows.append(_share(rule, source, "errors", FAILED, failed, rails.error_increase, doubt, in_doubt=bool(doubt)))
    return rows


def rows_of_requests(rule: Rule, found: Requests) -> list[MetricRow]:
    """From the counters of live traffic."""
    rails, source = rule.guardrails, Source.LIVE
    a, b = found.total()
    note = "" if found.divided else NOT_DIVIDED
    rows = []
    if a.timed and b.timed and found.edge_ms is not None:
        cells = Cell(found.p95_ms[0], a.timed), Cell(found.p95_ms[1], b.timed)
        where = AT_GATEWAY if found.divided else AT_SERVERS
        rows.append(MetricRow("p95", "Latency p95", source, *cells, None, False, "ms", note=where))
        said = note
        if found.edge_ms != rails.slow_ms:
            nearest = f"the counters have no edge at {rails.slow_ms:g} ms, this is the nearest"
            said = f"{nearest}; {note}" if note else nearest
        tallies = [(Tally(s.a.slow, s.a.timed), Tally(s.b.slow, s.b.timed)) for s in found.strata]
        rows.append(_share(rule, source, "slow", _slower(found.edge_ms), tallies, rails.slow_increase, said))
    else:
        why = found.missing or "the counters hold no times of both arms’ answers"
        rows.append(_unknown(source, "slow", _slower(rails.slow_ms), rails.slow_increase, why))
    if a.answered and b.answered:
        tallies = [(Tally(s.a.failed, s.a.answered), Tally(s.b.failed, s.b.answered)) for s in found.strata]
        said = f"{SERVERS_FAULT}; {note}" if note else SERVERS_FAULT
        rows.append(_share(rule, source, "errors", FAILED, tallies, rails.error_increase, said))
    else:
        why = found.missing or NOT_COUNTED
        rows.append(_unknown(source, "errors", FAILED, rails.error_increase, why))
    return rows


FAILED = "Failed predictions"


def _slower(edge_ms: float) -> str:
    return f"Slower than {edge_ms:g} ms"


def _share(
    rule: Rule,
    source: Source,
    key: str,
    label: str,
    strata: Sequence[tuple[Tally, ...]],
    limit: float | None,
    note: str = "",
    *,
    in_doubt: bool = False,
) -> MetricRow:
    """A share of bad events, compared within each split."""
    counts = [(a.bad, a.n, b.bad, b.n) for a, b in strata]
    found = difference.stratified_proportions(counts, planned=rule.planned_of(source), alpha=rule.alpha / GUARDRAILS)
    bad_a, n_a, bad_b, n_b = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0, 0)
    cells = Cell(bad_a / n_a if n_a else None, n_a), Cell(bad_b / n_b if n_b else None, n_b)
    return MetricRow(
        key, label, source, *cells, known(found), False, "share", limit=limit, note=note, in_doubt=in_doubt
    )


def _unknown(source: Source, key: str, label: str, limit: float, why: str) -> MetricRow:
    return MetricRow(
        key, label, source, Cell(None, 0), Cell(None, 0), None, False, "share", limit=limit, note=why, in_doubt=True
    )


def _between(a: ArmSums, b: ArmSums) -> str:
    """Why a quantile is said with “about”: the buckets that it was interpolated in."""
    found = [bucket for bucket in (a.bucket_ms(P95), b.bucket_ms(P95)) if bucket is not None]
    said = dict.fromkeys(f"{number(low)} to {latency(high)}" for low, high in found)
    return ABOUT.format(" and ".join(said)) if said else ""


def _together(arms: Sequence[ArmCounts]) -> ArmCounts:
    tables = zip(*((x.answered, x.failed, x.timed, x.slow) for x in arms), strict=True)
    return ArmCounts(*(sum(column) for column in tables)) if arms else ArmCounts()
