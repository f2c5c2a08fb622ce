"""A real Envoy for tests, on free ports with a state folder of its own, and clients that load it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

from services.runtime.envoy import EnvoyFiles, command
from services.runtime.envoy.admin import EnvoyAdmin
from services.runtime.envoy.model import GatewayDeployment, GatewayPredictor
from services.settings import Settings
from tests.support.upstreams import StandIn
from tests.support.waiting import free_ports, wait_until

PREDICT = "/seldon/seldon/wine/api/v1.0/predictions"
FEEDBACK = "/seldon/seldon/wine/api/v1.0/feedback"


def arm(name: str, traffic: int, *servers: StandIn, shadow: bool = False) -> GatewayPredictor:
    return GatewayPredictor(name, traffic, shadow, tuple(s.upstream for s in servers))


def wine(*predictors: GatewayPredictor) -> GatewayDeployment:
    """The deployment `seldon/wine`, to which PREDICT and FEEDBACK lead."""
    return GatewayDeployment("seldon", "wine", predictors)


class Gateway:
    """One Envoy and its files. Use as a context manager."""

    def __init__(self, state_dir: Path, **settings: object) -> None:
        port, stats_port = free_ports(2)
        chosen = {"state_dir": state_dir, "gateway_port": port, "gateway_stats_port": stats_port, **settings}
        self.settings = Settings(**chosen)  # type: ignore[arg-type]
        self.files = EnvoyFiles(self.settings)
        self.admin = EnvoyAdmin(self.settings.paths.envoy_admin, timeout_s=5)
        self.log = state_dir / "envoy.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return self.settings.gateway_url

    def start(self) -> None:
        self.files.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command(self.settings), stdout=log, stderr=log)
        wait_until(self._is_up, what="the gateway to be ready")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        return self.admin.ready()

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=30)

    def serve(self, *deployments: GatewayDeployment, healthy: bool = True) -> None:
        """Go to these deployments in the safe order; return when they are in force (and healthy, if asked)."""
        self.files.write_clusters(deployments)
        names = set(self.files.written_upstreams())
        wait_until(lambda: names <= self.admin.clusters(), what="the clusters to be warm")
        wanted = self.files.written_upstreams()
        wait_until(lambda: self._known() == wanted, what="the endpoints to be known")
        self.route(*deployments)
        if healthy:
            wait_until(lambda: self.all_healthy(), what="the endpoints to be healthy")

    def route(self, *deployments: GatewayDeployment) -> None:
        """Change the routes alone; return when they are in force."""
        self.files.write_routes(deployments)
        version = self.files.routes_version
        wait_until(lambda: self.admin.routes_version() == version, what="the routes to be in force")

    def all_healthy(self) -> bool:
        return all(all(hosts.values()) for hosts in self.admin.upstreams().values())

    def _known(self) -> dict[str, set[object]]:
        return {name: set(hosts) for name, hosts in self.admin.upstreams().items()}

    def post(self, path: str = PREDICT, headers: Mapping[str, str] | None = None, **more: object) -> httpx.Response:
        with httpx.Client(timeout=60) as client:
            return client.post(self.url + path, headers=dict(headers or {}), **{"json": {}, **more})  # type: ignore[arg-type]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60)

    def count_arms(self, requests: int, path: str = PREDICT, threads: int = 4) -> Counter[str]:
        """Send that many requests; how many each arm answered, and statuses other than 200 by number."""

        def work(share: int) -> Counter[str]:
            found: Counter[str] = Counter()
            with httpx.Client(timeout=60) as client:
                for _ in range(share):
                    answer = client.post(self.url + path, json={})
                    name = answer.headers.get("x-decant-predictor", "nobody")
                    found[name if answer.status_code == 200 else str(answer.status_code)] += 1
            return found

        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(work, [requests // threads] * threads), Counter())

    def __enter__(self) -> Gateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(timeout=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """One request of a load: seconds on the monotonic clock, HTTP status (0: no answer), arm that answered."""

    began: float
    ended: float
    status: int
    predictor: str


class Load:
    """Clients that send requests one after another until they are stopped."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self._stop = threading.Event()

    def ok_since(self, moment: float) -> int:
        """How many requests that began after `moment` were answered with 200."""
        return sum(1 for a in list(self.answers) if a.began > moment and a.status == 200)

    @property
    def failed(self) -> list[Answer]:
        return [a for a in self.answers if a.status != 200]

    def work(self, url: str, headers: Mapping[str, str]) -> None:
        with httpx.Client(timeout=60, headers=dict(headers)) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    answer = client.post(url, json={})
                    status, name = answer.status_code, answer.headers.get("x-decant-predictor", "")
                except httpx.TransportError:
                    status, name = 0, ""
                self.answers.append(Answer(began, time.monotonic(), status, name))

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def load(gateway: Gateway, clients: int = 4, path: str = PREDICT, **headers: str) -> Iterator[Load]:
    """Load the gateway while the body runs; every client has finished when this ends."""
    running = Load()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    threads = [threading.Thread(target=running.work, args=(gateway.url + path, sent)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        began = time.monotonic()
        wait_until(lambda: running.ok_since(began) > 10 * clients, what="the load to run")
        yield running
    finally:
        running.stop()
        for thread in threads:
            thread.join()
