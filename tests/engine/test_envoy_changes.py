"""Changing what the gateway does while it is busy: nothing fails, and what was asked is what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.domain import Split
from services.runtime.envoy.model import GatewayDeployment, GatewayPredictor, Upstream
from tests.support.gateway import Gateway, arm, load, wine
from tests.support.upstreams import StandIn
from tests.support.waiting import free_port, wait_until


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[StandIn, StandIn, StandIn]]:
    with StandIn("a") as a, StandIn("b") as b, StandIn("c") as c:
        yield a, b, c


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path) as gateway:
        yield gateway


def test_the_split_moves_under_load_without_a_failure(
    gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]
) -> None:
    a, b, _ = servers
    gateway.serve(wine(arm("a", 100, a), arm("b", 0, b)))
    with load(gateway, clients=4) as running:
        for share in (100, 0, 100):
            gateway.route(wine(arm("a", 100 - share, a), arm("b", share, b)))
            in_force = time.monotonic()
            assert gateway.admin.split_in_force("seldon", "wine") == Split((("a", 100 - share), ("b", share)))
            wait_until(lambda since=in_force: running.ok_since(since) > 200, what="requests on the new split")
            moved = time.monotonic()
            wanted = "b" if share else "a"
            # What was sent before the worker took the new routes may still come from the old arm; nothing later.
            stragglers = [x for x in running.answers if in_force < x.began < moved and x.predictor != wanted]
            settled = [x for x in running.answers if x.began < moved][-100:]
            assert len(stragglers) <= 4, "at most one request per client"
            assert {x.predictor for x in settled} == {wanted}
    assert running.failed == []


def test_small_moves_keep_every_request(gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]) -> None:
    a, b, _ = servers
    gateway.serve(wine(arm("a", 100, a), arm("b", 0, b)))
    with load(gateway, clients=4) as running:
        for share in range(5, 105, 5):
            gateway.route(wine(arm("a", 100 - share, a), arm("b", share, b)))
    assert running.failed == []
    assert len(running.answers) > 100


def test_endpoints_are_replaced_under_load_without_a_failure(
    gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]
) -> None:
    old, new, _ = servers
    gateway.serve(wine(arm("a", 100, old)))
    with load(gateway, clients=4, x_test_delay_s="0.02") as running:
        for server, gone in ((new, old), (old, new), (new, old)):
            gateway.serve(wine(arm("a", 100, server)))
            wait_until(lambda u=gone.upstream: gateway.admin.in_flight().get(u, 0) == 0, what="the old to be drained")
            gone.forget()
            swapped = time.monotonic()
            wait_until(lambda since=swapped: running.ok_since(since) > 50, what="the new one to serve")
            assert gone.seen() == [], "nothing goes to an endpoint that is gone"
    assert running.failed == []


def test_replicas_come_and_go_under_load_without_a_failure(
    gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]
) -> None:
    one, two, three = servers
    gateway.serve(wine(arm("a", 100, one)))
    with load(gateway, clients=4) as running:
        for replicas in ((one, two), (one, two, three), (two, three), (one,)):
            for server in servers:
                server.forget()
            gateway.serve(wine(arm("a", 100, *replicas)))
            changed = time.monotonic()
            wait_until(lambda since=changed: running.ok_since(since) > 100, what="requests")
            assert all(server.seen() for server in replicas)
    assert running.failed == []


def test_counters_go_on_when_endpoints_change(gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]) -> None:
    old, new, _ = servers
    gateway.serve(wine(arm("a", 100, old)))
    gateway.count_arms(20)
    gateway.serve(wine(arm("a", 100, new)))
    gateway.count_arms(20)
    text = httpx.get(f"http://127.0.0.1:{gateway.settings.gateway_stats_port}/stats/prometheus").text
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="split|seldon|wine|a"} 40\n' in text


def test_a_change_waits_for_the_new_endpoints_to_be_checked(
    gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]
) -> None:
    """A new endpoint that hangs holds the change back; the old one serves on meanwhile."""
    old, new, _ = servers
    gateway.serve(wine(arm("a", 100, old)))
    with load(gateway, clients=2) as running:
        new.pause()
        try:
            gateway.serve(wine(arm("a", 100, old, new)), healthy=False)
            assert gateway.admin.healthy_upstreams("split|seldon|wine|a") == {old.upstream}
        finally:
            new.resume()
        wait_until(gateway.all_healthy, what="the new one to be taken in")
    assert running.failed == []


def test_deployments_come_and_go_beside_a_busy_one(gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]) -> None:
    a, b, _ = servers
    busy = wine(arm("a", 100, a))
    gateway.serve(busy)
    with load(gateway, clients=2) as running:
        for number in range(5):
            other = GatewayDeployment("seldon", f"other-{number}", (arm("x", 100, b),))
            gateway.serve(busy, other)
            assert gateway.post(f"/seldon/seldon/other-{number}/api/v1.0/predictions").json()["name"] == "b"
            assert gateway.admin.splits().keys() == {"seldon/wine", f"seldon/other-{number}"}
            gateway.route(busy)
            gateway.serve(busy)
            assert gateway.post(f"/seldon/seldon/other-{number}/api/v1.0/predictions").status_code == 404
            assert gateway.admin.clusters() == {"split|seldon|wine|a", "pin|seldon|wine|a"}
    assert running.failed == []


def test_a_removed_deployment_finishes_what_it_was_doing(
    gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]
) -> None:
    a, _, _ = servers
    a.forget()
    gateway.serve(wine(arm("a", 100, a)))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(gateway.post, headers={"x-test-delay-s": "2"})
        wait_until(lambda: a.seen(), what="the request to arrive")
        gateway.route()
        gateway.serve()
        assert slow.result().status_code == 200


def test_many_deployments_fit(gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]) -> None:
    """More than the 128 file watches that a user has: endpoints must not cost one each."""
    a, b, _ = servers
    many = [GatewayDeployment("seldon", f"d-{n}", (arm("a", 80, a), arm("b", 20, b))) for n in range(40)]
    gateway.serve(*many)
    assert len(gateway.admin.clusters()) == 160
    assert gateway.admin.split_in_force("seldon", "d-39") == Split((("a", 80), ("b", 20)))
    assert gateway.post("/seldon/seldon/d-39/api/v1.0/predictions").status_code == 200
    listing = gateway.post("/nowhere").json()["status"]["info"]
    assert "/seldon/seldon/d-0/" in listing
    assert "/seldon/seldon/d-39/" in listing


def test_what_the_gateway_knows_is_read_back(gateway: Gateway, servers: tuple[StandIn, StandIn, StandIn]) -> None:
    a, b, _ = servers
    nobody = Upstream("127.0.0.1", free_port())
    halved = GatewayPredictor("b", 40, upstreams=(b.upstream, nobody))
    gateway.serve(wine(arm("a", 60, a), halved), healthy=False)
    admin = gateway.admin
    assert admin.version() == "1.40.0"
    assert admin.split_in_force("seldon", "wine") == Split((("a", 60), ("b", 40)))
    assert admin.split_in_force("seldon", "vine") is None
    assert admin.known_upstreams("pin|seldon|wine|b") == {b.upstream, nobody}
    assert admin.known_upstreams("pin|seldon|wine|z") == set()
    for cluster in ("split|seldon|wine|b", "pin|seldon|wine|b"):
        wait_until(lambda name=cluster: admin.healthy_upstreams(name) == {b.upstream}, what="the dead one to be out")
    assert "gateway-admin" not in admin.clusters()
