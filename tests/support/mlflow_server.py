"""A real MLflow server for tests, started as Decant starts its own: with a database, artifacts and port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from services.settings import ROOT
from tests.support.waiting import free_port, wait_until


@dataclass(frozen=True)
class RunningMlflow:
    uri: str
    pid: int
    log: Path


@contextmanager
def running_mlflow(folder: Path, port: int | None = None) -> Iterator[RunningMlflow]:
    """Start a server whose state is in `folder` (an existing one goes on); stops exactly what it started."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    command = [sys.executable, "-m", "services.tracking.server", "--folder", str(folder), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    uri = f"http://127.0.0.1:{port}"

    def up() -> bool:
        assert process.poll() is None, f"mlflow server ended with {process.returncode}:\n{log.read_text()[-2000:]}"
        try:
            return httpx.get(f"{uri}/health", timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(up, timeout_s=90, what="the MLflow server")
        yield RunningMlflow(uri, process.pid, log)
    finally:
        stop_tree(process)


def stop_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process that a test started, and its children: TERM, then KILL."""
    try:
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    for member in tree:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(tree, timeout=10)
    for member in alive:
        member.kill()
    process.wait(timeout=10)
