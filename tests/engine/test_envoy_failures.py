"""What clients get when arms are down, slow, hung, killed, or asked for too much."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.errors import Unavailable
from services.runtime.envoy import command, prepare
from services.settings import Settings
from tests.support.gateway import PREDICT, Gateway, arm, load, wine
from tests.support.upstreams import StandIn
from tests.support.waiting import free_port, wait_until


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path) as gateway:
        yield gateway


def failure(answer: httpx.Response) -> dict[str, object]:
    """The inside of Seldon's error, after checking that it is one."""
    assert answer.headers["content-type"] == "application/json"
    status = answer.json()["status"]
    assert status["status"] == "FAILURE"
    assert status["code"] == answer.status_code
    assert status["info"]
    return dict(status)


def test_an_arm_without_replicas_is_a_503_that_names_it_and_the_other_serves_on(gateway: Gateway) -> None:
    with StandIn("a") as a:
        gateway.serve(wine(arm("a", 50, a), arm("b", 50)))
        answers = [gateway.post() for _ in range(40)]
        down = [answer for answer in answers if answer.status_code == 503]
        assert down, "with b down half of the requests fail: the split is not bent in silence"
        assert len(down) < len(answers)
        for answer in down:
            assert answer.headers["x-decant-predictor"] == "b"
            status = failure(answer)
            assert status["reason"] == "NO_READY_REPLICA"
            assert "Predictor b " in str(status["info"])


def test_all_arms_down_is_a_503(gateway: Gateway) -> None:
    gateway.serve(wine(arm("a", 50), arm("b", 50)))
    for path in (PREDICT, PREDICT.replace("predictions", "feedback")):
        answer = gateway.post(path)
        assert answer.status_code == 503
        assert failure(answer)["reason"] == "NO_READY_REPLICA"


def test_a_server_that_is_not_ready_gets_nothing_and_everything_soon_after(gateway: Gateway) -> None:
    with StandIn("a") as a:
        gateway.serve(wine(arm("a", 100, a)))
        a.set_ready(False)
        wait_until(lambda: gateway.post().status_code == 503, what="it to leave")
        a.forget()
        assert failure(gateway.post())["reason"] == "NO_READY_REPLICA"
        assert a.seen() == [], "with no server ready, none is asked anyway"
        a.set_ready(True)
        wait_until(lambda: gateway.post().status_code == 200, what="it to come back")


def test_routes_before_their_clusters_are_a_503_that_says_try_again(gateway: Gateway) -> None:
    gateway.route(wine(arm("a", 100)))
    status = failure(gateway.post())
    assert status["reason"] == "PREDICTOR_NOT_LOADED"
    assert status["code"] == 503


def test_a_killed_replica_loses_only_what_it_was_working_on(gateway: Gateway) -> None:
    with StandIn("a") as one, StandIn("a") as two:
        gateway.serve(wine(arm("a", 100, one, two)))
        with load(gateway, clients=6, x_test_delay_s="0.01") as running:
            killed = time.monotonic()
            one.kill()
            dead = time.monotonic()
            wait_until(lambda: running.ok_since(dead) > 300, what="the sibling to serve")
            wait_until(lambda: not gateway.all_healthy(), what="the dead one to be out")
            one.start()
            wait_until(gateway.all_healthy, what="it to be back")
            wait_until(lambda: len(one.seen()) > 50, what="it to share the load again")
        assert len(running.failed) <= 6, "at most the requests in flight"
        assert all(answer.began <= dead and answer.ended >= killed for answer in running.failed)


def test_a_hung_replica_leaves_and_its_sibling_serves(gateway: Gateway) -> None:
    with StandIn("a") as one, StandIn("a") as two:
        gateway.serve(wine(arm("a", 100, one, two)))
        with load(gateway, clients=6) as running:
            one.pause()
            paused = time.monotonic()
            wait_until(lambda: running.ok_since(paused) > 300, what="the sibling to serve, hung requests or not")
            wait_until(lambda: not gateway.all_healthy(), what="the hung one to be out")
            one.resume()
            wait_until(gateway.all_healthy, what="it to be back")
        assert running.failed == []


def test_a_lone_arm_comes_back_after_a_kill(gateway: Gateway) -> None:
    with StandIn("a") as a:
        gateway.serve(wine(arm("a", 100, a)))
        with load(gateway, clients=2) as running:
            a.kill()
            wait_until(lambda: any(x.status == 503 for x in list(running.failed)), what="503 while it is away")
            assert failure(gateway.post())["code"] == 503
            a.start()
            back = time.monotonic()
            wait_until(lambda: running.ok_since(back) > 100, what="it to serve again")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_models_own_error_passes_and_is_never_repeated(gateway: Gateway, status: int) -> None:
    with StandIn("a") as one, StandIn("a") as two:
        gateway.serve(wine(arm("a", 100, one, two)))
        answers = [gateway.post(headers={"x-test-status": str(status)}) for _ in range(20)]
        assert {a.status_code for a in answers} == {status}
        assert {a.json()["name"] for a in answers} == {"a"}
        assert len(one.seen()) + len(two.seen()) == 20
        assert gateway.all_healthy(), "a model that answers 500 is not out: that would bend the split"


def test_a_request_that_a_model_has_seen_is_never_repeated(gateway: Gateway) -> None:
    with StandIn("a") as one, StandIn("a") as two:
        gateway.serve(wine(arm("a", 100, one, two)))
        answer = gateway.post(headers={"x-test-hang-up": "1"})
        assert answer.status_code in (502, 503)
        assert failure(answer)["reason"] == "CONNECTION_LOST"
        assert answer.headers["x-decant-predictor"] == "a"
        assert len(one.seen()) + len(two.seen()) == 1


