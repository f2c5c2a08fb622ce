"""Which intervals of the counters a comparison of live traffic may use."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from services.domain import Split
from services.metrics.history import CounterHistory
from services.verdict.live import LiveIntervals, live_intervals, split_history

STEP_S = 10
MOSTLY_A, EVEN = Split.of({"a": 80, "b": 20}), Split.of({"a": 50, "b": 50})


def history(n_a: list[float], n_b: list[float]) -> CounterHistory:
    """Rewards are half the feedbacks for A and all of them for B; requests are twice the feedbacks."""
    edges = np.arange(len(n_a) + 1) * STEP_S + 1000.0
    a, b = np.array(n_a, dtype=float), np.array(n_b, dtype=float)
    return CounterHistory(
        edges, edges[:-1].copy(), {"a": a, "b": b}, {"a": a / 2, "b": b}, {"a": 2 * a, "b": 2 * b}, STEP_S, ""
    )


def usable(found: CounterHistory, splits=((0.0, MOSTLY_A),), guard_s=4.0, blind=()) -> LiveIntervals:
    return live_intervals(found, splits, "a", "b", guard_s, blind)


def test_every_interval_counts_while_the_split_stands():
    found = usable(history([8, 7, 9], [2, 3, 1]))
    assert found.n_a.tolist() == [8, 7, 9]
    assert found.s_b.tolist() == [2, 3, 1]
    assert found.routed_a.tolist() == [16, 14, 18]
    assert found.share_b.tolist() == [0.2] * 3
    assert found.ends.tolist() == [1010, 1020, 1030]
    assert found.changes == 0


def test_intervals_around_a_change_are_left_out():
    """The change at 1022 lies in the third interval, and within 4 s of the end of the second."""
    found = usable(history([8] * 6, [2] * 6), splits=((0.0, MOSTLY_A), (1022.0, EVEN)))
    assert found.ends.tolist() == [1010, 1040, 1050, 1060]
    assert found.share_b.tolist() == [0.2, 0.5, 0.5, 0.5]
    assert found.changes == 1


def test_growth_seen_after_a_gap_that_holds_a_change_is_left_out():
    found = history([8] * 6, [2] * 6)
    found.since[4] = 1010.0  # counted since before the change, seen long after it
    assert 1050 not in usable(found, splits=((0.0, MOSTLY_A), (1022.0, EVEN))).ends


def test_times_in_which_one_arm_got_everything_are_left_out():
    assert usable(history([8] * 4, [2] * 4), blind=[(1012.0, 1018.0)]).ends.tolist() == [1010, 1040]


def test_the_share_is_among_the_two_arms_that_are_compared():
    three = Split.of({"a": 30, "b": 10, "c": 60})
    assert usable(history([3], [1]), splits=((0.0, three),)).share_b.tolist() == [0.25]


def test_times_without_either_arm_carry_nothing():
    assert usable(history([3, 3], [1, 1]), splits=((0.0, Split.of({"c": 100})),)).ends.tolist() == []


def test_sparse_feedback_is_merged_until_b_has_one_an_interval():
    found = usable(history([4] * 8, [0, 0, 0, 1, 0, 0, 0, 1]))
    assert found.n_a.tolist() == [16, 16]
    assert found.n_b.tolist() == [1, 1]
    assert found.ends.tolist() == [1040, 1080]


def test_merging_stops_at_a_change():
    found = usable(history([4] * 8, [0, 1, 0, 0, 0, 0, 0, 1]), splits=((0.0, MOSTLY_A), (1035.0, EVEN)))
    assert set(zip(found.ends.tolist(), found.share_b.tolist(), strict=True)) >= {(1030, 0.2), (1080, 0.5)}
    assert found.n_a.sum() == pytest.approx(4 * 7)


def test_the_history_of_splits_begins_before_the_first_change():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert split_history([], EVEN) == [(0.0, EVEN)]
    assert split_history([(at, MOSTLY_A, EVEN)], EVEN) == [(0.0, MOSTLY_A), (at.timestamp(), EVEN)]
    assert split_history([(at, EVEN, EVEN)], EVEN) == [(0.0, EVEN)]  # only a model was replaced
    assert split_history([(at, None, EVEN)], EVEN) == [(0.0, Split(())), (at.timestamp(), EVEN)]


def test_nothing_is_known_of_the_time_before_a_change_that_found_another_split():
    """Somebody moved it unseen: neither what stood before nor what was found held all the while."""
    first, second = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    moved = Split.of({"a": 30, "b": 70})
    found = split_history([(first, MOSTLY_A, EVEN), (second, moved, MOSTLY_A)], MOSTLY_A)
    assert found == [(0.0, MOSTLY_A), (first.timestamp(), Split(())), (second.timestamp(), MOSTLY_A)]
    found = split_history([(first, MOSTLY_A, EVEN), (second, None, MOSTLY_A)], MOSTLY_A)
    assert found[1] == (first.timestamp(), Split(())), "it was gone for a while"
