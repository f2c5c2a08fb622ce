"""How long Prometheus remembers, in its words and in ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from services.metrics.door import PrometheusDoor
from services.metrics.retention import UNTOLD, Kept, going, lost, span_of, to_raise
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


@pytest.mark.parametrize(
    ("retention", "names", "not_"),
    [
        ("15d", ["DECANT_PROMETHEUS_RETENTION", "--storage.tsdb.retention.time"], "size"),
        ("15d or 10GiB", ["--storage.tsdb.retention.time and --storage.tsdb.retention.size"], "Thanos"),
        ("10GiB", ["--storage.tsdb.retention.size"], "Thanos"),
        ("", ["Thanos: --retention.resolution-raw", "Mimir: compactor_blocks_retention_period"], "--storage.tsdb"),
    ],
)
def test_what_to_raise_is_what_the_server_has(retention: str, names: list[str], not_: str) -> None:
    said = to_raise(Kept(START, START + timedelta(days=20), START + timedelta(days=5), retention, forgotten=True))
    assert all(name in said for name in names) and not_ not in said


def test_without_up_the_check_of_the_metrics_says_that_it_cannot_tell() -> None:
    kept = Kept(START, START + timedelta(days=20), START, untold=True)
    assert symptoms(kept) == [(Fault.NO_UP, UNTOLD)]


def test_how_long_samples_are_kept_is_asked_once_and_silence_is_no_answer() -> None:
    answers = [(503, ""), (200, json.dumps({"data": {"storageRetention": "15d"}})), (200, "{}")]

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        door = PrometheusDoor(f"http://127.0.0.1:{server.server_port}", 1)
        assert [door.retention() for _ in range(4)] == ["", "15d", "15d", "15d"]
        assert len(answers) == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
