"""Counter samples on a grid become growth per interval, whatever restarts and gaps lie between."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from services.metrics import queries
from services.metrics.history import CounterHistory, read_history
from services.metrics.queries import Selection

START, STEP_S = 1_700_000_000, 10

Rows = list[tuple[dict[str, str], dict[float, float]]]


class Samples:
    """What Prometheus would answer: rows by metric name, each with the values that queries would find.

    Their times are counted in steps from START: whole ones are points of the grid. `up` is asked for targets, and for
    whether anything was watched `before`.
    """

    def __init__(self, before: bool = False, **rows: Rows) -> None:
        self._rows = rows
        self._before = before

    def range(self, promql: str, start: datetime, end: datetime, step_s: int) -> list[dict[str, object]]:
        if promql == queries.watched():
            return [{"metric": {}, "values": [[end.timestamp(), "9"]]}] if self._before else []
        grid = np.arange(start.timestamp(), end.timestamp() + step_s / 2, step_s)
        found = [(labels, [[at, values[at]] for at in grid if at in values]) for labels, values in self._asked(promql)]
        return [{"metric": labels, "values": values} for labels, values in found if values]

    def instant(self, promql: str, at: datetime) -> list[dict[str, object]]:
        found = [(labels, values.get(at.timestamp())) for labels, values in self._asked(promql)]
        return [{"metric": labels, "value": [at.timestamp(), value]} for labels, value in found if value is not None]

    def _asked(self, promql: str) -> list[tuple[dict[str, str], dict[float, str]]]:
        kinds = {queries.REWARD: "reward", queries.FEEDBACK: "feedback", "up{": "up"}
        name = next((kind for start, kind in kinds.items() if promql.startswith(start)), "routed")
        return [
            (labels, {START + place * STEP_S: str(value) for place, value in values.items()})
            for labels, values in self._rows.get(name, [])
        ]


def between(first: float, last: float, before: bool = False, **rows: Rows) -> CounterHistory:
    start, end = (datetime.fromtimestamp(START + place * STEP_S, UTC) for place in (first, last))
    return read_history(Samples(before, **rows), Selection("seldon", "wine"), start, end, STEP_S)


def history(steps: int, **rows: Rows) -> CounterHistory:
    return between(0, steps, **rows)


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


def test_what_happens_between_an_end_and_the_grid_counts():
    """A replay that is over within seconds of the start of the test, and one that has just begun."""
    found = between(0.5, 2.5, routed=[({queries.GATEWAY_CLUSTER: "split|seldon|wine|b"}, {0.5: 9, 1: 1149, 2: 1149,
                                                                                      2.5: 1209})])  # fmt: skip
    assert (found.edges - START).tolist() == [5, 10, 20, 25]
    assert found.routed["b"].tolist() == [1140, 0, 60]
    assert found.since.tolist() == found.edges[:-1].tolist()


def test_a_time_within_one_step_is_one_interval():
    found = between(0.25, 0.75, feedback=[(arm("a"), {0: 1, 0.25: 5, 0.75: 45, 1: 99})])
    assert (found.edges - START).tolist() == [2.5, 7.5]
    assert found.feedback["a"].tolist() == [40]


def test_a_time_without_length_has_no_growth():
    found = between(0.5, 0.5, feedback=[(arm("a"), {0.5: 7})])
    assert found.feedback["a"].tolist() == [0]


def test_what_was_counted_before_the_start_stays_out():
    rows = [(arm("a"), {-1: 1, 0: 5, 0.5: 9, 2: 12}), (arm("b"), {-1: 0, 0: 3, 2: 7})]
    found = between(0.5, 2.5, feedback=rows, up=[(arm("b"), {0.5: 0})])
    assert found.feedback["a"].tolist() == [0, 3, 0]
    assert found.feedback["b"].tolist() == [0, 0, 0], "its target was down at the start: 7 is only where it stood"
    assert found.since[1] == START + 0.5 * STEP_S


@pytest.mark.parametrize(
    ("up", "before", "grown"),
    [
        pytest.param([], True, [0, 2], id="outage"),
        pytest.param([], False, [6, 2], id="prometheus is new"),
        pytest.param([({"instance": "0"}, {0: 1}), ({}, {0: 1})], True, [6, 2], id="series is new"),
        pytest.param([({"instance": "0"}, {0: 0}), ({}, {0: 1})], True, [0, 2], id="target was down"),
        pytest.param([({}, {0: 1})], True, [6, 2], id="target is new"),
    ],
)
def test_a_series_unseen_at_the_start_began_at_zero_unless_it_could_not_be_seen(up: Rows, before: bool, grown):
    gateway = {queries.GATEWAY_CLUSTER: "split|seldon|wine|a", "instance": "0"}
    found = between(0, 2, before, up=up, feedback=[(arm("a"), {1: 6, 2: 8})], reward=[(arm("a"), {1: 3, 2: 4})],
                    routed=[(gateway, {1: 6, 2: 8})])  # fmt: skip
    assert found.feedback["a"].tolist() == found.routed["a"].tolist() == grown
    assert found.rewards["a"].tolist() == [n / 2 for n in grown]
