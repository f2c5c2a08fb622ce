"""A dashboard in a process of its own, without the other parts: what it is told, and nothing of the machine's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.settings import ROOT, Settings
from tests.support.waiting import free_ports, wait_until

DASHBOARD = "services.runtime.dashboard"


@contextmanager
def dashboard(folder: Path, values: Mapping[str, str], module: str = DASHBOARD) -> Iterator[Settings]:
    """It answers until the end of the block. `values` are its settings beside folder and ports."""
    one, gateway, mlflow, prometheus = free_ports(4)
    every = {
        "state_dir": folder / "state",
        "dashboard_port": one,
        "gateway_port": gateway,
        "mlflow_port": mlflow,
        "mlflow_tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
        "prometheus_port": prometheus,
        **values,
    }
    settings = Settings(**every)  # type: ignore[arg-type]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_"))}
    own = {f"DECANT_{name.upper()}": str(value) for name, value in every.items()}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**inherited, **own, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: _answers(settings, process, log), timeout_s=180, what="the dashboard to answer")
        yield settings
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(settings: Settings, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"the dashboard ended:\n{log.read_text()}"
    try:
        return httpx.get(f"{settings.dashboard_url}/_stcore/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
