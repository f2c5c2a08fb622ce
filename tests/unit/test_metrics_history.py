"""Counter samples on a grid become growth per interval, whatever restarts and gaps lie between."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from services.metrics import queries
from services.metrics.history import CounterHistory, read_history

START, STEP_S = 1_700_000_000, 10


class Samples:
    """What Prometheus would answer: rows by metric name, each with values at grid points counted from START."""

    def __init__(self, **rows: list[tuple[dict[str, str], dict[int, float]]]) -> None:
        self._rows = rows

    def range(self, promql: str, start: datetime, end: datetime, step_s: int) -> list[dict[str, object]]:
        kind = {queries.REWARD: "reward", queries.FEEDBACK: "feedback"}
        name = next((kind[metric] for metric in kind if promql.startswith(metric)), "routed")
        return [
            {"metric": labels, "values": [[START + place * STEP_S, str(value)] for place, value in values.items()]}
            for labels, values in self._rows.get(name, [])
        ]


def history(steps: int, **rows: list[tuple[dict[str, str], dict[int, float]]]) -> CounterHistory:
    start, end = (datetime.fromtimestamp(START + place * STEP_S, UTC) for place in (0, steps))
    return read_history(Samples(**rows), "seldon", "wine", start, end, STEP_S)


def arm(name: str, replica: str = "0") -> dict[str, str]:
    return {"predictor_name": name, "instance": replica}


def test_growth_belongs_to_the_interval_in_which_it_was_seen():
    found = history(3, feedback=[(arm("a"), {-1: 5, 0: 7, 1: 10, 2: 10, 3: 14})],
                    reward=[(arm("a"), {-1: 2, 0: 3, 1: 4.5, 2: 4.5, 3: 6})])  # fmt: skip
    assert found.feedback["a"].tolist() == [3, 0, 4]
    assert found.rewards["a"].tolist() == [1.5, 0, 1.5]
    assert found.since.tolist() == [START, START + STEP_S, START + 2 * STEP_S]


def test_a_series_born_inside_began_at_zero_and_one_there_before_did_not():
    found = history(2, feedback=[(arm("a"), {1: 8, 2: 9}), (arm("b"), {0: 8, 1: 8, 2: 9})],
                    reward=[(arm("a"), {1: 4, 2: 5}), (arm("b"), {0: 4, 1: 4, 2: 5})])  # fmt: skip
    assert found.feedback["a"].tolist() == [8, 1]
    assert found.feedback["b"].tolist() == [0, 1]


def test_a_restart_takes_count_and_sum_together():
    """The count tells the restart: after it 5 feedbacks with 4.8 are new, though 4.8 is more than the 4.5 before."""
    found = history(2, feedback=[(arm("a"), {0: 9, 1: 5, 2: 6})], reward=[(arm("a"), {0: 4.5, 1: 4.8, 2: 5.8})])
    assert found.feedback["a"].tolist() == [5, 1]
    assert found.rewards["a"] == pytest.approx([4.8, 1.0])


def test_replicas_are_read_one_by_one_and_then_added():
    """On the sum of both, the restart of one replica would look like a small growth."""
    found = history(1, feedback=[(arm("a", "0"), {0: 100, 1: 3}), (arm("a", "1"), {0: 50, 1: 150})])
    assert found.feedback["a"].tolist() == [103]


def test_growth_over_a_gap_says_since_when_it_counts():
    found = history(4, routed=[({queries.GATEWAY_CLUSTER: "split|seldon|wine|b"}, {0: 1, 1: 2, 4: 8})])
    assert found.routed["b"].tolist() == [1, 0, 0, 6]
    assert found.since[3] == START + STEP_S


def test_without_any_sample_there_is_a_grid_of_nothing():
    found = history(3)
    assert found.intervals == 3
    assert np.all(found.of(found.feedback, "a") == 0)
