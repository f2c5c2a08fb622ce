"""Who answers a request: the real gateway in front of real servers."""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.gateway import FEEDBACK, PREDICT, Gateway, arm, wine
from tests.support.upstreams import StandIn
from tests.support.waiting import wait_until

BAND = 4.9  # standard errors: a fair split leaves this band once in a million runs


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, StandIn]]:
    with StandIn("a") as a, StandIn("b") as b, StandIn("s") as s:
        yield {"a": a, "b": b, "s": s}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway, servers: dict[str, StandIn]) -> Gateway:
    """`seldon/wine` at 70 / 30, nobody asked yet."""
    running.serve(wine(arm("a", 70, servers["a"]), arm("b", 30, servers["b"])))
    for server in servers.values():
        server.forget()
    return running


@pytest.mark.parametrize("share", [0, 1, 20, 50, 80, 100])
def test_the_split_keeps_to_its_binomial_band(gateway: Gateway, servers: dict[str, StandIn], share: int) -> None:
    gateway.route(wine(arm("a", 100 - share, servers["a"]), arm("b", share, servers["b"])))
    n = 1200
    counts = gateway.count_arms(n)
    assert counts["a"] + counts["b"] == n
    p = share / 100
    assert abs(counts["b"] - n * p) <= BAND * math.sqrt(n * p * (1 - p))
    assert len(servers["b"].seen()) == counts["b"], "the header names the arm that answered"


def test_a_lone_arm_answers_everything(gateway: Gateway, servers: dict[str, StandIn]) -> None:
    gateway.serve(wine(arm("a", 0, servers["a"])))
    assert gateway.count_arms(40) == {"a": 40}


def test_the_prefix_is_taken_off_and_the_rest_kept(gateway: Gateway) -> None:
    for path in ("api/v0.1/predictions", "api/v1.0/predictions?x=1&y=%20", "v2/models/m/infer", "anything/else"):
        answer = gateway.post(f"/seldon/seldon/wine/{path}")
        assert answer.json()["path"] == f"/{path}"
    assert gateway.get("/seldon/seldon/wine/api/v1.0/metadata").json()["path"] == "/api/v1.0/metadata"
    assert gateway.post(f"{FEEDBACK}?z=1").json()["path"] == "/api/v1.0/feedback?z=1"
    assert gateway.get("//seldon/seldon/./wine//v2/health/ready").json()["path"] == "/v2/health/ready"


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("path", [PREDICT, FEEDBACK, PREDICT.replace("v1.0", "v0.1")])
def test_a_pinned_request_goes_to_that_arm_always(gateway: Gateway, name: str, path: str) -> None:
    for _ in range(20):
        answer = gateway.post(path, {"x-decant-predictor": name})
        assert answer.json()["name"] == name
        assert answer.headers.get_list("x-decant-predictor") == [name]


def test_pinned_to_an_arm_that_is_not_there_is_a_404_with_the_arms(gateway: Gateway) -> None:
    for value in ("c", "A", "", 'a"b'):
        answer = gateway.post(headers={"x-decant-predictor": value})
        assert answer.status_code == 404
        status = answer.json()["status"]
        assert "Its predictors: a, b." in status["info"]
        assert status["status"] == "FAILURE"


def test_feedback_is_handed_out_by_the_split_but_not_counted_as_predictions(
    gateway: Gateway, servers: dict[str, StandIn]
) -> None:
    before = split_counts(gateway)
    counts = gateway.count_arms(400, FEEDBACK)
    assert abs(counts["b"] - 120) <= BAND * math.sqrt(400 * 0.3 * 0.7)
    gateway.post(headers={"x-decant-predictor": "b"})
    gateway.get("/seldon/seldon/wine/api/v1.0/metadata")
    assert split_counts(gateway) == before
    predictions = gateway.count_arms(200)
    after = split_counts(gateway)
    assert {name: after[name] - before[name] for name in after} == predictions


def split_counts(gateway: Gateway) -> dict[str, float]:
    """The gateway's counters of the split as Prometheus reads them."""
    text = httpx.get(f"http://127.0.0.1:{gateway.settings.gateway_stats_port}/stats/prometheus", timeout=10).text
    pattern = r'^envoy_cluster_upstream_rq_total\{envoy_cluster_name="split\|seldon\|wine\|(.+?)"\} (\d+)$'
    return {name: int(count) for name, count in re.findall(pattern, text, re.MULTILINE)}


def test_counters_are_there_before_the_first_request(gateway: Gateway, servers: dict[str, StandIn]) -> None:
    gateway.serve(wine(arm("fresh", 100, servers["a"])))
    assert split_counts(gateway)["fresh"] == 0


def test_the_stats_port_gives_counters_and_nothing_else(gateway: Gateway) -> None:
    base = f"http://127.0.0.1:{gateway.settings.gateway_stats_port}"
    for path in ("/", "/config_dump", "/stats/prometheus/../../config_dump", "/quitquitquit"):
        assert httpx.get(base + path).status_code == 404
        assert httpx.post(base + path).status_code == 404
    assert httpx.post(f"{base}/stats/prometheus").status_code == 404
    assert gateway.admin.ready()


