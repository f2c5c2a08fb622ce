"""Memory by part, the start of everything, of one more predictor, and the recovery of each killed part."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from services.domain import ChangeNote, Deployment
from services.runtime.launcher import resident_mb
from tests.benchmarks.report import Line
from tests.support.load import BODY
from tests.support.system import System
from tests.support.waiting import wait_until

NOTE = ChangeNote("bench", "measuring")
PROMISED_GB = 2.5
PREDICTOR_S = 12
START_S = 15
KILLED = ("envoy", "controller", "worker", "mlflow", "prometheus", "dashboard")


def measure_memory(system: System) -> list[Line]:
    """Resident memory of the idle system; shared pages are counted in every process that uses them."""
    parts = resident_mb(system.settings)
    total = sum(parts.values())
    lines = [Line(f"resident memory of {name}", f"{mb:,.0f} MiB") for name, mb in sorted(parts.items())]
    ok = total * 2**20 <= PROMISED_GB * 1e9
    return [*lines, Line("resident memory in total, idle", f"{total:,.0f} MiB", "", "", f"{PROMISED_GB} GB", ok)]


def measure_restart(system: System) -> Line:
    """A second start: from the command to a page that renders."""
    system.stop()
    began = time.monotonic()
    system.start()
    took_s = time.monotonic() - began
    return Line("second start to a working page", f"{took_s:.1f} s", "", "", f"under {START_S} s", took_s < START_S)


def measure_predictor(system: System, deployment: Deployment) -> Line:
    """From apply to ready."""
    began = time.monotonic()
    system.services.engine.apply(deployment, note=NOTE)
    wait_until(lambda: _settled(system, deployment), timeout_s=120, what=f"{deployment.key} to settle")
    took_s = time.monotonic() - began
    system.services.engine.delete(deployment.namespace, deployment.name, note=NOTE)
    return Line(
        "start of one more predictor", f"{took_s:.1f} s", "", "", f"under {PREDICTOR_S} s", took_s < PREDICTOR_S
    )


def measure_recovery(system: System, deployment: Deployment) -> list[Line]:
    """Seconds from `kill -9` to everything healthy again, part by part."""
    model = next(part for part in sorted(system.parts()) if part.startswith("model."))
    lines = []
    for part in (*KILLED, model):
        began = time.monotonic()
        dead = set(system.kill(part))
        wait_until(lambda p=part, d=dead: {x.pid for x in system.processes(p)} - d, timeout_s=60, what=f"a new {part}")
        wait_until(_quietly(lambda: _healthy(system, deployment)), timeout_s=120, what=f"recovery from {part}")
        name = "a model server" if part == model else part
        lines.append(Line(f"recovery from kill -9 of {name}", f"{time.monotonic() - began:.1f} s"))
    return lines


def _healthy(system: System, deployment: Deployment) -> bool:
    if not all(part.ok for part in system.services.health.all()) or not _settled(system, deployment):
        return False
    base = system.services.engine.endpoint(deployment.namespace, deployment.name).url
    page = httpx.get(f"{system.settings.dashboard_url}/_stcore/health", timeout=5)
    return page.status_code == 200 and httpx.post(f"{base}/api/v1.0/predictions", json=BODY).status_code == 200


def _settled(system: System, deployment: Deployment) -> bool:
    return system.services.engine.get(deployment.namespace, deployment.name).settled


def _quietly(check: Callable[[], bool]) -> Callable[[], bool]:
    def checked() -> bool:
        try:
            return check()
        except httpx.HTTPError:
            return False

    return checked
