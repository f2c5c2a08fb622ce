"""Whose counters say what the split sent where: Istio's ingress gateway on a cluster, or nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.metrics.prometheus import MetricsReader
from services.metrics.queries import Labels, Router
from tests.support.prometheus import DEPLOYMENT, NAMESPACE, SCRAPE_S, TextExporter, running_prometheus
from tests.support.waiting import free_port, wait_until


def _sent(service: str, count: int, *, by: str = "istio-ingressgateway", reporter: str = "source") -> str:
    labels = f'reporter="{reporter}",source_workload="{by}",destination_service_namespace="{NAMESPACE}"'
    return f'istio_requests_total{{{labels},destination_service_name="{service}",response_code="200"}} {count}\n'


def _proxy(a: int, b: int) -> str:
    """What proxies show: through the ingress, pinned by Decant, seen at the destination, and of another deployment."""
    return (
        _sent(f"{DEPLOYMENT}-a", a)
        + _sent(f"{DEPLOYMENT}-b", b)
        + _sent(f"{DEPLOYMENT}-b", 5_000, by="decant-worker")
        + _sent(f"{DEPLOYMENT}-b", 5_000, reporter="destination")
        + _sent(f"{DEPLOYMENT}2-a", 5_000)
    )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, datetime]]:
    """A Prometheus that saw 80 requests to a and 20 to b since the time that is given."""
    port = free_port()
    exporter = TextExporter(port, _proxy(100, 100))
    with running_prometheus(tmp_path_factory.mktemp("istio"), {port: {}}) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S, labels=Labels(router=Router.ISTIO))
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        wait_until(lambda: reader.router_counts(NAMESPACE, DEPLOYMENT, long_ago), what="the first scrape")
        since = datetime.now(UTC)
        wait_until(lambda: reader.router_counts(NAMESPACE, DEPLOYMENT, since), what="a scrape since then")
        exporter.text = _proxy(180, 120)
        wait_until(
            lambda: sum(reader.router_counts(NAMESPACE, DEPLOYMENT, since).values()) == 100, what="what was sent since"
        )
        yield prometheus.url, since
    exporter.stop()


def test_istio_counts_what_its_ingress_gateway_sent_and_nothing_else(proxy: tuple[str, datetime]) -> None:
    url, since = proxy
    reader = MetricsReader(url, SCRAPE_S, labels=Labels(router=Router.ISTIO))
    assert reader.router_counts(NAMESPACE, DEPLOYMENT, since) == {"a": 80, "b": 20}


def test_the_history_of_the_split_is_istios(proxy: tuple[str, datetime]) -> None:
    url, since = proxy
    reader = MetricsReader(url, SCRAPE_S, labels=Labels(router=Router.ISTIO))
    history = reader.history(NAMESPACE, DEPLOYMENT, since, datetime.now(UTC))
    assert {arm: counts.sum() for arm, counts in history.routed.items()} == {"a": 80, "b": 20}


def test_without_an_ingress_that_is_counted_nothing_is_made_up(proxy: tuple[str, datetime]) -> None:
    url, since = proxy
    reader = MetricsReader(url, SCRAPE_S, labels=Labels(router=Router.NONE))
    assert reader.router_counts(NAMESPACE, DEPLOYMENT, since) == {}
    assert dict(reader.history(NAMESPACE, DEPLOYMENT, since, datetime.now(UTC)).routed) == {}
