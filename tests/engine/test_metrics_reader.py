"""The metrics reader against a real Prometheus that scrapes real exporters under Seldon's names."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.errors import Rejected, Unavailable
from services.metrics.door import PrometheusDoor
from services.metrics.model import Chart, ChartData, Series
from services.metrics.prometheus import MetricsReader
from tests.support.prometheus import (
    DEPLOYMENT,
    NAMESPACE,
    SCRAPE_S,
    GatewayExporter,
    SeldonExporter,
    running_prometheus,
)
from tests.support.waiting import free_port, free_ports, wait_until


@dataclass
class World:
    reader: MetricsReader
    url: str
    a: SeldonExporter
    a2: SeldonExporter
    b: SeldonExporter
    gateway: GatewayExporter

    def span(self, seconds: float = 120) -> tuple[datetime, datetime]:
        # A little ahead of now: charts are cut down to a whole step, and tests want the newest point.
        end = datetime.now(UTC) + timedelta(seconds=1)
        return end - timedelta(seconds=seconds), end

    def chart(self, kind: Chart, **more: object) -> ChartData:
        return self.reader.chart(kind, NAMESPACE, DEPLOYMENT, *self.span(), **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = free_ports(4)
    a, a2, b = (SeldonExporter(port, arm).start() for port, arm in zip(ports, "aab", strict=False))
    gateway = GatewayExporter(ports[3])
    labels = {"namespace": NAMESPACE, "deployment_name": DEPLOYMENT}
    targets = {
        ports[0]: {**labels, "predictor_name": "a", "replica": "1-0"},
        ports[1]: {**labels, "predictor_name": "a", "replica": "1-1"},
        ports[2]: {**labels, "predictor_name": "b", "replica": "1-0"},
        ports[3]: {"part": "gateway"},
    }
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), targets) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S)
        yield World(reader, prometheus.url, a, a2, b, gateway)
    for exporter in (a, a2, b, gateway):
        exporter.stop()


def _line(data: ChartData, label: str) -> Series | None:
    return next((s for s in data.series if s.label == label), None)


def _newest(data: ChartData, label: str) -> float | None:
    line = _line(data, label)
    known = [v for v in line.values if v is not None] if line else []
    return known[-1] if known else None


def test_before_any_traffic_every_answer_is_empty_not_zero(world):
    reader = world.reader
    reader.ping()
    for kind in Chart:
        data = reader.chart(kind, NAMESPACE, "nobody", *world.span())
        assert data.empty
        assert data.series == ()
    tiles = reader.tiles(NAMESPACE, "nobody", 60)
    assert (tiles.n, tiles.rate, tiles.success_ratio, tiles.rate_now) == (0, None, None, None)
    assert reader.totals(NAMESPACE, "nobody", *world.span()) == []
    assert reader.router_counts(NAMESPACE, "nobody", datetime.now(UTC) - timedelta(seconds=60)) == {}
    assert reader.last_sample(NAMESPACE, "nobody") is None


def test_traffic_of_two_arms_and_two_replicas(world):
    started = datetime.now(UTC)
    # Counters that a rate can see must exist before they grow; totals must not need that.
    for arm in (world.a, world.a2, world.b):
        arm.predict(1)
        arm.reward(0.5)
    wait_until(lambda: _newest(world.chart(Chart.RPS), "b") is not None, what="the first samples")

    def busy() -> bool:
        world.a.predict(4, seconds=0.003)
        world.a2.predict(4, seconds=0.003)
        world.b.predict(2, seconds=0.03)
        world.a.reward(1.0)
        world.b.reward(0.25, 0.0)
        rps = world.chart(Chart.RPS)
        a, b = _newest(rps, "a"), _newest(rps, "b")
        both_replicas_of_a = a is not None and b is not None and b > 1 and a > 2 * b
        return both_replicas_of_a and bool(_newest(world.chart(Chart.REWARD), "b"))

    wait_until(busy, what="rates")
    rps = world.chart(Chart.RPS)
    assert {s.label for s in rps.series} == {"a", "b"}
    assert None in _line(rps, "a").values  # what came before the exporters is a gap
    assert len(_line(rps, "a").times) == len(_line(rps, "b").times)

    latency = world.chart(Chart.LATENCY, quantiles=(0.5, 0.95))
    assert {s.label for s in latency.series} == {"a p50", "a p95", "b p50", "b p95"}
    assert 2.5 <= _newest(latency, "a p50") <= 5
    assert 25 <= _newest(latency, "b p50") <= 50

    reward = world.chart(Chart.REWARD)
    assert _newest(reward, "a") == pytest.approx(1.0, abs=0.15)
    assert _newest(reward, "b") == pytest.approx(0.125, abs=0.1)  # zeros count

    errors = world.chart(Chart.ERRORS)
    assert _newest(errors, "a 4xx") == 0  # traffic without errors is a zero, not a gap

    # Everything the exporters counted since the start, as whole numbers.
    def settled() -> bool:
        totals = {t.predictor: t for t in world.reader.totals(NAMESPACE, DEPLOYMENT, started, world.span()[1])}
        mine = {
            "a": _exported(world.a, "_count", "predictions") + _exported(world.a2, "_count", "predictions"),
            "b": _exported(world.b, "_count", "predictions"),
        }
        assert all(totals[arm].requests <= mine[arm] for arm in mine)
        return all(totals[arm].requests == mine[arm] for arm in mine) and totals["b"].reward_sum > 0.5

    wait_until(settled, what="totals to reach what was counted")
    tiles = world.reader.tiles(NAMESPACE, DEPLOYMENT, 120, end=world.span()[1])
    assert tiles.success_ratio == 1
    assert tiles.rate_now is not None
    assert world.reader.rates_now().keys() == {(NAMESPACE, DEPLOYMENT)}


def _exported(exporter: SeldonExporter, suffix: str, service: str) -> float:
    name = f"seldon_api_executor_server_requests_seconds{suffix}"
    return sum(
        sample.value
        for metric in exporter.registry.collect()
        for sample in metric.samples
        if sample.name == name and sample.labels["service"] == service
    )


def test_a_single_error_is_counted_although_its_counter_was_never_zero(world):
    """Starts before a sample of code 500 exists, so that `rate` and `increase` would both miss it."""
    world.b.predict(1, code=500)
    world.b.predict(3, code=400)
    world.b.predict(5, code=503, service="feedback")  # not a prediction

    def seen() -> bool:
        tiles = world.reader.tiles(NAMESPACE, DEPLOYMENT, 60, end=world.span()[1])
        return tiles.rate_5xx == pytest.approx(1 / 60) and tiles.rate_4xx == pytest.approx(3 / 60)

    wait_until(seen, what="the errors in the tiles")
    totals = {t.predictor: t for t in world.reader.totals(NAMESPACE, DEPLOYMENT, *world.span(60))}
    assert (totals["a"].errors, totals["b"].errors) == (0, 4)


def test_a_restarted_server_loses_no_counts(world):
    def requests() -> int:
        totals = world.reader.totals(NAMESPACE, DEPLOYMENT, *world.span())
        return sum(t.requests for t in totals if t.predictor == "a")

    world.a.predict(1)
    world.a.predict(6)
    scraped = _exported(world.a, "_count", "predictions") + _exported(world.a2, "_count", "predictions")
    wait_until(lambda: requests() == scraped, what="the last scrape before the restart")
    world.a.restart()
    world.a.predict(2)
    wait_until(lambda: requests() == scraped + 2, what="the counts after the restart")


def test_router_counts_are_whole_and_leave_out_everything_but_the_split(world):
    split_a, split_b = f"split|{NAMESPACE}|{DEPLOYMENT}|a", f"split|{NAMESPACE}|{DEPLOYMENT}|b"
    world.gateway.send(split_a, 1000)
    long_ago = datetime.now(UTC) - timedelta(seconds=60)
    wait_until(
        lambda: world.reader.router_counts(NAMESPACE, DEPLOYMENT, long_ago) == {"a": 0},
        what="the counter's first scrape",
    )
    since = datetime.now(UTC)
    wait_until(lambda: world.reader.router_counts(NAMESPACE, DEPLOYMENT, since) == {"a": 0}, what="a scrape")
    world.gateway.send(split_a, 80)
    world.gateway.send(split_b, 20)  # an arm that is new since then
    world.gateway.send(f"pin|{NAMESPACE}|{DEPLOYMENT}|a", 500)
    world.gateway.send(f"split|{NAMESPACE}|{DEPLOYMENT}-two|a", 500)
    wait_until(lambda: world.reader.router_counts(NAMESPACE, DEPLOYMENT, since) == {"a": 80, "b": 20}, what="the split")


def test_last_sample_is_recent(world):
    last = world.reader.last_sample(NAMESPACE, DEPLOYMENT)
    assert last is not None
    assert abs(datetime.now(UTC) - last) < timedelta(minutes=1)


def test_nothing_listening_is_unavailable():
    with pytest.raises(Unavailable, match="Prometheus does not answer"):
        MetricsReader(f"http://127.0.0.1:{free_port()}", SCRAPE_S).ping()


def test_a_password_in_the_address_stays_out_of_errors():
    with pytest.raises(Unavailable, match=r"//\*\*\*@127") as raised:
        MetricsReader(f"http://ada:secret@127.0.0.1:{free_port()}", SCRAPE_S).ping()
    assert "secret" not in str(raised.value)


def test_a_query_that_prometheus_refuses_comes_back_in_its_words(world):
    with pytest.raises(Rejected) as caught:
        PrometheusDoor(world.url, 3).instant("sum(", datetime.now(UTC))
    assert caught.value.status == 400
    assert "parse error" in caught.value.words


def test_a_prometheus_that_hangs_is_waited_for_once(tmp_path):
    with running_prometheus(tmp_path, {}) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S)
        os.kill(prometheus.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: _stands_still(prometheus.pid), what="every thread of Prometheus to stand still")
            with pytest.raises(Unavailable, match=r"no answer from .* within 1\.2 s"):
                reader.tiles(NAMESPACE, DEPLOYMENT, 60)
            # The rest of the page is told at once: nothing is sent, so nothing could have run out of time.
            asked = _unanswered(prometheus.url)
            for kind in Chart:
                with pytest.raises(Unavailable, match=r"no answer from .* within 1\.2 s"):
                    reader.chart(kind, NAMESPACE, DEPLOYMENT, *_last_minute())
            assert _unanswered(prometheus.url) <= asked
        finally:
            os.kill(prometheus.pid, signal.SIGCONT)
        wait_until(lambda: _pings(reader), what="Prometheus to answer again")
        assert reader.totals(NAMESPACE, DEPLOYMENT, *_last_minute()) == []


def _last_minute() -> tuple[datetime, datetime]:
    end = datetime.now(UTC)
    return end - timedelta(seconds=60), end


def _pings(reader: MetricsReader) -> bool:
    try:
        reader.ping()
    except Unavailable:
        return False
    return True


def _stands_still(pid: int) -> bool:
    """Whether the stop has reached every thread: until then one may answer."""
    states = [
        task.joinpath("stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


def _unanswered(url: str) -> int:
    """Connections to Prometheus that exist, as the kernel lists them."""
    port = f":{int(url.rpartition(':')[2]):04X} "
    return sum(port in line for line in Path("/proc/net/tcp").read_text().splitlines())


class _SomethingElse(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *args: object) -> None:
        pass


def test_another_program_on_the_port_is_named_as_such():
    server = HTTPServer(("127.0.0.1", 0), _SomethingElse)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(Unavailable, match="is not Prometheus"):
            MetricsReader(f"http://127.0.0.1:{server.server_port}", SCRAPE_S).ping()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_history_of_the_counters_adds_up_to_what_was_counted(world):
    world.gateway.send(f"split|{NAMESPACE}|{DEPLOYMENT}|b", 7)
    world.b.reward(0.5, 0.25, 0.25, 0.0)
    started = datetime.now(UTC) - timedelta(minutes=4)

    def counted(metric: str) -> float:
        samples = [s for family in world.b.registry.collect() for s in family.samples if s.name == metric]
        return sum(sample.value for sample in samples)

    def whole() -> bool:
        found = world.reader.history(NAMESPACE, DEPLOYMENT, started, world.span()[1])
        return found.of(found.feedback, "b").sum() == counted("seldon_api_model_feedback_total")

    wait_until(whole, what="the history to reach what was counted")
    found = world.reader.history(NAMESPACE, DEPLOYMENT, started, world.span()[1])
    assert found.of(found.rewards, "b").sum() == pytest.approx(counted("seldon_api_model_feedback_reward_total"))
    assert found.of(found.routed, "b").sum() >= 7
