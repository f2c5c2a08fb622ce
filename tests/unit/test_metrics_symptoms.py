"""Faults of metrics that take long to come about, from recorded answers."""

from __future__ import annotations

from services.metrics.symptoms import Fault, Found, Symptom, recognise

A = {"predictor_name": "a", "instance": "10.0.0.1:8000", "job": "pods"}


def _recognise(found: Found, scrape_s: int = 2) -> list[Symptom]:
    return recognise(
        found, namespace="ns", deployment="wine", predictors=["a"], namespace_label="namespace", scrape_s=scrape_s
    )


def test_scrapes_slower_than_the_setting_say_what_to_set() -> None:
    times = [1000.0 + 30 * i for i in range(10)]
    (symptom,) = _recognise(Found(requests=[(A, times)]))
    assert symptom.fault is Fault.SLOW_SCRAPES
    assert "less than two scrapes" in symptom.sentence
    assert symptom.mend == "Set DECANT_SCRAPE_INTERVAL_S=30."
    assert _recognise(Found(requests=[(A, times)]), scrape_s=30) == []


def test_scrapes_slower_than_any_setting_are_to_be_made_faster() -> None:
    (symptom,) = _recognise(Found(requests=[(A, [90.0 * i for i in range(4)])]))
    assert symptom.mend.startswith("Have them scraped at least every 60 s")


def test_one_missed_scrape_is_no_slower_interval() -> None:
    assert _recognise(Found(requests=[(A, [0.0, 2.0, 4.0, 10.0, 12.0, 14.0])])) == []


def test_a_feedback_between_two_scrapes_is_no_dropped_reward() -> None:
    found = Found(requests=[(A, [0.0])], fed={"a": 104}, counted={"a": 100})
    assert _recognise(found) == []


def test_feedback_of_one_arm_that_was_counted_at_the_other_is_no_dropped_reward() -> None:
    found = Found(requests=[(A, [0.0])], fed={"a": 800, "b": 200}, counted={"a": 500, "b": 500})
    assert _recognise(found) == []


def test_an_empty_prometheus_is_told() -> None:
    (symptom,) = _recognise(Found())
    assert symptom.fault is Fault.NOTHING_WATCHED
    assert "DECANT_PROMETHEUS_MATCHERS" in symptom.mend


def test_a_namespace_that_no_label_holds_is_told() -> None:
    (symptom,) = _recognise(Found(elsewhere=[{"deployment_name": "wine", "job": "pods"}], others=3))
    assert symptom.fault is Fault.NAMESPACE_LABEL
    assert "no label of it says ns" in symptom.sentence


def test_two_replicas_with_the_same_counters_are_not_scraped_twice() -> None:
    assert _recognise(Found(requests=[(A, [0.0]), ({**A, "instance": "10.0.0.2:8000"}, [0.0])])) == []


def test_a_lowest_bucket_of_half_a_millisecond_hides_nothing_that_matters() -> None:
    assert _recognise(Found(requests=[(A, [0.0])], buckets={"a": {0.0005: 90.0, float("inf"): 100.0}})) == []
