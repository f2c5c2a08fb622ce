"""A real model server process for tests: started on a free port, ready by a deadline, always stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.settings import ROOT
from tests.support.waiting import free_port, wait_until

START_TIMEOUT_S = 90


@dataclass
class ModelProcess:
    """One server; `log` is its stderr."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            try:
                return httpx.get(f"{self.url}/ready", timeout=2).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(ready, timeout_s=START_TIMEOUT_S, what=f"a ready model server ({self.log})")

    def post(self, path: str, body: object, **options: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=60, **options)  # type: ignore[arg-type]

    def predict(self, *rows: list[object]) -> httpx.Response:
        return self.post("/api/v1.0/predictions", {"data": {"ndarray": list(rows)}})

    def sample(self, name: str, **labels: str) -> float:
        """One value of /prometheus."""
        text = httpx.get(f"{self.url}/prometheus", timeout=10).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        raise AssertionError(f"no sample {name} {labels}")


def command(port: int, model_uri: str | Path, *extra: str, predictor: str = "a") -> list[str]:
    """The argv of a model server."""
    return [
        sys.executable, "-m", "services.runtime.model_server", "--port", str(port), "--model-uri", str(model_uri),
        "--namespace", "seldon", "--deployment", "wine", "--predictor", predictor, "--node", "classifier", *extra,
    ]  # fmt: skip


@contextmanager
def model_server(
    folder: Path, model_uri: str | Path, *extra: str, predictor: str = "a", tracking_uri: str = "", ready: bool = True
) -> Iterator[ModelProcess]:
    """Run a server; its log goes into `folder`."""
    port = free_port()
    log = folder / f"model-server-{port}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command(port, model_uri, *extra, predictor=predictor),
            cwd=ROOT,
            stderr=stderr,
            env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri},
        )
        server = ModelProcess(process, port, log)
        try:
            if ready:
                server.wait_ready()
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)


def run_until_exit(
    folder: Path, model_uri: str | Path, *extra: str, tracking_uri: str = "", port: int = 0
) -> tuple[int, str, float]:
    """Start a server that is expected to give up: exit code, log, seconds."""
    started = time.monotonic()
    done = subprocess.run(
        command(port or free_port(), model_uri, *extra),
        cwd=ROOT,
        capture_output=True,
        timeout=START_TIMEOUT_S,
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri},
        check=False,
    )
    return done.returncode, done.stderr.decode(), time.monotonic() - started
