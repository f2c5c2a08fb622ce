"""A test that is older than what a real Prometheus keeps: samples of the past are backfilled, and it drops them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import sqlalchemy as sa

from services.domain import Deployment, Predictor
from services.evidence.database import open_database
from services.evidence.schema import ab_tests
from services.metrics.prometheus import MetricsReader
from services.metrics.symptoms import Fault
from services.verdict.model import Assessment, Call, Light
from services.verdict.rule import Decides, Rule
from services.verdict.service import Verdicts
from tests.support.prometheus import SCRAPE_S, backfill, running_prometheus
from tests.support.verdict_world import BOUNDED, check_of, open_world
from tests.support.waiting import wait_until

HOURS, STEP_S, BEFORE = 30, 240, 5_000
"""How long the arms have been watched, how often, and what they had been fed before that."""

REQUESTS = "seldon_api_executor_server_requests_seconds_count"
FEEDBACK, REWARDS = "seldon_api_model_feedback_total", "seldon_api_model_feedback_reward_total"
REWARD = {"a": 0.7, "b": 0.75}
STEPS = HOURS * 3600 // STEP_S


@pytest.fixture(scope="module")
def now() -> float:
    return time.time()


@pytest.fixture(scope="module")
def past(now: float, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 hours of two arms, of which a gets four rewards at each step and b one."""
    folder = tmp_path_factory.mktemp("past")
    times = [now - (STEPS - k) * STEP_S for k in range(STEPS + 1)]
    lines = ["# TYPE up gauge", *(f'up{{instance="10.0.0.1:9000",job="models"}} 1 {at:.3f}' for at in times)]
    target = 'instance="10.0.0.1:9000",job="models",namespace="seldon",deployment_name="wine"'
    one = {"a": 1.0, "b": 1.0}
    for name, each in ((REQUESTS, one), (FEEDBACK, one), (REWARDS, REWARD)):
        lines.append(f"# TYPE {name} unknown")
        more = ',service="predictions",code="200"' if name is REQUESTS else ""
        for arm, rate in (("a", 4), ("b", 1)):
            series = f'{name}{{{target},predictor_name="{arm}"{more}}}'
            lines += [f"{series} {(BEFORE + rate * k) * each[arm]:.4f} {at:.3f}" for k, at in enumerate(times)]
    backfill(folder, lines)
    return folder


@contextmanager
def keeping(past: Path, folder: Path, retention: str) -> Iterator[MetricsReader]:
    """A Prometheus with that past that keeps samples for so long; what is older it drops as it starts."""
    shutil.copytree(past / "data", folder / "data")
    with running_prometheus(folder, {}, retention=retention) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S)
        wait_until(lambda: reader.totals("seldon", "wine", at(time.time() - 600), at(time.time())), what="the past")
        yield reader


@pytest.fixture(scope="module")
def short(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsReader]:
    with keeping(past, tmp_path_factory.mktemp("short"), "12h") as reader:
        yield reader


@pytest.fixture(scope="module")
def long(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsReader]:
    with keeping(past, tmp_path_factory.mktemp("long"), "40h") as reader:
        yield reader


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def fed(reader: MetricsReader, start: datetime, end: datetime) -> dict[str, int]:
    found = reader.history("seldon", "wine", start, end)
    return {arm: round(float(n.sum())) for arm, n in found.feedback.items()}


def assess(folder: Path, reader: MetricsReader, began: datetime) -> Assessment:
    """Of a test that began then, under a rule that lets live traffic name the winner."""
    world = open_world(folder)
    test = world.begin(Rule(reward=BOUNDED, decides=Decides.LIVE))
    database = open_database(f"sqlite:///{folder / 'decant.db'}")
    with database.begin() as connection:
        connection.execute(sa.update(ab_tests).where(ab_tests.c.id == test.id).values(started_at=began))
    database.dispose()
    return Verdicts(replace(world.verdicts._sources, metrics=reader)).assess("seldon", "wine")


def test_what_is_held_from_the_beginning_is_whole(long: MetricsReader, now: float, tmp_path: Path) -> None:
    began = at(now - (HOURS - 2) * 3600)
    kept = long.kept(began)
    assert kept.whole and kept.retention in ("40h", "1d16h")
    assert kept.soon == began + timedelta(hours=40)  # 12 hours ahead
    steps = (HOURS - 2) * 3600 // STEP_S
    assert fed(long, began, at(now)) == {"a": 4 * steps, "b": steps}
    found = assess(tmp_path, long, began)
    check = check_of(found, "beginning")
    assert check.light is Light.AMBER and "will outlast Prometheus' retention" in check.sentence
    assert found.live is not None and (found.live.n_a, found.live.n_b) == (4 * steps, steps)
    assert long.kept(at(now - 3600)).soon is None


