"""Everything that an assessment reads, each source once: the ledger, the history, the counters.

Each source may be missing: what cannot be read comes back as nothing, with the reason where somebody will ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.deployments.engine import Engine
from services.domain import V2, Change
from services.errors import DecantError
from services.evidence.blocks import Block, PairBlock
from services.evidence.decision_table import UNDONE
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.metrics.history import CounterHistory
from services.metrics.prometheus import MetricsReader
from services.metrics.retention import Kept, lost
from services.operations import UNDO_DECISION
from services.settings import Settings
from services.stats import gates
from services.tracking.models import ModelCatalogue
from services.tracking.runs import RunCatalogue
from services.traffic.rewards import Reward
from services.verdict.answer_rows import Requests
from services.verdict.ledger_side import ArmSums, LiveSide, PairedSide, fed_past_split, times_of
from services.verdict.live import GUARD_SCRAPES, LiveIntervals, counted_by_split, live_intervals
from services.verdict.memory import Memory
from services.verdict.model import Disagreement
from services.verdict.moves import MOST_CHANGES, Moves
from services.verdict.rows import ReplayRows, replay_rows
from services.verdict.rule import ABTest
from services.verdict.traffic import bound_of

MOST_REPLAYS = 1000
SHOWN_DISAGREEMENTS = 10
READ_LEDGER = "A new test can read it from the ledger instead."
STILL_S = 30.0
"""Outcomes younger than this show how fast a replay goes; older ones that it stands."""


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


class Reading:
    """What the sources hold of one test, up to `now`. Raises Unavailable without the evidence store."""

    def __init__(self, sources: Sources, test: ABTest) -> None:
        self._sources, self._store, self._test, self._rule = sources, sources.store, test, test.rule
        self._where = (test.namespace, test.deployment)
        self.now = datetime.now(UTC)
        self.until = test.ended_at or self.now
        self._moves = Moves(sources.store, sources.engine, test, self.until)

    # -- the ledger ------------------------------------------------------------------------------------------------

    @cached_property
    def blocks(self) -> Sequence[Block]:
        return self._store.ledger.blocks(*self._where, since=self._test.started_at, until=self._test.ended_at)

    @cached_property
    def pair_blocks(self) -> Sequence[PairBlock]:
        return self._store.ledger.pair_blocks(*self._where, since=self._test.started_at, until=self._test.ended_at)

    @cached_property
    def replays(self) -> list[ReplayRecord]:
        """The replays of the test that were made under its reward."""
        began = self._test.started_at
        return [r for r in self._every_replay if began <= r.created_at <= self.until and self._is_ours(r)]

    @cached_property
    def _every_replay(self) -> list[ReplayRecord]:
        return self._store.replays.recent(*self._where, MOST_REPLAYS)

    def _is_ours(self, record: ReplayRecord) -> bool:
        """Whether a replay was made under the reward of the test."""
        stored = record.spec.get("reward")
        return stored is not None and Reward.from_json(stored) == self._rule.reward

    @property
    def changes(self) -> list[Change]:
        """Everything anybody changed while the test ran, oldest first."""
        return self._moves.changes

    @cached_property
    def undone(self) -> Change | None:
        """The change that took back the decision on this test; None if it stands or there was none."""
        if self._test.ended_at is None:
            return None
        decisions = self._store.decisions.recent(*self._where)
        taken = [f"[undo of decision {d.id}:" for d in decisions if d.test == self._test.id and d.state == UNDONE]
        if not taken:
            return None
        later = self._store.changes(*self._where, since=self._test.ended_at, limit=MOST_CHANGES)
        return next((c for c in later if c.what == UNDO_DECISION and any(said in c.why for said in taken)), None)

    def top_rewards(self, arm: str, sums: ArmSums, replays: Sequence[int]) -> NDArray[np.float64]:
        """The largest rewards of an arm in these replays, as many as its tail takes; none of a bounded reward."""
        if bound_of(self._rule.reward) is not None:
            return np.array([])
        return self._store.ledger.top_rewards(replays, arm, gates.tail_size(sums.reward.n) + 1)

    def rows(self, paired: PairedSide) -> list[ReplayRows]:
        return replay_rows(self._store.ledger, paired.replays, paired.pairs)

    def disagreements(self, paired: PairedSide) -> tuple[Disagreement, ...]:
        """The rows on which the predictions are furthest apart."""
        numbers = [record.id for record in paired.replays]
        if not numbers:
            return ()
        return tuple(
            Disagreement(p.replay, p.row, p.truth, p.prediction_a, p.prediction_b, p.reward_a, p.reward_b)
            for p in self._store.ledger.largest_disagreements(numbers, SHOWN_DISAGREEMENTS)
        )

    def pace(self, paired: PairedSide) -> float | None:
        """Pairs per second of the replay that runs, None when none does."""
        newest = paired.blocks[-8:]
        if not newest or self.now - newest[-1].last_at > timedelta(seconds=STILL_S):
            return None
        span_s = (newest[-1].last_at - newest[0].first_at).total_seconds()
        return sum(block.n for block in newest) / span_s if span_s > 0 else None

    # -- the counters ----------------------------------------------------------------------------------------------

    @cached_property
    def undivided(self) -> list[Block]:
        """Rows whose rewards are in the counters, though they were sent to an arm past the split: of old replays."""
        fed = {record.id for record in self._every_replay if fed_past_split(record)}
        return [block for block in self.blocks if block.replay in fed]

    @cached_property
    def feeds(self) -> bool:
        """Whether the deployment's protocol has feedback; taken to be so while the engine does not say."""
        try:
            return self._sources.engine.get(*self._where).deployment.protocol != V2
        except DecantError:
            return True

    @cached_property
    def kept(self) -> Kept | None:
        """What Prometheus still holds of the test; None where it cannot be asked."""
        try:
            return self._sources.metrics.kept(self._test.started_at)
        except DecantError:
            return None

    @cached_property
    def counters(self) -> tuple[CounterHistory | None, str]:
        """The counters of the test's time, as much of it as is held; or why they cannot be read."""
        if self._counted_from >= self.until:
            return None, lost(self.kept) if self.kept is not None else ""
        try:
            return self._sources.metrics.history(*self._where, self._counted_from, self.until), ""
        except DecantError as error:
            return None, error.sentence

    @property
    def forgotten(self) -> str:
        """Why counters whose beginning moves on, as Prometheus forgets, carry no interval and no test; "" if fixed."""
        return lost(self.kept) if self.kept is not None and self.kept.forgotten else ""

    @property
    def _counted_from(self) -> datetime:
        """Of what Prometheus does not hold any more, the first sample that is left would look like growth."""
        return self.kept.since if self.kept is not None else self._test.started_at

    def unfit(self, side: LiveSide) -> str:
        """Why the counters, though they may be read, cannot speak for the rewards of this test; "" where they can."""
        if not self._rule.reward.counted:
            return "The reward can be negative, so no counter holds it."
        active = {block.replay for block in self.blocks if not block.paired}
        if any(r.id in active and not self._is_ours(r) for r in self._every_replay):
            return f"The counters have mixed in a replay of this time that used another reward. {READ_LEDGER}"
        if self._moves.lost:
            return f"The counters cannot be weighted: {self._moves.lost}. {READ_LEDGER}"
        if side.left_out:
            return _repeated(side.left_out)
        return ""

    def history(self, side: LiveSide) -> tuple[CounterHistory | None, str]:
        """The counters of the test's time, or why they cannot speak for it."""
        why = self.unfit(side)
        return (None, why) if why else self.counters

    def intervals(self, history: CounterHistory) -> LiveIntervals:
        """The growth of the counters in the intervals that one split was in force in."""
        rule, guard_s = self._rule, GUARD_SCRAPES * self._sources.settings.scrape_interval_s
        blind = times_of(self.undivided)
        return live_intervals(history, self._moves.splits(), rule.champion, rule.challenger, guard_s, blind)

    def requests(self) -> Requests:
        """How live requests were answered, by split; whether or not their rewards can be read from the counters."""
        rule = self._rule
        history, why = self.counters
        if history is None:
            return Requests(missing=_clause(why))
        if self.forgotten:
            return Requests(missing=self.forgotten.rstrip("."))
        if self._moves.lost:
            return Requests(missing=self._moves.lost)
        try:
            found = self._sources.metrics.answers(*self._where, self._counted_from, self.until, rule.guardrails.slow_ms)
        except DecantError as error:
            return Requests(missing=_clause(error.sentence))
        return Requests(
            tuple(counted_by_split(found, self.intervals(history), rule.champion, rule.challenger)),
            found.edge_ms,
            (found.p95_ms.get(rule.champion), found.p95_ms.get(rule.challenger)),
            found.divided,
        )


def _repeated(replays: Sequence[int]) -> str:
    """What is lost and what still counts, where rows went through the split again in one test."""
    return (
        f"Replay {', '.join(map(str, replays))} sent rows through the split more than once. The counters cannot tell "
        "those rewards from others, so live traffic read from them is lost for the rest of this test; the paired "
        "replay, failures and latency still count, and in the ledger each row counts once. " + READ_LEDGER
    )


def _clause(sentence: str) -> str:
    """A sentence as it can follow a colon."""
    return f"the counters cannot be read ({sentence.rstrip('.')})"
