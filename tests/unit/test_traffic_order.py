"""Which rows a replay sends and in what order, what a stored replay means, and what a preview makes of its answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.jobs.replay_values import spec_from_json, spec_to_json
from services.traffic.order import chosen_rows, sending_order
from services.traffic.pacing import RateWindow
from services.traffic.preview import BINS, Preview, histogram, suggest_scale, summarise
from services.traffic.replay import ArmCounters, ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind

BOUNDED = Reward(RewardKind.BOUNDED)
SPEC = ReplaySpec("seldon", "wine", "wine-quality", "quality", BOUNDED)
SEEDS = st.one_of(st.none(), st.integers(0, 2**31))


class TestOrder:
    def test_the_file_from_its_start(self) -> None:
        assert chosen_rows(SPEC, 4) == [0, 1, 2, 3]
        assert chosen_rows(replace(SPEC, rows=2), 4) == [0, 1]
        assert chosen_rows(replace(SPEC, rows=2, start=3), 4) == [3]
        assert chosen_rows(replace(SPEC, start=4), 4) == []

    @given(st.integers(1, 60), st.one_of(st.none(), st.integers(1, 80)), SEEDS, SEEDS, st.integers(1, 4))
    def test_every_pass_sends_each_chosen_row_once(
        self, size: int, rows: int | None, sample: int | None, shuffle: int | None, passes: int
    ) -> None:
        spec = replace(SPEC, rows=rows, sample_seed=sample, shuffle_seed=shuffle, passes=passes)
        chosen, sent = chosen_rows(spec, size), list(sending_order(spec, size))
        assert len(set(chosen)) == len(chosen) == min(size, rows or size)
        assert chosen == sorted(chosen)
        assert sorted(sent) == [(p, row) for p in range(passes) for row in chosen]
        assert [p for p, _ in sent] == sorted(p for p, _ in sent), "pass by pass"
        assert sent == list(sending_order(spec, size)), "the same again, so that a resumed replay knows what is left"

    def test_a_sample_is_random_and_keeps_the_files_order(self) -> None:
        one, other = (chosen_rows(replace(SPEC, rows=50, sample_seed=seed), 1000) for seed in (1, 2))
        assert one != other and max(one) > 500

    def test_each_pass_is_shuffled_in_its_own_way(self) -> None:
        sent = list(sending_order(replace(SPEC, shuffle_seed=1, passes=2), 50))
        assert [row for p, row in sent if p == 0] != [row for p, row in sent if p == 1]


class TestStored:
    def test_there_and_back(self) -> None:
        spec = replace(
            SPEC,
            mode=ReplayMode.PAIRED,
            arms=("a", "b"),
            passes=2,
            sample_seed=1,
            label="mine.csv",
            reward=Reward(RewardKind.FORMULA, expression="y * y_pred"),
        )
        stored = spec_to_json(spec)
        assert stored["arms"] == ["a", "b"] and stored["reward"]["formula"] == "y * y_pred"
        assert spec_from_json({**stored, "digest": "x"}) == spec

    def test_a_shuffle_of_old_is_a_sample_of_the_same_rows(self) -> None:
        stored = spec_to_json(replace(SPEC, rows=20, start=5, shuffle_seed=3))
        for key in ("arms", "sample_seed", "passes", "label"):
            del stored[key]
        meant = np.random.default_rng(3).permutation(100)[5:25]
        assert chosen_rows(spec_from_json(stored), 100) == sorted(meant.tolist())


def seen(truths: list[object], **predictions: list[object]) -> Preview:
    return Preview(tuple(range(len(truths))), tuple(truths), {a: tuple(p) for a, p in predictions.items()}, {})


class TestPreview:
    def test_means_spread_and_share_by_hand(self) -> None:
        summary = summarise(seen([1, 2, 3], a=[1, 2, 3], b=[2, 2, 5]), BOUNDED)
        a, b = summary.arms
        assert (a.sums.n, a.sums.mean, a.sums.sd) == (3, 1.0, pytest.approx(0, abs=1e-9))
        assert b.rewards.tolist() == [0.5, 1.0, 0.2]
        assert b.sums.mean == pytest.approx(1.7 / 3)
        assert b.sums.top_share == pytest.approx(1 / 1.7)
        assert summary.scale is None, "the champion makes no error"

    def test_the_scale_is_the_spread_of_the_champions_errors(self) -> None:
        errors = np.random.default_rng(1).normal(0.5, 0.7, 400)
        scale = suggest_scale([6.0] * 400, [6.0 - e for e in errors])
        assert scale == float(f"{errors.std(ddof=1):.3g}")
        assert suggest_scale(["red", "white"], ["red", "red"]) is None
        assert suggest_scale([1.0], [2.0]) is None
        assert suggest_scale([1.0, 2.0, None], [2.0, 2.0, 3.0]) == 0.707

    def test_rows_that_failed_or_cannot_be_rewarded_are_counted_apart(self) -> None:
        (arm,) = summarise(seen([1, "x", 3, None], a=[1, 1, None, 1]), BOUNDED).arms
        assert (arm.sums.n, arm.failed, arm.without_truth) == (1, 2, 1)
        assert "not a number" in arm.error

    def test_it_warns_of_the_tutorials_reward_and_not_of_the_bounded_one(self) -> None:
        rng = np.random.default_rng(3)
        truths = rng.normal(0, 0.75, 200).tolist()
        answers = seen(truths, a=[0.0] * 200, b=[0.1] * 200)
        assert summarise(answers, Reward(RewardKind.TUTORIAL)).warning
        assert summarise(answers, BOUNDED).warning == ""
        assert summarise(answers, Reward(RewardKind.SQUARED)).warning == ""

    def test_the_bins_hold_every_reward_of_every_arm(self) -> None:
        summary = summarise(seen([0, 0, 0, 0], a=[0, 1, 2, None], b=[3, 3, 3, 3]), BOUNDED)
        found = histogram(summary)
        assert len(found.edges) == BINS + 1 and not found.logarithmic
        assert {arm: int(counts.sum()) for arm, counts in found.counts.items()} == {"a": 3, "b": 4}

    def test_a_heavy_tail_has_logarithmic_bins_that_tell_its_rewards_apart(self) -> None:
        rng = np.random.default_rng(3)
        summary = summarise(
            seen(rng.normal(0, 0.75, 200).tolist(), a=[0.0] * 200, b=[0.1] * 200), Reward(RewardKind.TUTORIAL)
        )
        found = histogram(summary)
        assert found.logarithmic
        assert {arm: int(counts.sum()) for arm, counts in found.counts.items()} == {"a": 200, "b": 200}
        assert all(np.count_nonzero(counts) > BINS / 3 for counts in found.counts.values())

    def test_nothing_answered_at_all(self) -> None:
        summary = summarise(seen([1, 2], a=[None, None]), BOUNDED)
        assert summary.arms[0].sums.mean is None and summary.scale is None and summary.warning == ""
        assert histogram(summary).counts["a"].sum() == 0


def test_the_share_of_a_core_is_growth_of_the_cpu_clock_per_second() -> None:
    window = RateWindow()
    for now, cpu in ((0.0, 0.0), (1.0, 0.5), (2.0, 1.5)):
        window.add(now, cpu)
    assert window.per_s == 0.75


def test_counters_know_their_means() -> None:
    arm = ArmCounters("a", sent=3, failed=1, reward_sum=3.0, reward_n=2, latency_ms_sum=10.0)
    assert (arm.mean_reward, arm.mean_latency_ms) == (1.5, 5.0)
