"""A deployment made of air: a real HTTP server that speaks Seldon's protocol for any number of arms.

It plays gateway and model servers at once: it chooses an arm by weight (or by the pinning header), answers with that
arm's constant offset from the first feature, and keeps everything it was told. Tests break it through its methods.
Run as a program it is a target for measurements.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Self

import orjson
from aiohttp import web

PIN = "x-decant-predictor"


class SeldonStub:
    """Use as a context manager; `url` is the gateway's address. Weights and offsets may be changed while it runs."""

    def __init__(
        self, weights: Mapping[str, int] | None = None, offsets: Mapping[str, float] | None = None, seed: int = 1
    ) -> None:
        self.weights = dict(weights or {"a": 80, "b": 20})
        self.offsets = dict(offsets or {"a": 0.0, "b": 1.0})
        self.delay_s = 0.0
        self.away = False  # 503 for everything
        self.dead_arms: set[str] = set()  # 503 for these
        self.dead_for_feedback: set[str] = set()
        self.most_at_once = 0  # predictions under way at the same time
        self.bad_values: set[float] = set()  # a first feature that the model refuses
        self.stuck_values: set[float] = set()  # one that never gets an answer, though its arm is up
        self.predictions: list[tuple[str, str]] = []  # (puid, arm)
        self.feedback: list[tuple[str, str, float]] = []  # (puid, arm it was sent to, reward)
        self.truths: list[Any] = []
        self.names: list[str] = []
        self.knows: dict[str, set[str]] = {}  # arms that refuse rows with other columns than these, as ours do
        self.arms_in_responses: Counter[tuple[str, str]] = Counter()  # (arm sent to, arm in the response)
        self._mishaps: dict[str, deque[str]] = {"predictions": deque(), "feedback": deque()}
        self._random = random.Random(seed)
        self._started = threading.Event()
        self._port = 0
        self._under_way = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def mishap(self, service: str, kind: str, times: int = 1) -> None:
        """Let the next `times` requests for `predictions` or `feedback` end as `kind`.

        A kind is a status, `reset` (the connection is cut before anything happened) or `lost` (cut after everything
        happened, so that only the answer is missing).
        """
        self._mishaps[service].extend([kind] * times)

    def reward_sums(self) -> dict[str, tuple[int, float]]:
        """Feedback as the arms counted it: {arm: (n, sum)}."""
        found: dict[str, tuple[int, float]] = {}
        for _, arm, reward in self.feedback:
            n, total = found.get(arm, (0, 0.0))
            found[arm] = (n + 1, total + reward)
        return found

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(10), "the stub did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self.listen(0))
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def listen(self, port: int) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/seldon/{namespace}/{name}/api/v1.0/predictions", self._predict)
        app.router.add_post("/seldon/{namespace}/{name}/api/v1.0/feedback", self._take_feedback)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self._port = runner.addresses[0][1]
        return runner

    async def _predict(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        if self.delay_s:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            await asyncio.sleep(self.delay_s)
            self._under_way -= 1
        arm = request.headers.get(PIN) or self._choose()
        if arm not in self.weights:
            return _error(404, f"no arm {arm}")
        mishap = self._next_mishap("predictions", request)
        if mishap.isdigit() or self.away or arm in self.dead_arms:
            # As Envoy: the arm that should have answered is named, unless it is the gateway itself that is away.
            return _error(int(mishap or 503), "no healthy upstream", "" if mishap or self.away else arm)
        unknown = set(body["data"]["names"]) - self.knows.get(arm, set(body["data"]["names"]))
        if unknown:
            return _error(400, f"data.names: column {min(unknown)} is unknown", arm)
        first = body["data"]["ndarray"][0][0]
        if first in self.stuck_values:
            return _error(503, "upstream reset", arm)
        if first in self.bad_values:
            return _error(400, f"data.ndarray[0][0]: {first} is not allowed", arm)
        puid = request.headers["Seldon-Puid"]
        self.predictions.append((puid, arm))
        self.names = body["data"]["names"]
        if mishap == "lost":
            _cut(request)
        answer = {
            "data": {"names": [], "ndarray": [first + self.offsets[arm]]},
            "meta": {"puid": puid, "requestPath": {f"{arm}-model": ""}, "tags": {"predictor": arm}},
        }
        return web.Response(body=orjson.dumps(answer), content_type="application/json", headers={PIN: arm})

    async def _take_feedback(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        meta = body["response"]["meta"]
        arm = request.headers.get(PIN) or self._choose()
        mishap = self._next_mishap("feedback", request)
        if mishap.isdigit() or self.away or arm in self.dead_arms | self.dead_for_feedback:
            return _error(int(mishap or 503), "no healthy upstream")
        self.arms_in_responses[arm, meta["tags"]["predictor"]] += 1
        self.feedback.append((meta["puid"], arm, body["reward"]))
        self.truths.append(body["truth"]["data"]["ndarray"][0])
        if mishap == "lost":
            _cut(request)
        return web.Response(body=b"{}", content_type="application/json")

    def _choose(self) -> str:
        return self._random.choices(list(self.weights), list(self.weights.values()))[0]

    def _next_mishap(self, service: str, request: web.Request) -> str:
        mishap = self._mishaps[service].popleft() if self._mishaps[service] else ""
        if mishap == "reset":
            _cut(request)
        return mishap


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise asyncio.CancelledError


def _error(status: int, words: str, arm: str = "") -> web.Response:
    body = {"status": {"status": "FAILURE", "code": status, "info": words, "reason": "STUB"}}
    headers = {PIN: arm} if arm else {}
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers)


async def _serve(port: int) -> None:
    stub = SeldonStub()
    await stub.listen(port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))
