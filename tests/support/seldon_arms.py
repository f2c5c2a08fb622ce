"""Seldon Core as its clients see it: an ingress that divides whatever comes, and a Service of its own for each arm.

Real HTTP servers, with what makes Seldon hard to measure: the ingress divides feedback anew, whoever answered; an
answer names its graph node and nothing else; a V2 arm knows its model by the node's name and takes no feedback.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson
from aiohttp import web

from services.deployments.kubernetes.ways import Ways
from services.domain import Endpoint
from tests.support.memory_engine import MemoryEngine

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class SeldonArm:
    """One predictor: it answers its offset from the first feature and books the feedback that reaches it."""

    name: str
    node: str
    offset: float
    port: int = 0
    predicted: list[str] = field(default_factory=list)  # puids
    fed: list[tuple[str, float]] = field(default_factory=list)  # (puid in the answer, reward)

    async def predict(self, request: web.Request) -> web.Response:
        body, puid = orjson.loads(await request.read()), request.headers.get("Seldon-Puid", "")
        self.predicted.append(puid)
        values = [row[0] + self.offset for row in body["data"]["ndarray"]]
        meta = {"puid": puid, "requestPath": {self.node: "seldonio/mlflowserver:1.19"}}
        return _json({"data": {"names": [], "ndarray": values}, "meta": meta}, {"Seldon-Puid": puid})

    async def feed(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.fed.append((body["response"]["meta"]["puid"], body["reward"]))
        return _json({"meta": {"requestPath": {self.node: ""}}})

    async def infer(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.predicted.append(body["id"])
        first = body["inputs"][0]
        assert first["datatype"] == "FP64", "a column of floats, as the metadata says"
        values = [value + self.offset for value in first["data"]]
        output = {"name": "output-1", "shape": [len(values), 1], "datatype": "FP64", "data": values}
        return _json({"model_name": self.node, "id": body["id"], "outputs": [output]})

    async def metadata(self, request: web.Request) -> web.Response:
        if request.match_info["model"] != self.node:
            return _json({"error": f"no node {request.match_info['model']}"}, status=500)
        x = {"name": "x", "datatype": "FP64", "shape": [-1, 1], "parameters": {"content_type": "np"}}
        colour = {"name": "colour", "datatype": "BYTES", "shape": [-1, 1], "parameters": {"content_type": "str"}}
        return _json({"name": self.node, "inputs": [x, colour]})


class SeldonArms:
    """Use as a context manager. `urls` are the arms' own addresses, `ingress` divides among them by `weights`.

    `enter` is called by the thread that serves, before it listens: to serve on another host.
    """

    def __init__(
        self,
        nodes: Mapping[str, str] | None = None,
        weights: Mapping[str, int] | None = None,
        host: str = "127.0.0.1",
        seed: int = 1,
        enter: Callable[[], None] | None = None,
    ) -> None:
        self._enter = enter
        named = nodes or {"a": "a-model", "b": "b-model"}
        self.arms = {name: SeldonArm(name, node, float(i)) for i, (name, node) in enumerate(named.items())}
        self.weights = dict(weights or {"a": 80, "b": 20})
        self.host = host
        self.mesh_service = ""  # `wine-{}`: the ingress lets a sidecar's header with the arm's Service through
        self._random = random.Random(seed)
        self._ingress_port = 0
        self._started = threading.Event()

    @property
    def ingress(self) -> str:
        return f"http://{self.host}:{self._ingress_port}"

    @property
    def urls(self) -> dict[str, str]:
        return {name: f"http://{self.host}:{arm.port}" for name, arm in self.arms.items()}

    def fed(self) -> dict[str, int]:
        """Feedbacks by the arm that booked them."""
        return {name: len(arm.fed) for name, arm in self.arms.items()}

    def strayed(self) -> int:
        """Feedbacks booked by an arm that did not make the answer."""
        return sum(puid not in set(arm.predicted) for arm in self.arms.values() for puid, _ in arm.fed)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(10), "the arms did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        if self._enter is not None:
            self._enter()
        asyncio.set_event_loop(self._loop)
        runners = self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()
        for runner in runners:
            self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _listen(self) -> list[web.AppRunner]:
        runners = []
        for arm in self.arms.values():
            routes = {
                "/api/v1.0/predictions": arm.predict,
                "/api/v1.0/feedback": arm.feed,
                "/v2/models/{model}/infer": arm.infer,
            }
            runner, arm.port = await self._serve("", routes, {"/v2/models/{model}": arm.metadata})
            runners.append(runner)
        divided = {
            "/api/v1.0/predictions": self._divided("predict"),
            "/api/v1.0/feedback": self._divided("feed"),
            "/v2/models/{model}/infer": self._divided("infer"),
        }
        gets = {"/v2/models/{model}": self._divided("metadata")}
        runner, self._ingress_port = await self._serve("/seldon/{namespace}/{name}", divided, gets)
        return [*runners, runner]

    async def _serve(
        self, prefix: str, posts: Mapping[str, Handler], gets: Mapping[str, Handler]
    ) -> tuple[web.AppRunner, int]:
        app = web.Application()
        for path, handler in posts.items():
            app.router.add_post(prefix + path, handler)
        for path, handler in gets.items():
            app.router.add_get(prefix + path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.host, 0).start()
        return runner, runner.addresses[0][1]

    def _divided(self, action: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            name = self._random.choices(list(self.weights), list(self.weights.values()))[0]
            answer: web.StreamResponse = await getattr(self.arms[name], action)(request)
            if self.mesh_service:
                host = self.mesh_service.format(name)
                answer.headers["x-envoy-decorator-operation"] = f"{host}.seldon.svc.cluster.local:8000/*"
            return answer

        return handle


def _json(body: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers)


class SeldonEngine(MemoryEngine):
    """Deployments in memory, reached the way KubernetesEngine reaches them; the arms' Services have ports instead."""

    def __init__(self, arms: SeldonArms, *, ingress: bool = True) -> None:
        super().__init__()
        self.ways = Ways(arms.ingress if ingress else "")
        self.seldon = arms

    def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
        status = self.get(namespace, name)
        if predictor is not None:
            return self._placed(self.ways.to_arm(status.deployment, status.deployment.predictor(predictor)))
        split = self.ways.to_split(status)
        return replace(split, arms=tuple(replace(arm, endpoint=self._placed(arm.endpoint)) for arm in split.arms))

    def _placed(self, endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, url=self.seldon.urls[endpoint.predictor])
