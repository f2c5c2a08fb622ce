"""Where what Prometheus holds begins: found again at every look, and not sought at every look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.metrics import queries
from services.metrics.beginnings import MOST_REMEMBERED, SCRAPES, Beginnings

START = datetime(2026, 11, 1, 9, 0, 0, 123_456, tzinfo=UTC)
DAY_S = 86_400
LOOKBACK_S = 300
SCRAPE_S = 15
POINTS = 11_000
"""Prometheus refuses queries with more."""


class Held:
    """A Prometheus that holds samples of `up` in `spells`, and counters in `counted`, in seconds after START."""

    def __init__(
        self, *spells: tuple[float, float], counted: tuple[float, float] | None = None, told: str = ""
    ) -> None:
        self.spells, self.counted, self.told = list(spells), counted, told
        self.evaluated = self.ranges = 0

    def retention(self) -> str:
        return self.told

    def instant(self, promql: str, at: datetime) -> list[dict[str, object]]:
        self.evaluated += 1
        seconds = (at - START).total_seconds()
        return [{"metric": {}, "value": [at.timestamp(), "3"]}] if self._holds(promql, seconds) else []

    def range(self, promql: str, start: datetime, end: datetime, step_s: int) -> list[dict[str, object]]:
        self.ranges += 1
        points = int((end - start).total_seconds() // step_s) + 1
        assert 0 < points <= POINTS
        self.evaluated += points
        first = (start - START).total_seconds()
        seen = [first + k * step_s for k in range(points) if self._holds(promql, first + k * step_s)]
        # Times are asked for and told in whole milliseconds.
        return [{"metric": {}, "values": [[round(START.timestamp() + s, 3), "3"] for s in seen]}] if seen else []

    def _holds(self, promql: str, at: float) -> bool:
        spells = self.spells if promql == queries.watched() else [self.counted] if self.counted else []
        return any(first <= at < last + LOOKBACK_S for first, last in spells)


def kept(held: Held, age_s: float, beginnings: Beginnings | None = None):  # type: ignore[no-untyped-def]
    beginnings = beginnings or Beginnings(held, queries.PLAIN, SCRAPE_S)  # type: ignore[arg-type]
    return beginnings.kept(START, START + timedelta(seconds=age_s))


@pytest.mark.parametrize("first", [4_000.0, 3 * DAY_S + 0.25, 20 * DAY_S - 700.5])
def test_the_oldest_sample_is_found_to_the_second_at_every_age(first: float) -> None:
    found = {kept(Held((first, 90 * DAY_S)), 20 * DAY_S + later).since for later in (0.0, 7.7, 3_601.3, 9 * DAY_S)}
    assert len(found) == 1, "it does not move while nothing is forgotten"
    oldest = found.pop() - timedelta(seconds=SCRAPES * SCRAPE_S)
    assert 0 <= (oldest - START).total_seconds() - first <= 1


def test_a_sample_that_is_newer_than_the_last_point_is_found() -> None:
    age = 20 * DAY_S + 17
    found = kept(Held((age - 20, 90 * DAY_S)), age)
    assert found.forgotten and found.since == START + timedelta(seconds=age), "two scrapes later is after now"


@pytest.mark.parametrize("spells", [[(-DAY_S, 90 * DAY_S)], [(60, 90 * DAY_S)], []])
def test_what_has_the_beginning_or_nothing_at_all_is_whole(spells: list[tuple[float, float]]) -> None:
    found = kept(Held(*spells), 3 * DAY_S)
    assert found.whole and not found.forgotten and not found.untold


def test_what_was_watched_before_the_test_was_away_and_has_not_forgotten() -> None:
    for before in ((-2_000, -1_000), (-9 * DAY_S, -5 * DAY_S)):
        found = kept(Held(before, (7_200, 90 * DAY_S)), 20 * DAY_S)
        assert not found.whole and not found.forgotten
    assert kept(Held((7_200, 90 * DAY_S)), 20 * DAY_S).forgotten


def test_a_look_costs_some_hundred_points_and_the_next_one_two() -> None:
    held = Held((3 * DAY_S, 90 * DAY_S))
    beginnings = Beginnings(held, queries.PLAIN, SCRAPE_S)  # type: ignore[arg-type]
    first = kept(held, 20 * DAY_S, beginnings)
    assert held.evaluated < 700
    held.evaluated = held.ranges = 0
    assert kept(held, 20 * DAY_S + 5, beginnings).since == first.since
    assert (held.evaluated, held.ranges) == (2, 0)


def test_what_is_forgotten_meanwhile_is_sought_anew() -> None:
    held = Held((3 * DAY_S, 90 * DAY_S))
    beginnings = Beginnings(held, queries.PLAIN, SCRAPE_S)  # type: ignore[arg-type]
    first = kept(held, 20 * DAY_S, beginnings)
    held.spells = [(4 * DAY_S, 90 * DAY_S)]
    assert kept(held, 20 * DAY_S + 5, beginnings).since == first.since + timedelta(days=1)


def test_a_beginning_that_is_forgotten_while_it_is_watched_is_found_at_once() -> None:
    held = Held((-DAY_S, 90 * DAY_S), told="15d")
    beginnings = Beginnings(held, queries.PLAIN, SCRAPE_S)  # type: ignore[arg-type]
    assert kept(held, 16 * DAY_S, beginnings).whole
    held.spells = [(DAY_S, 90 * DAY_S)]
    assert kept(held, 16 * DAY_S, beginnings).forgotten


def test_no_more_beginnings_are_remembered_than_so_many() -> None:
    held = Held((50 * DAY_S, 90 * DAY_S))
    beginnings = Beginnings(held, queries.PLAIN, SCRAPE_S)  # type: ignore[arg-type]
    for number in range(MOST_REMEMBERED + 9):
        beginnings.kept(START + timedelta(seconds=number), START + timedelta(days=60))
    assert len(beginnings._found) == MOST_REMEMBERED


def test_without_up_nobody_can_tell_unless_the_counters_go_back_to_the_beginning() -> None:
    age = 20 * DAY_S
    assert kept(Held(counted=(5 * DAY_S, 90 * DAY_S)), age).untold
    assert not kept(Held(counted=(-DAY_S, 90 * DAY_S)), age).untold
    assert not kept(Held((-DAY_S, 90 * DAY_S), counted=(5 * DAY_S, 90 * DAY_S)), age).untold
    assert not kept(Held(), age).untold
