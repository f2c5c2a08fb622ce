"""Numbers to text."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import format as fmt

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (math.nan, "—"),
        (math.inf, "∞"),
        (0, "0"),
        (0.01234, "0.0123"),
        (4.5, "4.5"),
        (80, "80"),
        (1234, "1,234"),
        (12345, "12.3 k"),
        (4_898_000, "4.9 M"),
        (1e247, "1e+247"),
        (-2.5, "−2.5"),
    ],
)
def test_numbers(value, text):
    assert fmt.number(value).replace(fmt.THIN, " ") == text


@pytest.mark.parametrize(
    ("values", "digits", "texts"),
    [
        ((0.71, 0.7096), 4, ["0.7100", "0.7096"]),
        ((6623, 14_563.2), 4, ["6,623", "14,563"]),
        ((-7652, 12.5), 3, ["−7,652", "12"]),
        ((500, 0.134), 4, ["500.00", "0.13"]),
        ((0.004, 0.0028, -0.0001), 3, ["0.0040", "0.0028", "−0.0001"]),
        ((0.5, 0.25, None), 3, ["0.50", "0.25", "—"]),
        ((1.0, 0.0), 4, ["1", "0"]),
        ((4_898_000, 1), 3, ["4.9 M", "1"]),
        ((math.inf, 0.5), 3, ["∞", "0.5"]),
        ((), 3, []),
    ],
)
def test_numbers_of_one_measure_have_the_same_number_of_decimals(values, digits, texts):
    assert [said.replace(fmt.THIN, " ") for said in fmt.alike(values, digits)] == texts


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_beside_each_other_are_all_short(values):
    assert all(0 < len(said) < 20 for said in fmt.alike(values))


def test_a_moment_has_its_date_and_zone():
    assert fmt.moment(NOW, ZoneInfo("Europe/Berlin")) == "1 Mar 2026 13:00 CET"
    assert fmt.moment(None) == "—"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_has_a_short_text(value):
    assert 0 < len(fmt.number(value)) < 16


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.8, "80 %"), (0.123456, "12.3 %"), (1, "100 %"), (0, "0 %"), (0.99999, "> 99.9 %"), (0.00001, "< 0.1 %")],
)
def test_percent_never_rounds_to_all_or_nothing(share, text):
    assert fmt.percent(share).replace(fmt.THIN, " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42 s"), (900, "15 min"), (3900, "1 h 5 min"), (180_000, "2 d 2 h"), (None, "—")]
)
def test_durations(seconds, text):
    assert fmt.duration(seconds).replace(fmt.THIN, " ") == text


def test_units_of_time_and_rates():
    assert fmt.latency(4.25).replace(fmt.THIN, " ") == "4.25 ms"
    assert fmt.latency(1234).replace(fmt.THIN, " ") == "1.23 s"
    assert fmt.rate(3.4) == "3.4/s"
    assert fmt.rate(None) == "—"
    assert fmt.count(4898) == "4,898"


@pytest.mark.parametrize(
    ("back", "text"), [(2, "just now"), (42, "42 s ago"), (300, "5 min ago"), (7200, "2 h ago"), (3 * 86400, "3 d ago")]
)
def test_ago(back, text):
    assert fmt.ago(NOW - timedelta(seconds=back), NOW).replace(fmt.THIN, " ") == text


def test_naive_times_are_utc():
    assert fmt.ago(NOW.replace(tzinfo=None), NOW) == "just now"


def test_the_clock_shows_the_persons_zone_and_the_date_when_it_is_another_day():
    zone = ZoneInfo("Europe/Berlin")
    assert fmt.clock(NOW, zone, NOW) == "13:00:00"
    assert fmt.clock(NOW - timedelta(days=1), zone, NOW) == "28 Feb 13:00"


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a-mlflow-deployment-dag", "b-mlflow-deployment-dag"], ["a", "b"]),
        (["a", "b"], ["a", "b"]),
        (["champion"], ["champion"]),
        (["x-y", "y"], ["x-y", "y"]),
        ([], []),
    ],
)
def test_arms_lose_the_ending_they_share(names, short):
    assert list(fmt.short_arms(names).values()) == short


@given(st.lists(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,3}", fullmatch=True), unique=True))
def test_short_names_stay_distinct(names):
    short = fmt.short_arms(names)
    assert len(set(short.values())) == len(names)
    assert all(short.values())


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_400_000, "3.4 MB"), (12 * 10**9, "12.0 GB")]
)
def test_amounts_of_bytes(count: int, text: str) -> None:
    assert fmt.size(count) == text
