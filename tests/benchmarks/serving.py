"""Predictions through the gateway against `mlflow models serve` and MLServer: one row a request, the wine model."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from services.domain import Deployment
from tests.benchmarks.peers import DECANT_BODY, MLFLOW_BODY, V2_BODY, mlflow_models_serve, mlserver
from tests.benchmarks.report import Line
from tests.benchmarks.tools import Load, load
from tests.support.system import System

ROUNDS = 5
SECONDS = 6
WARM_UP_S = 2
BUSY = 32


def measure(system: System, deployment: Deployment, model: Path, folder: Path) -> list[Line]:
    """Rounds in turn, so that a slow moment of the machine falls on all of them; medians of the rounds."""
    bodies = {"decant": DECANT_BODY, "mlflow": MLFLOW_BODY, "mlserver": V2_BODY}
    files = {}
    for name, body in bodies.items():
        files[name] = folder / f"{name}.json"
        files[name].write_text(json.dumps(body))
    base = system.services.engine.endpoint(deployment.namespace, deployment.name).url
    with mlflow_models_serve(model, folder) as mlflow_url, mlserver(model, folder) as mlserver_url:
        urls = {"decant": f"{base}/api/v1.0/predictions", "mlflow": mlflow_url, "mlserver": mlserver_url}
        for name, url in urls.items():
            load(url, files[name], connections=BUSY, seconds=WARM_UP_S)
        busy: dict[str, list[Load]] = {name: [] for name in urls}
        single: dict[str, list[Load]] = {name: [] for name in urls}
        for _ in range(ROUNDS):
            for name, url in urls.items():
                busy[name].append(load(url, files[name], connections=BUSY, seconds=SECONDS))
                single[name].append(load(url, files[name], connections=1, seconds=SECONDS / 2))
    rate = {name: median(found.per_second for found in runs) for name, runs in busy.items()}
    p99 = {name: median(found.p99_ms for found in runs) for name, runs in busy.items()}
    alone = {name: median(found.p50_ms for found in runs) for name, runs in single.items()}
    failed = sum(found.failed for found in busy["decant"] + single["decant"])
    return [
        _rate("requests/s, 32 connections, against `mlflow models serve`", rate, "mlflow", 12),
        _rate("requests/s, 32 connections, against MLServer (V2)", rate, "mlserver", 3.5),
        Line(
            "p99 at 32 connections, against MLServer",
            f"{p99['decant']:.1f} ms",
            f"{p99['mlserver']:.1f} ms",
            f"{p99['decant'] / p99['mlserver']:.2f}",
            "below 1",
            p99["decant"] < p99["mlserver"],
        ),
        Line(
            "p50 at 1 connection, against `mlflow models serve`",
            f"{alone['decant']:.2f} ms",
            f"{alone['mlflow']:.2f} ms",
            f"{alone['decant'] / alone['mlflow']:.2f}",
            "at most 0.5",
            alone["decant"] <= 0.5 * alone["mlflow"],
        ),
        Line("failed requests in all of that", str(failed), "", "", "0", failed == 0),
    ]


def _rate(what: str, rate: dict[str, float], peer: str, promised: float) -> Line:
    ratio = rate["decant"] / rate[peer]
    return Line(
        what, f"{rate['decant']:,.0f}", f"{rate[peer]:,.0f}", f"{ratio:.1f}x", f"{promised:g}x", ratio >= promised
    )
