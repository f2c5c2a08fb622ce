"""One assessment of a test: what was read goes through the pure parts and comes out as values.

Each source may be missing. Where the rule reads live traffic from the counters and Prometheus is silent, the ledger's
own rows are shown for information and decide nothing; without MLflow the models' surroundings stay unknown; the
assessment says so and the rest stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.datasets import ReplayDatasets
from services.domain import Change
from services.errors import DecantError
from services.metrics.history import CounterHistory
from services.metrics.retention import lost
from services.stats import gates
from services.stats.srm import srm
from services.verdict import checks, words
from services.verdict.decide import decide
from services.verdict.ledger_curve import ledger_curve
from services.verdict.ledger_side import (
    ArmSums,
    LiveSide,
    PairedSide,
    live_side,
    paired_side,
    through_split,
    together,
)
from services.verdict.live import LiveIntervals
from services.verdict.logged_models import LoggedModels
from services.verdict.model import Assessment, Check, Mark, MetricRow, Strand
from services.verdict.paired import paired_strand
from services.verdict.reading import Reading, Sources
from services.verdict.rows import by_training, learned
from services.verdict.rule import ABTest, LiveFrom, Source
from services.verdict.slicing import Slicing, find_slices
from services.verdict.table import metric_rows
from services.verdict.traffic import arm_tail, counters_strand, counters_tail, ledger_strand, not_ours, unread_strand

UNDER_WAY = ("queued", "running")
SHOWN_MARKS = 200


@dataclass(frozen=True, slots=True)
class Detail:
    """Findings that need the rows themselves."""

    by_training: tuple[MetricRow, ...]
    slicing: Slicing
    unknown: int = 0
    """Rows of which no run says whether it was trained on them, where one says so of others."""


class Assessing:
    """One assessment under way: everything is read once. `run` raises Unavailable without the evidence store."""

    def __init__(self, sources: Sources, test: ABTest) -> None:
        self._memory = sources.memory
        self._datasets = ReplayDatasets(sources.store.files, sources.settings)
        self._test, self._rule = test, test.rule
        self._arms = (test.rule.champion, test.rule.challenger)
        self._read = Reading(sources, test)
        self._logged = LoggedModels(sources.models, sources.runs, test)

    def run(self) -> Assessment:
        test, rule, read = self._test, self._rule, self._read
        paired = paired_side(rule, read.replays, read.pair_blocks, read.blocks)
        side = live_side(rule, read.replays, read.blocks)
        strata = side.strata
        history, why = read.history(side)
        seen = read.intervals(history) if history is not None else None
        a, b = together(strata)
        found = (
            self._tail(paired.a, paired.b, [record.id for record in paired.replays]),
            self._tail(a, b, side.replays),
        )
        tails = [said for said in found if said]
        if seen is not None and not tails and not read.forgotten:
            tails += [said for said in [counters_tail(rule, seen)] if said]
        tail = tails[0] if tails else None
        alien = not_ours(rule, history) if history is not None else None
        pairs = paired_strand(rule, paired, tail, read.pace(paired))
        live, beside = self._live_strands(side, seen, history, (tail, tail or alien or read.forgotten or None), why)
        strands = [strand for strand in (pairs, live) if strand is not None]
        counted = read.requests() if rule.live_source is LiveFrom.COUNTERS else None
        table = metric_rows(rule, paired, strata, (a, b), strands, counted)
        strip = self._checks(history, read.unfit(side), strands, tails, alien or "")
        detail = self._detail(paired, pairs, tail)
        verdict = decide(test, strip, pairs, live, table)
        return Assessment(
            test=test,
            as_of=read.now,
            call=verdict.call,
            headline=verdict.headline,
            fired=f"{verdict.fired} {learned(detail.by_training, detail.unknown)}".strip(),
            checks=strip,
            paired=pairs,
            live=live,
            table=(*table, *detail.by_training),
            disagreements=read.disagreements(paired),
            slices=detail.slicing.slices,
            slices_note=detail.slicing.note,
            marks=tuple(_mark(change) for change in read.changes[-SHOWN_MARKS:]),
            undone=_mark(read.undone) if read.undone is not None else None,
            beside=beside,
        )

    def _tail(self, a: ArmSums, b: ArmSums, replays: Sequence[int]) -> str | None:
        if not (a.reward.n and b.reward.n):
            return None
        top_a, top_b = (self._read.top_rewards(arm, s, replays) for arm, s in zip(self._arms, (a, b), strict=True))
        return arm_tail(a.reward, b.reward, top_a, top_b)

    def _live_strands(
        self,
        side: LiveSide,
        seen: LiveIntervals | None,
        history: CounterHistory | None,
        tails: tuple[str | None, str | None],
        why: str,
    ) -> tuple[Strand | None, Strand | None]:
        """The strand of where the rule reads live traffic; and, as long as that has no interval, the other one.

        `tails` is what speaks against an interval from the ledger, and against one from the counters.
        """
        rule = self._rule
        booked = ledger_strand(rule, side.strata, tails[0], ledger_curve(rule, side, self._read.blocks))
        counted = None
        if seen is not None and history is not None:
            counted = counters_strand(rule, seen, tails[1], history.promql)
        if rule.live_source is LiveFrom.LEDGER:
            ours, other = booked, counted
            why = "The ledger holds no reward of a live replay."
        else:
            ours, other = counted, booked
            why = why or "The counters hold no reward yet."
        if ours is not None and ours.interval is not None:
            return ours, None
        unread = history is None and rule.live_source is LiveFrom.COUNTERS and rule.decided_by(Source.LIVE)
        if ours is None and (other is not None or unread):
            ours = unread_strand(rule, f"This test reads live traffic from the {words.PLACES[rule.live_source]}. {why}")
        return ours, other if other is not None and other.interval is not None else None

    def _checks(
        self, history: CounterHistory | None, unfit: str, strands: list[Strand], tails: list[str], alien: str
    ) -> tuple[Check, ...]:
        counted, mixed = None, bool(history is not None and self._read.undivided)
        feeds = self._read.feeds
        if history is not None and not mixed and feeds:
            counted = [self._counted(history, arm) for arm in self._arms]
        read, _ = self._read.counters  # requests are divided by the split whatever their rewards
        seen = None if read is None else self._read.intervals(read)
        forgotten = self._read.forgotten
        result = None if seen is None or forgotten else srm(seen.routed_a, seen.routed_b, seen.share_b)
        # A reward that cannot be averaged is another question than whether there is enough of it.
        there = [s for s in strands if s.interval is not None or (tails and min(s.n_a, s.n_b) >= gates.REWARDS)]
        passed = [f"{words.SOURCES[s.source]}, {words.amount(s)}" for s in there]
        missing = [f"{words.SOURCES[s.source]}: {s.withheld.rstrip('.')}" for s in strands if s not in there]
        decides = any(self._rule.decided_by(s.source) for s in there)
        if there and not decides:  # and the source that does decide has not begun
            begun = {s.source for s in strands}
            missing += [
                f"{words.SOURCES[s]}: nothing yet" for s in Source if self._rule.decided_by(s) and s not in begun
            ]
        sums = [through_split(self._read.blocks, arm) for arm in self._arms]
        booked = [checks.Booked(s.n, s.total) for s in sums]
        kept = self._read.kept
        less = lost(kept) if kept is not None and not kept.whole else ""
        strip = (
            checks.attribution(booked, counted, mixed=mixed, feeds=feeds, unfit=unfit or less),
            checks.split(
                result,
                seen.changes if seen is not None else 0,
                decides=self._rule.decided_by(Source.LIVE),
                forgotten=forgotten,
            ),
            checks.enough(passed, missing, decides=decides),
            checks.reward(
                self._rule.reward,
                tails,
                sum(s.n for s in strands),
                alien if self._rule.live_source is LiveFrom.COUNTERS else "",
                decides=self._rule.decided_by(Source.LIVE),
            ),
            checks.feedback(None, None, mixed=mixed, feeds=feeds, unfit=unfit or forgotten)
            if mixed or unfit or forgotten or not feeds
            else self._completeness(history, counted),
            self._environment(),
        )
        divided = (
            self._rule.decided_by(Source.LIVE)
            or any(s.source is Source.LIVE for s in strands)
            or any(s.n for s in sums)
        )
        said = checks.beginning(kept, self._rule, running=self._test.ended_at is None) if divided else None
        return strip if said is None else (*strip, said)

    def _counted(self, history: CounterHistory, arm: str) -> checks.Booked:
        """What an arm's counters hold."""
        n, total = history.of(history.feedback, arm).sum(), history.of(history.rewards, arm).sum()
        return checks.Booked(round(n), float(total))

    def _completeness(self, history: CounterHistory | None, counted: list[checks.Booked] | None) -> Check:
        """Over the whole time, not over the usable intervals: a reward may fall into the one after its request."""
        if history is None or counted is None:
            return checks.feedback(None, None)
        sent = [round(history.of(history.routed, arm).sum()) for arm in self._arms]
        if min(sent) < gates.REWARDS:
            return checks.feedback(None, None)
        got = [min(n, booked.n) for n, booked in zip(sent, counted, strict=True)]
        planned, alpha = self._rule.planned_live, self._rule.alpha
        gap = gates.missing_feedback(sent[0], got[0], sent[1], got[1], planned=planned, alpha=alpha)
        return checks.feedback(gap, (got[0] / sent[0], got[1] / sent[1]))

    def _environment(self) -> Check:
        try:
            of_a, of_b = self._logged.surroundings()
        except DecantError as error:
            return checks.environment(None, None, error.sentence.rstrip("."))
        return checks.environment(of_a, of_b)

    def _detail(self, paired: PairedSide, strand: Strand | None, tail: str | None) -> Detail:
        """What only rows can tell. Their reading takes a second by the hundred thousand, so it waits for the end of
        the replay and is then remembered."""
        withheld = strand.withheld if strand is not None else ""
        if any(record.state in UNDER_WAY for record in paired.replays):
            return Detail((), Slicing(note="Parts of the rows are looked at when the replay is over."))
        numbers = tuple(record.id for record in paired.replays)
        key = (
            "detail",
            withheld,
            self._test.id,
            numbers,
            paired.pairs,
            sum(block.reward.total for block in paired.blocks),
        )
        return self._memory.recall(key, lambda: self._look_closer(paired, withheld, tail))

    def _look_closer(self, paired: PairedSide, withheld: str, tail: str | None) -> Detail:
        rows = self._read.rows(paired)
        trained = by_training(self._rule, rows, self._logged.row_splits, tail)
        unknown = sum(len(part.row) for part in rows) - sum(row.a.n for row in trained) if trained else 0
        if withheld:  # what all rows cannot carry, a part of them cannot either
            return Detail(trained, Slicing(note=f"Parts of the rows are not compared: {withheld}"), unknown)
        return Detail(trained, find_slices(rows, paired.pairs, self._datasets.load), unknown)


def _mark(change: Change) -> Mark:
    return Mark(change.at, change.who, change.what, change.reason)
