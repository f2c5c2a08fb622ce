"""A real Prometheus for tests, and a small exporter that counts under Seldon's and Envoy's names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIServer

import httpx
import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from services.settings import ROOT
from tests.support.waiting import free_port, wait_until

SCRAPE_S = 1
NAMESPACE, DEPLOYMENT = "seldon", "wine"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


def prometheus_binary() -> Path:
    """`DECANT_PROMETHEUS_BIN`, the one on the path, or Debian's package unpacked (not installed) into .cache."""
    named = os.environ.get("DECANT_PROMETHEUS_BIN") or shutil.which("prometheus")
    if named:
        return Path(named)
    folder = ROOT / ".cache" / "prometheus"
    binary = folder / "usr" / "bin" / "prometheus"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True, capture_output=True)
        package = max(folder.glob("prometheus_*.deb"))
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=folder, check=True, capture_output=True)
    return binary


@dataclass(frozen=True)
class RunningPrometheus:
    url: str
    pid: int


@contextmanager
def running_prometheus(
    folder: Path,
    targets: dict[int, dict[str, str]],
    guarded_by: Path | None = None,
    again: Sequence[int] = (),
    listed_in: Path | None = None,
    retention: str = "",
) -> Iterator[RunningPrometheus]:
    """Scrape each port of `targets` every second under the given labels; stops exactly the process it started.

    `guarded_by` is a web configuration of Prometheus' own: certificates and passwords. The targets at the ports `again`
    are scraped by a second job too. `listed_in` is a file of more targets, read again whenever it changes. `retention`
    is how long samples are kept, by Prometheus' own choice if it is not given.
    """
    port = free_port()

    def static(ports: Collection[int]) -> list[dict[str, object]]:
        return [{"targets": [f"127.0.0.1:{p}"], "labels": targets[p]} for p in ports]

    configuration = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"},
        "scrape_configs": [
            {"job_name": "models", "static_configs": static(targets)},
            {"job_name": "models-again", "static_configs": static(again)},
            {"job_name": "listed", "file_sd_configs": [{"files": [str(listed_in)]}] if listed_in else []},
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(prometheus_binary()),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
                *([f"--web.config.file={guarded_by}"] if guarded_by else []),
                *([f"--storage.tsdb.retention.time={retention}"] if retention else []),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"{'https' if guarded_by else 'http'}://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        try:
            # Guarded, it asks for a password as soon as it listens; readers that poll wait for the rest.
            return httpx.get(f"{url}/-/ready", timeout=1, verify=False).status_code in (200, 401)
        except httpx.TransportError:
            return False

    try:
        wait_until(ready, what="Prometheus")
        yield RunningPrometheus(url, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def backfill(folder: Path, lines: Sequence[str]) -> None:
    """Samples of the past, as OpenMetrics text with times, for a Prometheus that is going to run in `folder`."""
    text = folder / "past.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    promtool = prometheus_binary().with_name("promtool")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"], check=True, capture_output=True
    )


class SeldonExporter:
    """The counters of one model server, with the labels that a real one exports."""

    def __init__(self, port: int, predictor: str, deployment: str = DEPLOYMENT) -> None:
        self.port, self.predictor, self.deployment = port, predictor, deployment
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None
        self._new_registry()

    def _new_registry(self) -> None:
        self.registry = CollectorRegistry()
        arm = ["deployment_name", "predictor_name", "predictor_version"]
        model = [*arm, "model_name", "model_image", "model_version"]
        self._requests = Histogram(
            "seldon_api_executor_server_requests_seconds",
            "Requests",
            [*arm, "service", "method", "code"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._feedback = Counter("seldon_api_model_feedback", "Feedback", model, registry=self.registry)
        self._reward = Counter("seldon_api_model_feedback_reward", "Reward", model, registry=self.registry)

    def start(self) -> SeldonExporter:
        self._server, self._thread = start_http_server(self.port, "127.0.0.1", self.registry)
        return self

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def restart(self) -> None:
        """As a server that was killed: the same address and labels, counters from zero."""
        self.stop()
        self._new_registry()
        self.start()

    def predict(self, count: int = 1, seconds: float = 0.003, code: int = 200, service: str = "predictions") -> None:
        child = self._requests.labels(self.deployment, self.predictor, "", service, "post", str(code))
        for _ in range(count):
            child.observe(seconds)

    def reward(self, *values: float) -> None:
        labels = (self.deployment, self.predictor, "", "model", "image", "1")
        for value in values:
            self._feedback.labels(*labels).inc()
            self._reward.labels(*labels).inc(value)


class TextExporter:
    """Serves whatever text it holds, as an exporter that does its work badly would."""

    def __init__(self, port: int, text: str) -> None:
        self.text = text
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(exporter.text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", port), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class GatewayExporter:
    """Envoy's counter of requests per cluster."""

    def __init__(self, port: int) -> None:
        self.port = port
        registry = CollectorRegistry()
        self._requests = Counter("envoy_cluster_upstream_rq", "Requests", ["envoy_cluster_name"], registry=registry)
        self._server, self._thread = start_http_server(port, "127.0.0.1", registry)

    def send(self, cluster: str, count: int = 1) -> None:
        self._requests.labels(cluster).inc(count)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
