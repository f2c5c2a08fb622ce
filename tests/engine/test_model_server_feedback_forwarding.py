"""Feedback that lands on the wrong arm reaches the right one, once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import httpx
import pytest
from aiohttp import web

from tests.support import models
from tests.support.model_process import ModelProcess, model_server
from tests.support.waiting import free_port


class HeaderGateway:
    """Routes by x-decant-predictor as the real gateway does; without the header, always to the first arm."""

    def __init__(self) -> None:
        self.port = free_port()
        self.arms: dict[str, str] = {}
        self.lists_arms = False  # True: refuses a name that it does not know, as the real one does
        self.forwarded: list[tuple[str | None, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        runner = asyncio.run_coroutine_threadsafe(self._start(), loop).result(10)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/seldon/seldon/wine/{rest:.*}", self._pass)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        return runner

    async def _pass(self, request: web.Request) -> web.Response:
        arm = request.headers.get("x-decant-predictor")
        self.forwarded.append((arm, request.headers.get("x-decant-forwarded")))
        if self.lists_arms and arm not in self.arms:
            info = f"POST {request.path}: seldon/wine has no predictor of the name given in the header. "
            info += f"Its predictors: {', '.join(self.arms)}."
            return web.json_response({"status": {"status": "FAILURE", "code": 404, "info": info}}, status=404)
        target = self.arms.get(arm or "") or next(iter(self.arms.values()))
        headers = {k: v for k, v in request.headers.items() if k.lower().startswith("x-decant")}
        url = f"{target}/{request.match_info['rest']}"
        body = await request.read()
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")


@pytest.fixture(scope="module")
def arms(tmp_path_factory) -> Iterator[tuple[ModelProcess, ModelProcess, HeaderGateway]]:
    folder = tmp_path_factory.mktemp("arms")
    gateway = HeaderGateway()
    model = models.elastic_net(folder)
    with (
        model_server(folder, model, "--gateway-url", gateway.url, predictor="a") as a,
        model_server(folder, model, "--gateway-url", gateway.url, predictor="b") as b,
        gateway.running(),
    ):
        gateway.arms = {"a": a.url, "b": b.url}
        yield a, b, gateway


def counted(server: ModelProcess) -> tuple[float, float]:
    name = "seldon_api_model_feedback"
    return server.sample(f"{name}_total"), server.sample(f"{name}_reward_total")


def predicted_by(server: ModelProcess) -> dict[str, object]:
    body = {"meta": {}, "data": {"names": [], "tensor": {"shape": [1, 11], "values": models.WINE_ROW}}}
    return server.post("/api/v1.0/predictions", body).json()


def test_rewards_reach_the_arm_that_earned_them(arms):
    a, b, gateway = arms
    answer = predicted_by(b)
    before_a, before_b = counted(a), counted(b)
    for reward in (0.25, 0, [[0.5]]):
        sent = a.post("/api/v1.0/feedback", {"request": {}, "response": answer, "reward": reward})
        assert sent.status_code == 200, sent.text
    assert counted(a) == before_a
    assert counted(b) == (before_b[0] + 3, before_b[1] + 0.75)
    assert gateway.forwarded[-3:] == [("b", "1")] * 3
    assert b.post("/api/v1.0/feedback", {"response": answer, "reward": 1}).status_code == 200
    assert counted(b) == (before_b[0] + 4, before_b[1] + 1.75)


def test_an_arm_that_is_gone_is_an_answer_not_a_loop(arms):
    a, b, gateway = arms
    before, hops = (counted(a), counted(b)), len(gateway.forwarded)
    sent = b.post("/api/v1.0/feedback", {"response": {"meta": {"tags": {"predictor": "old"}}}, "reward": 1})
    assert sent.status_code == 404
    assert "predictor “old” was not counted: wine has no predictor" in sent.json()["status"]["info"]
    assert (counted(a), counted(b)) == before and len(gateway.forwarded) == hops + 1


def test_an_unknown_arm_is_answered_with_the_names_of_those_there_are(arms):
    a, _, gateway = arms
    gateway.lists_arms = True
    try:
        sent = a.post("/api/v1.0/feedback", {"response": {"meta": {"tags": {"predictor": "old"}}}, "reward": 1})
    finally:
        gateway.lists_arms = False
    assert sent.status_code == 404
    assert sent.json()["status"] == {
        "status": "FAILURE",
        "code": 404,
        "reason": "UNKNOWN_PREDICTOR",
        "info": "Feedback for predictor “old” was not counted: wine has no predictor of that name. "
        "Its predictors: a, b.",
    }


def test_a_bad_reward_is_refused_before_it_travels(arms):
    a, b, gateway = arms
    hops = len(gateway.forwarded)
    assert a.post("/api/v1.0/feedback", {"response": predicted_by(b), "reward": -1}).status_code == 400
    assert len(gateway.forwarded) == hops


def test_a_gateway_that_is_down_asks_for_another_try(tmp_path):
    with model_server(tmp_path, models.elastic_net(tmp_path), "--gateway-url", f"http://127.0.0.1:{free_port()}") as a:
        sent = a.post("/api/v1.0/feedback", {"response": {"meta": {"tags": {"predictor": "b"}}}, "reward": 1})
        assert sent.status_code == 503 and "Send it again" in sent.json()["status"]["info"]
        assert counted(a) == (0, 0)
        assert httpx.get(f"{a.url}/ready").status_code == 200