def test_the_shadow_gets_a_copy_of_its_share_of_predictions_and_no_feedback(
    gateway: Gateway, servers: dict[str, StandIn]
) -> None:
    shadow = servers["s"]
    gateway.serve(wine(arm("a", 100, servers["a"]), arm("s", 100, shadow, shadow=True)))
    assert gateway.count_arms(100) == {"a": 100}
    wait_until(lambda: len(shadow.seen()) == 100, what="the copies to arrive")
    copy = shadow.seen()[0]
    assert (copy["method"], copy["path"], copy["bytes"]) == ("POST", "/api/v1.0/predictions", 2)

    gateway.count_arms(20, FEEDBACK)
    gateway.get("/seldon/seldon/wine/api/v1.0/metadata")
    assert gateway.post(headers={"x-decant-predictor": "s"}).json()["name"] == "s"
    assert gateway.post(FEEDBACK, {"x-decant-predictor": "s"}).json()["name"] == "s"
    assert len(shadow.seen()) == 102

    shadow.forget()
    gateway.route(wine(arm("a", 100, servers["a"]), arm("s", 30, shadow, shadow=True)))
    gateway.count_arms(400)
    band = BAND * math.sqrt(400 * 0.3 * 0.7)
    wait_until(lambda: abs(len(shadow.seen()) - 120) <= band, what="about 30 % of the copies")


def test_a_shadow_that_is_down_disturbs_nobody(gateway: Gateway, servers: dict[str, StandIn]) -> None:
    gateway.serve(wine(arm("a", 100, servers["a"]), arm("s", 100, shadow=True)))
    assert gateway.count_arms(40) == {"a": 40}


def test_other_headers_pass_and_envoys_own_are_not_obeyed(gateway: Gateway, servers: dict[str, StandIn]) -> None:
    sent = {
        "x-decant-predictor": "a",
        "x-decant-forwarded": "1",
        "seldon-puid": "p-1",
        "x-envoy-retry-on": "5xx",
        "x-envoy-max-retries": "5",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-test-status": "503",
        "x-test-delay-s": "0.05",
    }
    answer = gateway.post(headers=sent)
    assert (answer.status_code, answer.json()["name"]) == (503, "a"), "a model's own error passes as it is"
    (seen,) = servers["a"].seen()
    assert seen["headers"]["x-decant-forwarded"] == "1"
    assert seen["headers"]["seldon-puid"] == "p-1"


def test_headers_with_underscores_are_dropped(gateway: Gateway, servers: dict[str, StandIn]) -> None:
    assert gateway.post(headers={"x-decant-predictor": "a", "x_decant_forwarded": "1"}).status_code == 200
    (seen,) = servers["a"].seen()
    assert not [name for name in seen["headers"] if "forwarded" in name and "decant" in name]


def test_an_escaped_slash_in_a_path_is_refused(gateway: Gateway) -> None:
    answer = gateway.post("/seldon/seldon/wine/api%2Fv1.0/predictions")
    assert answer.status_code == 400
    assert answer.json()["status"]["reason"] == "GATEWAY_ERROR"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/seldon",
        "/seldon/seldon/vine/api/v1.0/predictions",
        "/seldon/other/wine/api/v1.0/predictions",
        "/seldon/seldon/wine",
        "/seldon/seldon/wine-2/api/v1.0/predictions",
        '/"quoted"/\\/%22/ü',
    ],
)
def test_unknown_paths_are_a_404_that_lists_the_deployments(gateway: Gateway, path: str) -> None:
    for answer in (gateway.post(path), gateway.get(path)):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"
        status = answer.json()["status"]
        assert (status["status"], status["code"], status["reason"]) == ("FAILURE", 404, "NOT_FOUND")
        assert "/seldon/seldon/wine/" in status["info"]


def test_without_deployments_the_404_says_so(gateway: Gateway) -> None:
    gateway.serve()
    assert "Nothing is deployed yet" in gateway.post().json()["status"]["info"]


def test_http2_without_tls_is_understood(gateway: Gateway) -> None:
    settings_frame = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    with socket.create_connection(("127.0.0.1", gateway.settings.gateway_port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings_frame)
        answer = connection.recv(9)
    assert answer[3] == settings_frame[3], "a SETTINGS frame is answered by one"


def test_two_replicas_share_evenly(gateway: Gateway, servers: dict[str, StandIn]) -> None:
    gateway.serve(wine(arm("a", 100, servers["a"], servers["b"])))
    n = 1000
    gateway.count_arms(n, threads=8)
    first = len(servers["a"].seen())
    assert first + len(servers["b"].seen()) == n
    assert abs(first - n / 2) <= BAND * math.sqrt(n / 4)


def test_it_starts_without_a_word(gateway: Gateway) -> None:
    assert gateway.log.read_text() == ""
