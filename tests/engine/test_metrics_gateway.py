"""What the gateway sent to each arm, counted by a real Envoy, scraped by a real Prometheus, read back whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.metrics.model import Chart
from services.metrics.prometheus import MetricsReader
from tests.support.gateway import FEEDBACK, PREDICT, Gateway, arm, wine
from tests.support.prometheus import SCRAPE_S, SeldonExporter, running_prometheus
from tests.support.upstreams import StandIn
from tests.support.waiting import free_port, wait_until


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with StandIn("a") as a, StandIn("b") as b, Gateway(tmp_path / "gateway") as gateway:
        gateway.serve(wine(arm("a", 80, a), arm("b", 20, b)))
        yield gateway


def test_router_counts_are_what_the_gateway_sent(gateway: Gateway, tmp_path: Path) -> None:
    stats = {gateway.settings.gateway_stats_port: {"__metrics_path__": "/stats/prometheus"}}
    with running_prometheus(tmp_path, stats) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S)
        since = datetime.now(UTC)

        def counted() -> dict[str, int]:
            return reader.router_counts("seldon", "wine", since)

        wait_until(lambda: counted() == {"a": 0, "b": 0}, what="the first scrape")
        sent = gateway.count_arms(200, PREDICT)
        for _ in range(5):
            gateway.post(PREDICT, headers={"x-decant-predictor": "b"})  # pinned: not the split's doing
            gateway.post(FEEDBACK)
        wait_until(lambda: counted() == dict(sent), what=f"the split {dict(sent)}")

        gateway.kill()
        gateway.start()
        wait_until(gateway.all_healthy, what="the arms to be healthy again")
        again = gateway.count_arms(50, PREDICT)
        wait_until(lambda: counted() == dict(sent + again), what="the counts after the gateway's restart")


def test_errors_that_the_gateway_makes_itself_are_counted_once(tmp_path: Path) -> None:
    """Arm b goes down: its requests reach no model server, and its clients get the gateway's 503."""
    port = free_port()
    server = SeldonExporter(port, "a").start()
    targets = {port: {"namespace": "seldon", "deployment_name": "wine", "predictor_name": "a"}}
    with StandIn("a") as a, StandIn("b") as b, Gateway(tmp_path / "gateway") as gateway:
        gateway.serve(wine(arm("a", 50, a), arm("b", 50, b)))
        targets[gateway.settings.gateway_stats_port] = {"__metrics_path__": "/stats/prometheus"}
        with running_prometheus(tmp_path, targets) as prometheus:
            reader = MetricsReader(prometheus.url, SCRAPE_S)
            since = datetime.now(UTC)
            wait_until(lambda: reader.router_counts("seldon", "wine", since) == {"a": 0, "b": 0}, what="a scrape")
            b.kill()
            sent = gateway.count_arms(40)
            assert sent["503"] and not sent["b"]
            server.predict(sent["a"])  # what the model server behind the stand-in would have counted
            server.predict(3)  # pinned ones, which the split does not see

            def counted() -> dict[str, tuple[int, int]]:
                totals = reader.totals("seldon", "wine", since, datetime.now(UTC) + timedelta(seconds=1))
                return {t.predictor: (t.requests, t.errors) for t in totals}

            expected = {"a": (sent["a"] + 3, 0), "b": (sent["503"], sent["503"])}
            wait_until(lambda: counted() == expected, what=f"the counts {expected}")
            n = 43
            for namespace, name in (("seldon", "wine"), (None, None)):
                tiles = reader.tiles(namespace, name, 60)
                assert tiles.n == n
                assert tiles.success_ratio == pytest.approx(1 - sent["503"] / n)
                assert tiles.rate_5xx == pytest.approx(sent["503"] / 60)
                assert tiles.rate_4xx == 0

            def newest_errors() -> float:
                gateway.post()
                end = datetime.now(UTC) + timedelta(seconds=1)
                chart = reader.chart(Chart.ERRORS, "seldon", "wine", end - timedelta(seconds=60), end)
                lines = {s.label: [v for v in s.values if v is not None] for s in chart.series}
                return max(lines.get("b 5xx", []), default=0)

            wait_until(lambda: newest_errors() > 0, what="the errors of b on the chart")
            assert reader.rates_now()["seldon", "wine"] > 0
    server.stop()
