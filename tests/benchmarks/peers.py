"""The servers that Decant is compared with, started as fast as one worker of each goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.environments import MLSERVER, environment
from tests.support.load import ROW
from tests.support.waiting import free_port, free_ports, wait_until
from tests.support.wine import wine_frame

COLUMNS = [str(name) for name in wine_frame().columns[:-1]]
DECANT_BODY = {"data": {"names": COLUMNS, "ndarray": [ROW]}}
MLFLOW_BODY = {"dataframe_split": {"columns": COLUMNS, "data": [ROW]}}
V2_BODY = {
    "parameters": {"content_type": "pd"},
    "inputs": [
        {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]}
        for name, value in zip(COLUMNS, ROW, strict=True)
    ],
}


@contextmanager
def mlflow_models_serve(model: Path, folder: Path) -> Iterator[str]:
    """`mlflow models serve`, one worker; yields the URL to post MLFLOW_BODY to."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "-p", str(port)]
    with _running([*command, "--env-manager", "local", "--workers", "1"], folder / "mlflow-serve.log", folder):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{url}/ping"), timeout_s=120, what="mlflow models serve")
        yield f"{url}/invocations"


@contextmanager
def mlserver(model: Path, folder: Path) -> Iterator[str]:
    """MLServer with its MLflow runtime in one process; yields the URL to post V2_BODY to."""
    here = folder / "mlserver"
    here.mkdir()
    http_port, grpc_port, metrics_port = free_ports(3)
    (here / "settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "http_port": http_port,
                "grpc_port": grpc_port,
                "metrics_port": metrics_port,
                "debug": False,
                "parallel_workers": 0,  # its fastest with one model: no second process to talk to
            }
        )
    )
    (here / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "wine",
                "implementation": "mlserver_mlflow.MLflowRuntime",
                "parameters": {"uri": str(model)},
            }
        )
    )
    binaries = environment("mlserver", MLSERVER)
    with _running([str(binaries / "mlserver"), "start", str(here)], folder / "mlserver.log", folder):
        url = f"http://127.0.0.1:{http_port}/v2/models/wine"
        wait_until(lambda: _answers(f"{url}/ready"), timeout_s=120, what="MLServer")
        yield f"{url}/infer"


@contextmanager
def _running(command: list[str], log: Path, cwd: Path) -> Iterator[None]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_"))}
    path = f"{Path(command[0]).parent}:{plain.get('PATH', '')}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env={**plain, "PATH": path}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
