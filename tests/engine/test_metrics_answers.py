"""How live requests were answered, read back from a real Prometheus: at Decant's gateway, Istio's, or the arms' own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.metrics.answers import AnswerHistory
from services.metrics.prometheus import MetricsReader
from services.metrics.queries import Labels, Router
from tests.support.gateway import PREDICT, Gateway, arm, wine
from tests.support.prometheus import DEPLOYMENT, NAMESPACE, SCRAPE_S, SeldonExporter, TextExporter, running_prometheus
from tests.support.upstreams import StandIn
from tests.support.waiting import free_port, wait_until

LIMIT_MS = 100.0


def counted(reader: MetricsReader, since: datetime) -> AnswerHistory:
    return reader.answers(NAMESPACE, DEPLOYMENT, since, datetime.now(UTC) + timedelta(seconds=1), LIMIT_MS)


def sums(found: AnswerHistory, arm_name: str) -> tuple[int, int, int, int]:
    """Answered, failed, timed and slow."""
    tables = (found.answered, found.failed, found.timed, found.slow)
    answered, failed, timed, slow = (round(float(found.of(table, arm_name).sum())) for table in tables)
    return answered, failed, timed, slow


def test_the_gateway_counts_what_the_split_sent_with_its_own_errors(tmp_path: Path) -> None:
    """Arm b goes down in the middle; rows pinned to an arm are no part of it."""
    with StandIn("a") as a, StandIn("b") as b, Gateway(tmp_path / "gateway") as gateway:
        gateway.serve(wine(arm("a", 50, a), arm("b", 50, b)))
        stats = {gateway.settings.gateway_stats_port: {"__metrics_path__": "/stats/prometheus"}}
        with running_prometheus(tmp_path, stats) as prometheus:
            reader = MetricsReader(prometheus.url, SCRAPE_S)
            since = datetime.now(UTC)
            wait_until(lambda: reader.router_counts("seldon", "wine", since) == {"a": 0, "b": 0}, what="a scrape")
            well = gateway.count_arms(40, PREDICT)
            for _ in range(5):
                gateway.post(PREDICT, headers={"x-decant-predictor": "b"})
            b.kill()
            ill = gateway.count_arms(40)
            assert ill["503"] and not ill["b"]

            of_a = well["a"] + ill["a"]
            wait_until(
                lambda: (
                    sums(counted(reader, since), "a") == (of_a, 0, of_a, 0)
                    and sums(counted(reader, since), "b")[:2] == (well["b"] + ill["503"], ill["503"])
                ),
                what="the answers of both arms",
            )
            found = counted(reader, since)
            assert found.divided and found.edge_ms == LIMIT_MS
            assert 0 < found.p95_ms["a"] < LIMIT_MS
            assert sums(found, "b")[3] == 0


def test_without_a_counted_gateway_the_arms_servers_stand_in(tmp_path: Path) -> None:
    port = free_port()
    server = SeldonExporter(port, "a").start()
    with running_prometheus(tmp_path, {port: {"namespace": NAMESPACE}}) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S, labels=Labels(router=Router.NONE))
        server.predict(7)
        wait_until(lambda: reader.last_sample(NAMESPACE, DEPLOYMENT), what="the first scrape")
        since = datetime.now(UTC)
        server.predict(30)
        server.predict(4, seconds=0.4)
        server.predict(2, code=500)
        wait_until(lambda: sums(counted(reader, since), "a") == (36, 2, 36, 4), what="the answers")
        found = counted(reader, since)
        assert not found.divided and found.edge_ms == LIMIT_MS
        near = reader.answers(NAMESPACE, DEPLOYMENT, since, datetime.now(UTC), 200.0)
        assert near.edge_ms == 250, "the nearest of its buckets"
    server.stop()


def _istio(service: str, answered: int, failed: int, slow: int, by: str = "istio-ingressgateway") -> str:
    labels = f'reporter="source",source_workload="{by}",destination_service_namespace="{NAMESPACE}"'
    labels += f',destination_service_name="{service}"'
    times = "istio_request_duration_milliseconds_bucket"
    return (
        f'istio_requests_total{{{labels},response_code="200"}} {answered - failed}\n'
        f'istio_requests_total{{{labels},response_code="503"}} {failed}\n'
        f'{times}{{{labels},response_code="200",le="100"}} {answered - slow}\n'
        f'{times}{{{labels},response_code="200",le="250"}} {answered}\n'
        f'{times}{{{labels},response_code="200",le="+Inf"}} {answered}\n'
    )


def _proxy(a: tuple[int, int, int], b: tuple[int, int, int]) -> str:
    pinned = _istio(f"{DEPLOYMENT}-b", 5000, 900, 900, by="decant-worker")
    return _istio(f"{DEPLOYMENT}-a", *a) + _istio(f"{DEPLOYMENT}-b", *b) + pinned


def test_istios_ingress_gateway_tells_failures_and_times(tmp_path: Path) -> None:
    port = free_port()
    exporter = TextExporter(port, _proxy((100, 5, 5), (100, 5, 5)))
    with running_prometheus(tmp_path, {port: {}}) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S, labels=Labels(router=Router.ISTIO))
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        wait_until(lambda: reader.router_counts(NAMESPACE, DEPLOYMENT, long_ago), what="the first scrape")
        since = datetime.now(UTC)
        wait_until(lambda: reader.router_counts(NAMESPACE, DEPLOYMENT, since), what="a scrape since then")
        exporter.text = _proxy((180, 6, 9), (120, 12, 7))
        wait_until(lambda: sums(counted(reader, since), "a") == (80, 1, 80, 4), what="the answers of a")
        found = counted(reader, since)
        assert sums(found, "b") == (20, 7, 20, 2)
        assert found.divided and found.edge_ms == LIMIT_MS
        assert 0 < found.p95_ms["a"] <= 250
    exporter.stop()
