"""The model server as a real process: start, limits, slowness, drain."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import pytest

from tests.support import models
from tests.support.model_process import ModelProcess, model_server
from tests.support.waiting import wait_until

ROW = {"data": {"names": [], "ndarray": [models.WINE_ROW]}}


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wine")
    with model_server(folder, models.elastic_net(folder), "--max-body-mb", "1") as server:
        yield server


def test_live_at_once_and_ready_when_loaded(tmp_path):
    with model_server(tmp_path, models.elastic_net(tmp_path), ready=False) as server:

        def live() -> bool:
            try:
                return httpx.get(f"{server.url}/live", timeout=2).status_code == 200
            except httpx.ConnectError:
                return False

        wait_until(live, what="a live server")
        early = httpx.get(f"{server.url}/ready", timeout=5)
        assert early.status_code == 503 and "still loading" in early.json()["status"]["info"]
        refused = server.predict(models.WINE_ROW)
        assert refused.status_code == 503
        server.wait_ready()
        assert server.predict(models.WINE_ROW).status_code == 200


def test_every_path_of_both_protocols(wine: ModelProcess):
    for path in ("/live", "/ready", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/classifier",
                 "/v2/models/classifier/ready", "/api/v1.0/status", "/api/v1.0/metadata", "/api/v1.0/health/status",
                 "/api/v0.1/status", "/prometheus"):  # fmt: skip
        assert httpx.get(f"{wine.url}{path}").status_code == 200, path
    for version in ("v0.1", "v1.0"):
        answer = wine.post(f"/api/{version}/predictions", ROW, headers={"Seldon-Puid": "mine"})
        assert answer.status_code == 200
        assert answer.headers["seldon-puid"] == answer.json()["meta"]["puid"] == "mine"
        assert wine.post(f"/api/{version}/feedback", {"reward": 1, "response": {"meta": {}}}).status_code == 200
    v2 = {"inputs": [{"name": "x", "shape": [1, 11], "datatype": "FP64", "data": models.WINE_ROW}]}
    assert wine.post("/v2/models/classifier/infer", v2).json()["outputs"][0]["shape"] == [1]
    assert wine.post("/v2/models/other/infer", v2).status_code == 404
    assert httpx.get(f"{wine.url}/nothing").status_code == 404
    assert httpx.get(f"{wine.url}/api/v1.0/predictions").status_code == 405
    assert httpx.delete(f"{wine.url}/live").status_code == 405


def test_a_body_beyond_the_limit_is_refused_in_seldons_shape(wine: ModelProcess):
    def chunks():
        for _ in range(20):
            yield b" " * 100_000

    for content in (b" " * 2_000_000, chunks()):
        answer = httpx.post(f"{wine.url}/api/v1.0/predictions", content=content, timeout=30)
        assert answer.status_code == 413
        assert answer.json()["status"]["status"] == "FAILURE" and "1 MiB" in answer.json()["status"]["info"]
    assert wine.post("/api/v1.0/predictions", ROW).status_code == 200
    assert wine.sample("seldon_api_executor_server_requests_seconds_count", service="predictions", code="413") == 2


def test_many_clients_at_once_get_their_own_answers(wine: ModelProcess):
    rows = models.table(200, seed=3).to_numpy().tolist()
    alone = [wine.predict(row).json()["data"]["ndarray"][0] for row in rows[:20]]

    async def ask() -> list[float]:
        async with aiohttp.ClientSession() as session:

            async def one(row: list[float]) -> float:
                url = f"{wine.url}/api/v1.0/predictions"
                async with session.post(url, json={"data": {"ndarray": [row]}}) as answer:
                    return float((await answer.json())["data"]["ndarray"][0])

            return await asyncio.gather(*(one(row) for row in rows))

    together = asyncio.run(ask())
    assert together[:20] == pytest.approx(alone, rel=1e-9)
    assert wine.sample("decant_model_batch_rows_bucket", le="1.0") < wine.sample("decant_model_batch_rows_count")
    assert wine.sample("decant_model_merge_differences_total") == 0


def test_a_slow_model_does_not_stop_the_health_checks(tmp_path):
    with model_server(tmp_path, models.slow(tmp_path), "--drain-s", "1") as server, ThreadPoolExecutor(2) as pool:
        slow = pool.submit(server.predict, [10])
        wait_until(lambda: server.sample("decant_model_requests_in_flight") == 1, what="a running prediction")
        answered = [httpx.get(f"{server.url}/live", timeout=5).status_code for _ in range(50)]
        assert answered == [200] * 50 and not slow.done()
        assert slow.result().status_code == 200


def test_requests_in_flight_are_answered_after_sigterm(tmp_path):
    with model_server(tmp_path, models.slow(tmp_path)) as server, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(server.predict, [1.0]) for _ in range(3)]
        wait_until(lambda: server.sample("decant_model_requests_in_flight") == 3, what="three waiting requests")
        server.process.send_signal(signal.SIGTERM)
        assert [w.result().status_code for w in waiting] == [200, 200, 200]
        assert server.process.wait(15) == 0
        assert "every request was answered" in server.log.read_text()


def test_under_load_sigterm_breaks_no_request(tmp_path):
    """Clients without keep-alive: each connection is either refused or answered, none breaks."""

    async def load(server: ModelProcess) -> tuple[int, list[aiohttp.ClientError]]:
        answered = 0
        broken: list[aiohttp.ClientError] = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:

            async def client() -> None:
                nonlocal answered
                while True:
                    try:
                        async with session.post(f"{server.url}/api/v1.0/predictions", json=ROW) as answer:
                            await answer.read()
                            assert answer.status == 200
                    except aiohttp.ClientConnectorError:
                        return
                    except aiohttp.ClientError as error:
                        broken.append(error)
                        return
                    answered += 1
                    if answered == 200:
                        server.process.send_signal(signal.SIGTERM)

            await asyncio.gather(*(client() for _ in range(8)))
        return answered, broken

    with model_server(tmp_path, models.elastic_net(tmp_path), "--drain-s", "1") as server:
        answered, broken = asyncio.run(load(server))
        assert server.process.wait(15) == 0
    assert answered >= 200
    # The kernel resets connections that it had queued but nobody had accepted when the listener closed.
    assert all(isinstance(b, (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)) for b in broken), broken


def test_a_prediction_that_outlives_the_drain_is_told_so(tmp_path):
    slow = models.slow(tmp_path, seconds=60)
    with model_server(tmp_path, slow, "--drain-s", "0.5") as server, ThreadPoolExecutor(1) as pool:
        pending = pool.submit(server.predict, [60])
        wait_until(lambda: server.sample("decant_model_requests_in_flight") == 1, what="the request to arrive")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        answer = pending.result()
        assert answer.status_code == 503 and "the server is stopping" in answer.json()["status"]["info"]
