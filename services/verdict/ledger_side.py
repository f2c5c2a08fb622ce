"""What the ledger has for one test, sorted: which replays count, which rows twice, and the sums per arm. Pure.

A row that is sent again tells nothing new: the models would say the same. So of several paired replays of one dataset
only the one with the most rows counts, and several passes over the rows count as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from services.domain import LATENCY_EDGES_MS
from services.evidence.blocks import Block, PairBlock
from services.evidence.replay_table import ReplayRecord
from services.operations import read_split
from services.stats.sums import Sums
from services.traffic.replay import ReplayMode
from services.verdict.rule import Rule

_NONE = Sums()


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

    def plus(self, other: Block | ArmSums) -> ArmSums:
        """Both together."""
        return ArmSums(
            self.sent + other.sent,
            self.failed + other.failed,
            self.reward.plus(other.reward),
            self.squared_error.plus(other.squared_error),
            self.absolute_error.plus(other.absolute_error),
            self.hits.plus(other.hits),
            self.latency_ms.plus(other.latency_ms),
            tuple(x + y for x, y in zip(self.latency_counts, other.latency_counts, strict=True)),
        )

    @classmethod
    def of(cls, blocks: Iterable[Block | ArmSums]) -> ArmSums:
        found = cls()
        for block in blocks:
            found = found.plus(block)
        return found

    @property
    def answered(self) -> int:
        return self.sent - self.failed

    def slower_than(self, edge_ms: float) -> int:
        """Answered requests that took longer than `edge_ms`, one of LATENCY_EDGES_MS."""
        return sum(self.latency_counts[LATENCY_EDGES_MS.index(int(edge_ms)) + 1 :])

    def quantile_ms(self, q: float) -> float | None:
        """A quantile of the latency, interpolated inside its bucket; the last edge if it lies beyond all."""
        total = sum(self.latency_counts)
        if not total:
            return None
        rank, below, seen = q * total, 0.0, 0
        for edge, count in zip(LATENCY_EDGES_MS, self.latency_counts, strict=False):
            if count and seen + count >= rank:
                return below + (edge - below) * (rank - seen) / count
            seen, below = seen + count, float(edge)
        return below


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
    best: dict[str, int] = {}
    for number, found in by_replay.items():
        digest = str(ours[number].spec.get("digest", number))
        if digest not in best or _rows(ours[number], found) > _rows(ours[best[digest]], by_replay[best[digest]]):
            best[digest] = number
    chosen = sorted(best.values())
    kept = [once(block, ours[number]) for number in chosen for block in by_replay[number]]
    arms = {
        name: ArmSums.of(b for b in blocks if b.paired and b.replay in chosen and b.predictor == name)
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
    passes = max(1, int(record.spec.get("passes", 1)))
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


def live_strata(rule: Rule, replays: Iterable[ReplayRecord], blocks: Iterable[Block]) -> list[tuple[ArmSums, ArmSums]]:
    """(A, B) per split in force, of the replays that went through it; only splits that fed both arms."""
    ours = {r.id for r in replays if _mode(r) is ReplayMode.LIVE}
    by_segment: dict[str, dict[str, ArmSums]] = {}
    for block in blocks:
        split = read_split(block.segment)
        if block.replay not in ours or split is None:
            continue
        arms = by_segment.setdefault(block.segment, {})
        arms[block.predictor] = arms.get(block.predictor, ArmSums()).plus(block)
    empty = ArmSums()
    return [
        (arms.get(rule.champion, empty), arms.get(rule.challenger, empty))
        for segment, arms in by_segment.items()
        if _feeds_both(segment, rule)
    ]


def _feeds_both(segment: str, rule: Rule) -> bool:
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


def _rows(record: ReplayRecord, found: Sequence[PairBlock]) -> float:
    return sum(block.n for block in found) / max(1, int(record.spec.get("passes", 1)))
