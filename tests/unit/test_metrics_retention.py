"""How long Prometheus remembers, in its words and in ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.metrics.retention import Kept, going, lost, span_of
from services.metrics.symptoms import Fault, Found, recognise

START = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
SEEN = [({"predictor_name": "a", "instance": "10.0.0.1:8000", "job": "pods"}, [0.0])]


def symptoms(kept: Kept) -> list[tuple[Fault, str]]:
    found = recognise(
        Found(requests=SEEN, kept=kept),
        namespace="ns",
        deployment="wine",
        predictors=["a"],
        namespace_label="namespace",
        scrape_s=2,
    )
    assert not any(symptom.wrong for symptom in found), "missing is not wrong"
    return [(symptom.fault, symptom.sentence) for symptom in found]


@pytest.mark.parametrize(
    ("words", "days"),
    [("15d", 15), ("1w3d", 10), ("36h", 1.5), ("1y", 365), ("15d or 10GiB", 15), ("10GiB", None), ("", None)],
)
def test_a_retention_in_prometheus_words(words: str, days: float | None) -> None:
    assert span_of(words) == (None if days is None else timedelta(days=days))


@pytest.mark.parametrize(
    ("age_days", "said"),
    [
        (1, ""),
        (9, ""),
        (11, "This test will outlast Prometheus' retention of 15d on 12 December: its start will be lost then."),
        (16, "This test is older than Prometheus' retention of 15d: its start may be lost any time."),
    ],
)
def test_a_test_that_grows_old_is_told_before_it_hurts(age_days: int, said: str) -> None:
    kept = Kept(START, START + timedelta(days=age_days), START, "15d")
    assert going(kept) == said
    assert symptoms(kept) == ([(Fault.FORGETS_SOON, said)] if said else [])


@pytest.mark.parametrize("words", ["", "10GiB"])
def test_who_does_not_say_how_long_gives_no_warning(words: str) -> None:
    assert symptoms(Kept(START, START + timedelta(days=400), START, words)) == []


@pytest.mark.parametrize(
    ("retention", "forgotten", "why"),
    [
        ("15d", True, "it keeps samples for 15d"),
        ("", True, "it has forgotten them, or was not watching then"),
        ("15d", False, "it was not watching then, or has lost its data"),
    ],
)
def test_what_is_lost_says_since_when_and_why(retention: str, forgotten: bool, why: str) -> None:
    now = START + timedelta(days=20)
    kept = Kept(START, now, START + timedelta(days=5), retention, forgotten)
    assert lost(kept) == f"Prometheus holds no samples of this test from before 2 Dec 2026 09:00 UTC: {why}."
    assert symptoms(kept) == [(Fault.FORGOTTEN, f"{lost(kept)} What it had counted by then is missing.")]
