"""An ingress for tests, as Istio's gateway is to its clients: it divides whatever comes, feedback too."""

from __future__ import annotations

import random
from collections.abc import Callable

from aiohttp import ClientError, ClientSession, web
from prometheus_client import CollectorRegistry, Counter, generate_latest

from services.deployments.kubernetes.seldon import service_name
from tests.support.waiting import free_port


class DividingIngress:
    """Divides what comes to /seldon/<namespace>/<deployment> by the routes' weights; it counts as Istio's does.

    `routes` gives share and port of each arm of a deployment.
    """

    def __init__(self, routes: Callable[[str, str], dict[str, tuple[int, int]]]) -> None:
        self._routes = routes
        self.port = free_port()
        self._registry = CollectorRegistry()
        labels = ["reporter", "source_workload", "destination_service_namespace", "destination_service_name"]
        self._requests = Counter("istio_requests", "Requests", [*labels, "response_code"], registry=self._registry)

    async def start(self) -> None:
        self._client = ClientSession()
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_route("*", "/seldon/{namespace}/{name}/{rest:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._client.close()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), content_type="text/plain")

    async def _pass(self, request: web.Request) -> web.Response:
        namespace, name, rest = (request.match_info[part] for part in ("namespace", "name", "rest"))
        routes = self._routes(namespace, name)
        if not routes:
            return web.Response(status=404, text="no route")
        arm = random.choices(list(routes), [share for share, _ in routes.values()])[0]
        keep = {k: v for k, v in request.headers.items() if k.lower() in ("content-type", "seldon-puid")}
        body = await request.read()
        try:
            address = f"http://127.0.0.1:{routes[arm][1]}/{rest}"
            async with self._client.request(request.method, address, data=body, headers=keep) as answer:
                content, status, headers = await answer.read(), answer.status, answer.headers
        except ClientError as error:
            content, status, headers = str(error).encode(), 503, {}
        labels = ("source", "istio-ingressgateway", namespace, service_name(name, arm), str(status))
        self._requests.labels(*labels).inc()
        back = {k: v for k, v in headers.items() if k.lower() in ("content-type", "seldon-puid")}
        return web.Response(status=status, body=content, headers=back)
