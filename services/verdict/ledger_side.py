"""What the ledger has for one test, sorted: which replays count, which rows twice, and the sums per arm. Pure.

A row that is sent again tells nothing new: the models would say the same. So of replays that share rows of a dataset
only the one with the most counts, while parts of it that share none all do. Several passes over the rows count as one
in pairs, and not at all through a split, where it is not known which arm a row would have met.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.deployments.history_text import read_split
from services.domain import LATENCY_EDGES_MS
from services.evidence.blocks import Block, PairBlock
from services.evidence.replay_table import ReplayRecord
from services.stats.sums import Sums
from services.traffic.replay import ReplayMode
from services.traffic.rewards import Reward
from services.verdict.rule import Rule

_NONE = Sums()
JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ArmSums:
    """What one arm did: requests, failures, and the sums of each measure; latencies in ms."""

    sent: int = 0
    failed: int = 0
    reward: Sums = _NONE
    squared_error: Sums = _NONE
    absolute_error: Sums = _NONE
    hits: Sums = _NONE
    latency_ms: Sums = _NONE
    latency_counts: tuple[int, ...] = (0,) * (len(LATENCY_EDGES_MS) + 1)

    @classmethod
    def of(cls, blocks: Iterable[Block | ArmSums]) -> ArmSums:
        """All together."""
        parts = list(blocks)
        if not parts:
            return cls()
        return cls(
            sum(part.sent for part in parts),
            sum(part.failed for part in parts),
            Sums.merge(part.reward for part in parts),
            Sums.merge(part.squared_error for part in parts),
            Sums.merge(part.absolute_error for part in parts),
            Sums.merge(part.hits for part in parts),
            Sums.merge(part.latency_ms for part in parts),
            tuple(map(sum, zip(*(part.latency_counts for part in parts), strict=True))),
        )

    def once(self, passes: int) -> ArmSums:
        """The same from one pass over the rows."""
        if passes == 1:
            return self
        return ArmSums(
            self.sent // passes,
            self.failed // passes,
            shrunk(self.reward, passes),
            shrunk(self.squared_error, passes),
            shrunk(self.absolute_error, passes),
            shrunk(self.hits, passes),
            shrunk(self.latency_ms, passes),
            tuple(count // passes for count in self.latency_counts),
        )

    @property
    def answered(self) -> int:
        return self.sent - self.failed

    def slower_than(self, edge_ms: float) -> int:
        """Answered requests that took longer than `edge_ms`, one of LATENCY_EDGES_MS."""
        return sum(self.latency_counts[LATENCY_EDGES_MS.index(int(edge_ms)) + 1 :])

    def quantile_ms(self, q: float) -> float | None:
        """A quantile of the latency, interpolated inside its bucket."""
        found = self._bucket(q)
        if found is None:
            return None
        low, high, part = found
        return low + (high - low) * part

    def bucket_ms(self, q: float) -> tuple[float, float] | None:
        """Between which two latencies a quantile lies: all that is known of it for certain."""
        found = self._bucket(q)
        return None if found is None else found[:2]

    def _bucket(self, q: float) -> tuple[float, float, float] | None:
        """The edges of the quantile's bucket, none beyond the slowest answer, and how far between them it lies."""
        rank, seen, below = q * sum(self.latency_counts), 0, 0.0
        slowest = self.latency_ms.largest
        for edge, count in zip((*LATENCY_EDGES_MS, math.inf), self.latency_counts, strict=True):
            if count and seen + count >= rank:
                top = edge if slowest is None else max(below, min(edge, slowest))
                return below, below if math.isinf(top) else float(top), (rank - seen) / count
            seen, below = seen + count, float(edge)
        return None


@dataclass(frozen=True, slots=True)
class PairedSide:
    """The paired replays that count. `left_out` are replays of rows that another one has already."""

    replays: tuple[ReplayRecord, ...]
    left_out: tuple[int, ...]
    blocks: tuple[PairBlock, ...]
    a: ArmSums
    b: ArmSums

    @property
    def pairs(self) -> int:
        return sum(block.n for block in self.blocks)


def paired_side(
    rule: Rule, replays: Sequence[ReplayRecord], pair_blocks: Sequence[PairBlock], blocks: Sequence[Block]
) -> PairedSide:
    """Sort the paired evidence. `replays` are those of the test, with its reward."""
    ours = {r.id: r for r in replays if _mode(r) is ReplayMode.PAIRED and _arms(r) == (rule.champion, rule.challenger)}
    by_replay: dict[int, list[PairBlock]] = {}
    for block in pair_blocks:
        if block.replay in ours:
            by_replay.setdefault(block.replay, []).append(block)
    chosen = _without_repeats(
        {number: sum(b.n for b in found) / _passes(ours[number]) for number, found in by_replay.items()}, ours
    )
    kept = [once(block, ours[number]) for number in chosen for block in by_replay[number]]
    arms = {
        name: ArmSums.of(
            ArmSums.of(b for b in blocks if b.paired and b.replay == number and b.predictor == name).once(
                _passes(ours[number])
            )
            for number in chosen
        )
        for name in (rule.champion, rule.challenger)
    }
    return PairedSide(
        tuple(ours[number] for number in chosen),
        tuple(sorted(set(by_replay) - set(chosen))),
        tuple(kept),
        arms[rule.champion],
        arms[rule.challenger],
    )


