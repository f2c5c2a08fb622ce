"""The difference over time of live traffic read from the ledger: a look where rows were sent, and the same at each."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from services.domain import LATENCY_EDGES_MS
from services.evidence.blocks import Block
from services.evidence.replay_table import ReplayRecord
from services.stats import difference
from services.stats.sums import Sums
from services.traffic.rewards import Reward, RewardKind
from services.verdict.ledger_curve import MOST_POINTS, ledger_curve
from services.verdict.ledger_side import ArmSums, live_side
from services.verdict.rule import LiveFrom, Rule

RULE = Rule(reward=Reward(RewardKind.ABSOLUTE), live_from=LiveFrom.LEDGER)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def block(minute: int, arm: str, rewards: list[float], segment: str = "a=50,b=50", replay: int = 1) -> Block:
    at, none = START + timedelta(minutes=minute), Sums()
    counts = (len(rewards), *(0 for _ in LATENCY_EDGES_MS))
    sums = Sums.of(rewards), none, none, none, none
    return Block(replay, segment, arm, at, at, len(rewards), 0, 0, *sums, counts)


def record(number: int = 1) -> ReplayRecord:
    spec = {"dataset": "wine", "mode": "live", "reward": RULE.reward.to_json()}
    return ReplayRecord(number, "seldon", "wine", spec, "done", 100, 100, {}, "", False, "ann", START, START, START)


def traffic(minutes: int, segment: str = "a=50,b=50", begin: int = 0) -> list[Block]:
    chance = random.Random(begin)
    return [
        block(begin + minute, arm, [chance.gauss(gain, 1) for _ in range(20)], segment)
        for minute in range(minutes)
        for arm, gain in (("a", -3.0), ("b", -2.9))
    ]


def test_each_look_is_the_estimate_of_what_was_there_and_the_last_that_of_all() -> None:
    blocks = [*traffic(30), *traffic(20, "a=80,b=20", begin=30)]
    side = live_side(RULE, [record()], blocks)
    curve = ledger_curve(RULE, side, blocks)
    assert 30 < len(curve) <= MOST_POINTS
    assert [p.n for p in curve] == sorted({p.n for p in curve})
    whole = difference.stratified(
        [(a.reward, b.reward) for a, b in side.strata], planned=RULE.planned_live, alpha=RULE.alpha_each
    )
    last = curve[-1]
    assert (last.n, last.at) == (whole.n, START + timedelta(minutes=49))
    assert (last.interval.estimate, last.interval.low, last.interval.high) == pytest.approx(
        (whole.estimate, whole.low, whole.high)
    )


def test_more_rows_leave_the_looks_that_were_there_where_they_were() -> None:
    fewer, more = traffic(20), [*traffic(20), *traffic(5, begin=20)]
    before = ledger_curve(RULE, live_side(RULE, [record()], fewer), fewer)
    after = ledger_curve(RULE, live_side(RULE, [record()], more), more)
    assert len(before) > 10 and after[: len(before)] == before and len(after) > len(before)


def test_only_rows_that_count_are_drawn() -> None:
    ours = traffic(10)
    others = [block(3, "a", [9.0] * 50, replay=2), block(4, "b", [9.0] * 50, "pinned:b"), block(5, "c", [9.0] * 50)]
    side = live_side(RULE, [record()], ours)
    assert ledger_curve(RULE, side, [*ours, *others]) == ledger_curve(RULE, side, ours) != ()


def test_until_both_arms_have_enough_there_is_no_look() -> None:
    blocks = [block(0, "a", [1.0, 2.0] * 50)]
    assert ledger_curve(RULE, live_side(RULE, [record()], blocks), blocks) == ()


class TestQuantile:
    """p95 from counts per bucket: no further than the slowest answer, and the bucket is said."""

    def arm(self, counts: dict[int, int], slowest: float) -> ArmSums:
        found = [0] * (len(LATENCY_EDGES_MS) + 1)
        for place, n in counts.items():
            found[place] = n
        n = sum(counts.values())
        return ArmSums(sent=n, latency_ms=Sums(n, n * 5.0, n * 30.0, slowest), latency_counts=tuple(found))

    def test_the_bucket_ends_at_the_slowest_answer(self) -> None:
        arm = self.arm({4: 90, 5: 10}, 22.0)  # 20 to 50 ms, and none slower than 22
        assert arm.bucket_ms(0.95) == (20.0, 22.0)
        assert arm.quantile_ms(0.95) == pytest.approx(21.0)

    def test_beyond_the_last_edge_it_is_between_that_and_the_slowest(self) -> None:
        arm = self.arm({len(LATENCY_EDGES_MS): 10}, 9000.0)
        assert arm.bucket_ms(0.95) == (5000.0, 9000.0)
        assert ArmSums().bucket_ms(0.95) is ArmSums().quantile_ms(0.95) is None