def test_a_beginning_that_was_dropped_is_found_out(short: MetricsReader, now: float, tmp_path: Path) -> None:
    began = at(now - (HOURS - 2) * 3600)
    kept = short.kept(began)
    assert kept.forgotten and kept.retention == "12h"
    # Whole blocks are dropped, of two hours and more: some that are older stay.
    assert at(now - 24 * 3600) < kept.since < at(now - 11 * 3600)
    steps = (now - kept.since.timestamp()) / STEP_S
    counted = fed(short, kept.since, at(now))
    assert counted["b"] == pytest.approx(steps, abs=1.5) and counted["a"] == pytest.approx(4 * steps, abs=6)
    assert fed(short, began, at(now))["b"] > BEFORE, "read from the beginning, what is left would look like growth"

    found = assess(tmp_path, short, began)
    check = check_of(found, "beginning")
    assert (check.light, found.call) == (Light.RED, Call.DISTRUST)
    assert "it keeps samples for 12h" in check.sentence
    assert found.live is not None and found.live.interval is None
    assert found.live.n_b == pytest.approx(steps, abs=3)


def test_totals_of_a_window_that_was_dropped_in_part_leave_out_what_was_before(
    short: MetricsReader, long: MetricsReader, now: float
) -> None:
    hours = HOURS - 2
    start, end = at(now - hours * 3600), at(now)

    def n(reader: MetricsReader) -> dict[str, int]:
        return {t.predictor: t.feedback for t in reader.totals("seldon", "wine", start, end)}

    steps = hours * 3600 // STEP_S
    assert n(long) == {"a": pytest.approx(4 * steps, abs=24), "b": pytest.approx(steps, abs=6)}
    left = (now - short.kept(start).since.timestamp()) / STEP_S
    assert n(short) == {"a": pytest.approx(4 * left, abs=30), "b": pytest.approx(left, abs=8)}


def test_a_younger_test_is_not_touched(short: MetricsReader, now: float, tmp_path: Path) -> None:
    began = at(now - 2 * 3600)
    assert short.kept(began).whole and short.kept(began).soon is None
    assert "beginning" not in [check.key for check in assess(tmp_path, short, began).checks]


def test_a_prometheus_that_came_later_has_not_forgotten(past: Path, now: float, tmp_path: Path) -> None:
    with keeping(past, tmp_path, "15d") as reader:
        kept = reader.kept(at(now - (HOURS + 10) * 3600))
        assert not kept.whole and not kept.forgotten
        assert abs(kept.since - at(now - HOURS * 3600)) < timedelta(minutes=2)


def test_one_that_does_not_say_how_long_it_keeps_is_asked_for_its_oldest_sample(
    short: MetricsReader, now: float
) -> None:
    """As Thanos, Mimir and proxies do: queries, and nothing of the server itself."""
    upstream = httpx.Client(base_url=short.base_url, timeout=10)

    class QueriesOnly(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there = self.path.startswith("/api/v1/query")
            answer = upstream.get(self.path) if there else None
            self.send_response(answer.status_code if answer else 404)
            self.end_headers()
            self.wfile.write(answer.content if answer else b"404 page not found")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), QueriesOnly)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        reader = MetricsReader(f"http://127.0.0.1:{server.server_port}", SCRAPE_S)
        began = at(now - (HOURS - 2) * 3600)
        kept, said = reader.kept(began), short.kept(began)
        assert kept.forgotten and kept.retention == ""
        assert abs(kept.since - said.since) < timedelta(minutes=1)
        assert reader.kept(at(now - 2 * 3600)).whole
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        upstream.close()


def test_the_check_of_the_metrics_tells_it(short: MetricsReader, long: MetricsReader, now: float) -> None:
    arms = (Predictor("a", "models:/m-1", 80), Predictor("b", "models:/m-2", 20))
    wine = Deployment("seldon", "wine", arms)

    def faults(reader: MetricsReader, hours: float | None) -> set[Fault]:
        return {s.fault for s in reader.examine(wine, None if hours is None else at(now - hours * 3600))}

    told = {Fault.FORGOTTEN, Fault.FORGETS_SOON}
    assert Fault.FORGOTTEN in faults(short, HOURS - 2)
    assert Fault.FORGETS_SOON in faults(long, HOURS - 2)
    assert not told & (faults(short, 2) | faults(long, 2) | faults(short, None))