def once(block: PairBlock, record: ReplayRecord) -> PairBlock:
    """The block with the weight that its rows have when each pass says the same again."""
    passes = _passes(record)
    if passes == 1:
        return block
    return replace(
        block,
        reward=shrunk(block.reward, passes),
        squared_error=shrunk(block.squared_error, passes),
        absolute_error=shrunk(block.absolute_error, passes),
        hits=shrunk(block.hits, passes),
        latency_ms=shrunk(block.latency_ms, passes),
    )


def shrunk(sums: Sums, passes: int) -> Sums:
    """The same mean and spread from one pass only; a fraction of a row is dropped, which claims too little."""
    n = sums.n // passes
    return Sums(n, sums.total / sums.n * n, sums.squares / sums.n * n, sums.largest) if n else Sums()


@dataclass(frozen=True, slots=True)
class LiveSide:
    """The live replays that count: (A, B) per split that fed both arms, and which replays these are.

    `left_out` are replays that sent rows again: several passes, or rows that a larger replay has.
    """

    strata: tuple[tuple[ArmSums, ArmSums], ...]
    replays: tuple[int, ...]
    left_out: tuple[int, ...]


def live_side(rule: Rule, replays: Iterable[ReplayRecord], blocks: Sequence[Block]) -> LiveSide:
    """Sort the live evidence of the ledger. `replays` are those of the test, with its reward."""
    ours = {r.id: r for r in replays if _mode(r) is ReplayMode.LIVE}
    sent: dict[int, float] = {}
    for block in blocks:
        if block.replay in ours and not block.paired:
            sent[block.replay] = sent.get(block.replay, 0) + block.sent
    single = {number: rows for number, rows in sent.items() if _passes(ours[number]) == 1}
    chosen = set(_without_repeats(single, ours))
    by_segment: dict[str, dict[str, list[Block]]] = {}
    for block in blocks:
        if block.replay in chosen and feeds_both(block.segment, rule):
            by_segment.setdefault(block.segment, {}).setdefault(block.predictor, []).append(block)
    strata = tuple(
        (ArmSums.of(arms.get(rule.champion, ())), ArmSums.of(arms.get(rule.challenger, ())))
        for arms in by_segment.values()
    )
    return LiveSide(strata, tuple(sorted(chosen)), tuple(sorted(set(sent) - chosen)))


def _without_repeats(rows: Mapping[int, float], records: Mapping[int, ReplayRecord]) -> list[int]:
    """The replays of which no two share a row, those that sent most first. Parts of one dataset may all count."""
    kept: list[int] = []
    for number in sorted(rows, key=lambda number: (-rows[number], number)):
        if not any(records[number].shares_rows(records[other]) for other in kept):
            kept.append(number)
    return sorted(kept)


def through_split(blocks: Iterable[Block], predictor: str) -> Sums:
    """Rewards that an arm earned, of whatever replay or request the split sent its way."""
    return Sums.merge(b.reward for b in blocks if b.predictor == predictor and read_split(b.segment) is not None)


def fed_past_split(record: ReplayRecord) -> bool:
    """Whether a replay to one arm sent its rewards to that arm's counter, as all did before it was kept for the split.

    Those of today say in their record that they send none.
    """
    if _mode(record) is not ReplayMode.PINNED or "feedback" in record.spec or "reward" not in record.spec:
        return False
    return Reward.from_json(record.spec["reward"]).counted


def times_of(blocks: Iterable[Block]) -> list[tuple[float, float]]:
    """(from, to) unix times of the rows in these blocks, oldest first, overlaps joined."""
    spans = sorted((b.first_at.timestamp(), b.last_at.timestamp()) for b in blocks)
    joined: list[tuple[float, float]] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1] + JOIN_S:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def feeds_both(segment: str, rule: Rule) -> bool:
    """Whether rows of this segment came through a split that gave both arms some."""
    split = read_split(segment)
    shares = split.as_dict() if split else {}
    return shares.get(rule.champion, 0) > 0 and shares.get(rule.challenger, 0) > 0


def together(strata: Sequence[tuple[ArmSums, ArmSums]]) -> tuple[ArmSums, ArmSums]:
    """Both arms over all splits: for counts and tails, never for a difference of means."""
    return ArmSums.of(a for a, _ in strata), ArmSums.of(b for _, b in strata)


def _mode(record: ReplayRecord) -> ReplayMode:
    return ReplayMode(record.spec.get("mode", ReplayMode.LIVE))


def _arms(record: ReplayRecord) -> tuple[str, ...]:
    return tuple(record.spec.get("arms", ()))


def _passes(record: ReplayRecord) -> int:
    return max(1, int(record.spec.get("passes", 1)))