def test_a_refused_connection_is_tried_elsewhere(gateway: Gateway) -> None:
    with StandIn("a") as one, StandIn("a") as two:
        gateway.serve(wine(arm("a", 100, one, two)))
        one.kill()
        assert gateway.count_arms(60) == {"a": 60}


def test_a_slow_prediction_is_a_504_that_names_the_limit(tmp_path: Path) -> None:
    with Gateway(tmp_path, request_timeout_s=0.5) as gateway, StandIn("a") as a:
        gateway.serve(wine(arm("a", 100, a)))
        answer = gateway.post(headers={"x-test-delay-s": "30"})
        assert answer.status_code == 504
        status = failure(answer)
        assert status["reason"] == "PREDICTOR_TIMEOUT"
        assert "Predictor a did not answer within 0.5 s" in str(status["info"])
        assert len(a.seen()) == 1
        for _ in range(5):
            gateway.post(headers={"x-test-delay-s": "30"})
        assert gateway.post().status_code == 200, "a lone replica is not taken out for being slow"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_a_413_and_no_model_sees_it(tmp_path: Path, chunked: bool) -> None:
    with Gateway(tmp_path, max_body_mb=1) as gateway, StandIn("a") as a:
        gateway.serve(wine(arm("a", 100, a)))
        most = b"x" * (1 << 20)
        assert gateway.post(json=None, content=most).status_code == 200
        a.forget()
        large = most + b"x" * 1000
        answer = gateway.post(json=None, content=iter([large[:1000], large[1000:]]) if chunked else large)
        assert answer.status_code == 413
        status = failure(answer)
        assert status["reason"] == "REQUEST_TOO_LARGE"
        assert "1 MiB" in str(status["info"])
        assert a.seen() == []


def test_more_requests_at_once_than_allowed_are_a_503_that_says_so(tmp_path: Path) -> None:
    with Gateway(tmp_path, max_connections=64) as gateway, StandIn("a") as a:
        gateway.serve(wine(arm("a", 100, a)))
        limits = {c["name"]: c["circuit_breakers"] for c in clusters_in_file(gateway)}
        assert limits["split|seldon|wine|a"]["thresholds"][0]["max_connections"] == 64
        shrink_breakers(gateway, 2)
        with ThreadPoolExecutor(5) as pool:  # two under way, one waiting, two too many
            answers = list(pool.map(lambda _: gateway.post(headers={"x-test-delay-s": "3"}), range(5)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(refused) == 2
        for answer in refused:
            assert answer.status_code == 503
            assert failure(answer)["reason"] == "TOO_MANY_REQUESTS_IN_FLIGHT"
            assert answer.headers["x-decant-predictor"] == "a"


def clusters_in_file(gateway: Gateway) -> list[dict[str, object]]:
    return list(json.loads((gateway.files.folder / "cds.json").read_text())["resources"])  # type: ignore[arg-type]


def shrink_breakers(gateway: Gateway, most: int) -> None:
    """Settings allow no fewer than 16; a test needs no 16 slow clients."""
    resources = clusters_in_file(gateway)
    for cluster in resources:
        cluster["circuit_breakers"] = {
            "thresholds": [{"max_connections": most, "max_pending_requests": 1, "max_requests": most}]
        }
    text = json.dumps({"version_info": "shrunk", "resources": resources})
    fresh = gateway.files.folder / "cds.new"
    fresh.write_text(text)
    fresh.replace(gateway.files.folder / "cds.json")
    path = "/config_dump?resource=dynamic_active_clusters"
    wait_until(lambda: gateway.admin._get(path)[1].count(b'"shrunk"') == len(resources), what="the limits")


def test_connections_over_the_limit_are_closed_and_the_gateway_lives(tmp_path: Path) -> None:
    with Gateway(tmp_path, max_connections=16) as gateway, StandIn("a") as a:
        gateway.serve(wine(arm("a", 100, a)))
        address = ("127.0.0.1", gateway.settings.gateway_port)
        open_ones = [socket.create_connection(address, timeout=10) for _ in range(16)]
        try:
            with pytest.raises(httpx.TransportError):
                for _ in range(5):
                    gateway.post()
            assert gateway.admin.ready(), "its own interface has no part in the limit"
            stats = httpx.get(f"http://127.0.0.1:{gateway.settings.gateway_stats_port}/stats/prometheus")
            assert stats.status_code == 200
        finally:
            for connection in open_ones:
                connection.close()
        wait_until(lambda: answers(gateway), what="room for new connections")


def answers(gateway: Gateway) -> bool:
    try:
        return gateway.post().status_code == 200
    except httpx.TransportError:
        return False


def test_nonsense_is_a_400(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.settings.gateway_port), timeout=10) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        assert b"400 Bad Request" in connection.recv(4096)


def test_a_killed_gateway_comes_back_as_it_was(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway, StandIn("a") as a, StandIn("b") as b:
        gateway.serve(wine(arm("a", 35, a), arm("b", 65, b)))
        before = gateway.admin.splits(), gateway.admin.upstreams(), gateway.admin.routes_version()
        gateway.kill()
        assert not gateway.admin.ready()
        with pytest.raises(Unavailable, match="The gateway does not answer"):
            gateway.admin.splits()
        gateway.start()
        wait_until(gateway.all_healthy, what="the arms to be found healthy")
        assert (gateway.admin.splits(), gateway.admin.upstreams(), gateway.admin.routes_version()) == before
        assert set(gateway.count_arms(60)) == {"a", "b"}


def test_a_gateway_told_to_end_ends_cleanly(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        process = gateway._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_taken_port_ends_the_gateway_with_words(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = Settings(state_dir=tmp_path, gateway_port=other.getsockname()[1], gateway_stats_port=free_port())
        prepare(settings)
        done = subprocess.run(command(settings), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
