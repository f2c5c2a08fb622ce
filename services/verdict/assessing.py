"""One assessment of a test: reads every source, hands what it found to the pure parts, returns values.

Each source may be missing. Without Prometheus the ledger speaks for the live traffic; without MLflow the models'
surroundings stay unknown; the assessment says so and the rest stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.deployments.engine import Engine
from services.deployments.manifest import from_yaml
from services.domain import Change, Split
from services.domain.text import count
from services.errors import DecantError
from services.evidence.blocks import Block
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.metrics.history import CounterHistory
from services.metrics.prometheus import MetricsReader
from services.operations import NOTHING, read_split
from services.settings import Settings
from services.stats import gates
from services.stats.srm import srm
from services.tracking.models import ModelCatalogue
from services.tracking.row_split import RowSplit
from services.tracking.runs import RunCatalogue
from services.traffic.rewards import Reward
from services.verdict import checks
from services.verdict.decide import decide
from services.verdict.ledger_side import (
    ArmSums,
    LiveSide,
    PairedSide,
    live_side,
    one_arm_rewards,
    one_arm_times,
    paired_side,
    through_split,
    together,
)
from services.verdict.live import GUARD_SCRAPES, LiveIntervals, live_intervals, split_history
from services.verdict.memory import Memory
from services.verdict.model import Assessment, Check, Disagreement, Mark, MetricRow, Strand
from services.verdict.paired import paired_strand
from services.verdict.rows import by_training, learned, replay_rows
from services.verdict.rule import ABTest
from services.verdict.slicing import Slicing, find_slices
from services.verdict.table import metric_rows
from services.verdict.traffic import arm_tail, bound_of, counters_strand, counters_tail, ledger_strand
from services.verdict.words import SOURCES, UNITS

MOST_REPLAYS = 1000
MOST_CHANGES = 1000
MOST_SEARCHED = 50_000
UNDER_WAY = ("queued", "running")
SHOWN_MARKS = 200
SHOWN_DISAGREEMENTS = 10
STILL_S = 30.0
"""Outcomes younger than this show how fast a replay goes; older ones that it stands."""


@dataclass(frozen=True, slots=True)
class Detail:
    """Findings that need the rows themselves."""

    by_training: tuple[MetricRow, ...]
    slicing: Slicing


@dataclass(frozen=True)
class Sources:
    """What an assessment asks."""

    store: EvidenceStore
    engine: Engine
    metrics: MetricsReader
    models: ModelCatalogue
    runs: RunCatalogue
    settings: Settings
    memory: Memory = field(default_factory=Memory)


class Assessing:
    """One assessment under way: everything is read once. `run` raises Unavailable without the evidence store."""

    def __init__(self, sources: Sources, test: ABTest) -> None:
        self._store, self._engine, self._metrics = sources.store, sources.engine, sources.metrics
        self._models, self._runs = sources.models, sources.runs
        self._guard_s = GUARD_SCRAPES * sources.settings.scrape_interval_s
        self._max_mb = sources.settings.max_upload_mb
        self._test, self._rule = test, test.rule
        self._arms = (test.rule.champion, test.rule.challenger)
        self._memory = sources.memory
        self._known_replays: list[ReplayRecord] | None = None
        self._where = (test.namespace, test.deployment)
        self._now = datetime.now(UTC)
        self._until = test.ended_at or self._now

    def run(self) -> Assessment:
        test, rule = self._test, self._rule
        ledger = self._store.ledger
        since, until = test.started_at, test.ended_at
        blocks = ledger.blocks(*self._where, since=since, until=until)
        pair_blocks = ledger.pair_blocks(*self._where, since=since, until=until)
        replays = self._replays()
        paired = paired_side(rule, replays, pair_blocks, blocks)
        side = live_side(rule, replays, blocks)
        strata = side.strata
        changes = [c for c in self._changes() if test.started_at <= c.at <= self._until]
        history, why = self._history(side, blocks)
        seen = self._intervals(history, changes, blocks) if history is not None else None
        a, b = together(strata)
        found = (
            self._tail(paired.a, paired.b, [record.id for record in paired.replays]),
            self._tail(a, b, side.replays),
        )
        tails = [words for words in found if words]
        if seen is not None and not tails:
            tails += [words for words in [counters_tail(rule, seen)] if words]
        tail = tails[0] if tails else None
        pairs = paired_strand(rule, paired, tail, self._pace(paired))
        live = self._live_strand(strata, seen, history, tail, why)
        strands = [strand for strand in (pairs, live) if strand is not None]
        table = metric_rows(rule, paired, strata, (a, b), strands)
        strip = self._checks(blocks, seen, history, strands, tails)
        detail = self._detail(paired)
        verdict = decide(test, strip, pairs, live, table)
        return Assessment(
            test=test,
            as_of=self._now,
            call=verdict.call,
            headline=verdict.headline,
            fired=f"{verdict.fired} {learned(detail.by_training)}".strip(),
            checks=strip,
            paired=pairs,
            live=live,
            table=(*table, *detail.by_training),
            disagreements=self._disagreements(paired),
            slices=detail.slicing.slices,
            slices_note=detail.slicing.note,
            marks=tuple(Mark(c.at, c.who, c.what, c.why) for c in changes[-SHOWN_MARKS:]),
        )

    # -- reading ---------------------------------------------------------------------------------------------------

    def _replays(self) -> list[ReplayRecord]:
        """The replays of the test that were made under its reward."""
        began, until = self._test.started_at, self._until
        return [r for r in self._every_replay() if began <= r.created_at <= until and self._is_ours(r)]

    def _is_ours(self, record: ReplayRecord) -> bool:
        """Whether a replay was made under the reward of the test."""
        stored = record.spec.get("reward")
        return stored is not None and Reward.from_json(stored) == self._rule.reward

    def _every_replay(self) -> list[ReplayRecord]:
        if self._known_replays is None:
            self._known_replays = self._store.replays.recent(*self._where, MOST_REPLAYS)
        return self._known_replays

    def _changes(self) -> list[Change]:
        """Everything anybody changed since the test began, oldest first."""
        return self._store.changes(*self._where, since=self._test.started_at, limit=MOST_CHANGES)[::-1]

    def _history(self, side: LiveSide, blocks: Sequence[Block]) -> tuple[CounterHistory | None, str]:
        """The counters of the test's time, or why they cannot speak for it."""
        if not self._rule.reward.counted:
            return None, "The reward can be negative, so no counter holds it."
        active = {block.replay for block in blocks if not block.paired}
        if any(r.id in active and not self._is_ours(r) for r in self._every_replay()):
            return None, "A replay of this time used another reward, which the counters have mixed in."
        if side.left_out:
            return None, "Rows were sent through the split more than once, which the counters cannot tell."
        try:
            return self._metrics.history(*self._where, self._test.started_at, self._until), ""
        except DecantError as error:
            return None, error.sentence

    def _intervals(self, history: CounterHistory, changes: list[Change], blocks: Sequence[Block]) -> LiveIntervals:
        moves = [(c.at, _split_of(c.before), _split_of(c.after)) for c in changes]
        known = [(at, before, after) for at, before, after in moves if before is not None or after is not None]
        now = Split(())
        if not known:
            try:
                now = self._engine.get(*self._where).requested
            except DecantError:
                known = []
        blind = one_arm_times(blocks)
        rule = self._rule
        return live_intervals(history, split_history(known, now), rule.champion, rule.challenger, self._guard_s, blind)

    def _pace(self, paired: PairedSide) -> float | None:
        """Pairs per second of the replay that runs, None when none does."""
        newest = paired.blocks[-8:]
        if not newest or self._now - newest[-1].last_at > timedelta(seconds=STILL_S):
            return None
        span_s = (newest[-1].last_at - newest[0].first_at).total_seconds()
        return sum(block.n for block in newest) / span_s if span_s > 0 else None

    # -- judging ---------------------------------------------------------------------------------------------------

    def _tail(self, a: ArmSums, b: ArmSums, replays: Sequence[int]) -> str | None:
        if not (a.reward.n and b.reward.n):
            return None
        top_a, top_b = (self._top_rewards(arm, s, replays) for arm, s in zip(self._arms, (a, b), strict=True))
        return arm_tail(a.reward, b.reward, top_a, top_b)

    def _top_rewards(self, arm: str, sums: ArmSums, replays: Sequence[int]) -> NDArray[np.float64]:
        """The largest rewards of an arm in these replays; none where the reward is bounded or they would have to be
        sought among too many."""
        if bound_of(self._rule.reward) is not None or sums.reward.n > MOST_SEARCHED:
            return np.array([])
        limit = int(sums.reward.n * gates.HILL_TOP) + 1
        found = [self._store.ledger.top_rewards(*self._where, arm, limit=limit, replay=number) for number in replays]
        return np.sort(np.concatenate(found))[::-1][:limit] if found else np.array([])

    def _live_strand(
        self,
        strata: Sequence[tuple[ArmSums, ArmSums]],
        seen: LiveIntervals | None,
        history: CounterHistory | None,
        tail: str | None,
        why: str,
    ) -> Strand | None:
        if seen is None or history is None:
            return ledger_strand(self._rule, strata, tail, why, self._until)
        counted = counters_strand(self._rule, seen, tail, history.promql)
        if counted is not None and counted.interval is not None:
            return counted
        # A burst between a few scrapes: too few intervals for the counters, while the ledger knows every row.
        why = "The counters of this time hold too little for an interval."
        booked = ledger_strand(self._rule, strata, tail, why, self._until)
        return booked if booked is not None and (counted is None or booked.interval is not None) else counted

    def _checks(
        self,
        blocks: Sequence[Block],
        seen: LiveIntervals | None,
        history: CounterHistory | None,
        strands: list[Strand],
        tails: list[str],
    ) -> tuple[Check, ...]:
        counted = None if history is None else [self._counted(history, blocks, arm) for arm in self._arms]
        result = None if seen is None else srm(seen.routed_a, seen.routed_b, seen.share_b)
        # A reward that cannot be averaged is another question than whether there is enough of it.
        there = [s for s in strands if s.interval is not None or (tails and min(s.n_a, s.n_b) >= gates.REWARDS)]
        passed = [f"{SOURCES[s.source]}, {count(s.n)} {UNITS[s.source]}" for s in there]
        missing = [f"{SOURCES[s.source]}: {s.withheld.rstrip('.')}" for s in strands if s not in there]
        booked = [through_split(blocks, arm) for arm in self._arms]
        return (
            checks.attribution([checks.Booked(s.n, s.total) for s in booked], counted),
            checks.split(result, seen.changes if seen is not None else 0),
            checks.enough(passed, missing),
            checks.reward(self._rule.reward, tails, sum(s.n for s in strands)),
            self._completeness(history, counted),
            self._environment(),
        )

    def _counted(self, history: CounterHistory, blocks: Sequence[Block], arm: str) -> checks.Booked:
        """What an arm's counters hold of traffic through the split."""
        own = one_arm_rewards(blocks, arm)
        n, total = history.of(history.feedback, arm).sum(), history.of(history.rewards, arm).sum()
        return checks.Booked(max(0, round(n) - own.n), max(0.0, float(total) - own.total))

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
            return checks.environment(self._surroundings(self._test.model_a), self._surroundings(self._test.model_b))
        except DecantError as error:
            return checks.environment(None, None, error.sentence.rstrip("."))

    def _surroundings(self, uri: str) -> checks.Surroundings:
        ref = self._models.resolve(uri)
        columns = tuple((column.name, str(column.type)) for column in ref.signature.columns) or None
        return checks.Surroundings(ref.provenance.label, ref.python_version, tuple(ref.requirements), columns)

    def _detail(self, paired: PairedSide) -> Detail:
        """What only rows can tell. Their reading takes a second by the hundred thousand, so it waits for the end of
        the replay and is then remembered."""
        if any(record.state in UNDER_WAY for record in paired.replays):
            return Detail((), Slicing(note="Parts of the rows are looked at when the replay is over."))
        numbers = tuple(record.id for record in paired.replays)
        key = ("detail", self._test.id, numbers, paired.pairs, sum(block.reward.total for block in paired.blocks))
        return self._memory.recall(key, lambda: self._look_closer(paired))

    def _look_closer(self, paired: PairedSide) -> Detail:
        rows = replay_rows(self._store.ledger, paired.replays, paired.pairs)
        trained = by_training(self._rule, rows, self._row_splits)
        return Detail(trained, find_slices(rows, paired.pairs, self._max_mb))

    def _disagreements(self, paired: PairedSide) -> tuple[Disagreement, ...]:
        numbers = [record.id for record in paired.replays]
        if not numbers:
            return ()
        return tuple(
            Disagreement(p.replay, p.row, p.truth, p.prediction_a, p.prediction_b, p.reward_a, p.reward_b)
            for p in self._store.ledger.largest_disagreements(numbers, SHOWN_DISAGREEMENTS)
        )

    def _row_splits(self) -> list[RowSplit | None]:
        """Which rows the two models were trained on, as far as their runs say."""
        found: list[RowSplit | None] = []
        for uri in (self._test.model_a, self._test.model_b):
            try:
                run_id = self._models.resolve(uri).provenance.run_id
                found.append(self._runs.row_split(run_id) if run_id else None)
            except DecantError:
                found.append(None)
        return found


def _split_of(text: str) -> Split | None:
    """The split that a text of the history stands for; None for a deployment that was not there."""
    if text == NOTHING:
        return None
    split = read_split(text)
    return split if split is not None else from_yaml(text).split
