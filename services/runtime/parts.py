"""The fixed parts of an installation: how each is started and how one sees that it answers.

What serves models (gateway, controller) is among them only where this machine does; a cluster brings its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.runtime import prometheus
from services.runtime.controller.status import HEARTBEAT_STALE_S, heartbeat_age_s
from services.runtime.envoy.admin import EnvoyAdmin
from services.runtime.envoy.bootstrap import admin_socket
from services.runtime.envoy.bootstrap import command as envoy_command
from services.runtime.supervisor.config import Program
from services.settings import Settings

PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Part:
    """One fixed process. `label` is how pages and messages call it; `answers` raises nothing and never blocks long."""

    label: str
    program: Program
    answers: Callable[[], bool]
    port: int | None = None
    setting: str = ""


def parts(settings: Settings, prometheus_binary: Path | None) -> list[Part]:
    """Every fixed part of this installation, in the order in which they start."""
    found = _serving(settings) if settings.runs_locally else []
    if settings.runs_mlflow:
        found.append(_mlflow(settings))
    if settings.runs_prometheus and prometheus_binary is not None:
        found.append(
            Part(
                "Prometheus",
                prometheus.program(settings, prometheus_binary),
                lambda: answers_ok(f"{settings.prometheus_address}/-/ready"),
                settings.prometheus_port,
                "DECANT_PROMETHEUS_PORT",
            )
        )
    found.append(
        Part(
            "worker",
            Program(name="worker", command=[sys.executable, "-m", "services.jobs.worker"], priority=300, stop_s=15),
            lambda: _beats(settings, "worker"),
        )
    )
    found.append(_dashboard(settings))
    return found


def _serving(settings: Settings) -> list[Part]:
    return [
        Part(
            "gateway",
            Program(name="envoy", command=envoy_command(settings), priority=100),
            EnvoyAdmin(admin_socket(settings)).ready,
            settings.gateway_port,
            "DECANT_GATEWAY_PORT",
        ),
        Part(
            "controller",
            Program(
                name="controller", command=[sys.executable, "-m", "services.deployments.local_controller"], priority=150
            ),
            lambda: _beats(settings, "controller"),
        ),
    ]


def _mlflow(settings: Settings) -> Part:
    # Called by its module name: the runtime knows processes, and only services.tracking knows MLflow.
    command = [sys.executable, "-m", "services.tracking.server"]
    return Part(
        "MLflow server",
        Program(
            name="mlflow",
            command=[*command, "--folder", str(settings.paths.mlflow), "--port", str(settings.mlflow_port)],
            priority=200,
        ),
        lambda: answers_ok(f"{settings.tracking_uri}/health"),
        settings.mlflow_port,
        "DECANT_MLFLOW_PORT",
    )


def _dashboard(settings: Settings) -> Part:
    return Part(
        "dashboard",
        Program(
            name="dashboard",
            command=[sys.executable, "-m", "services.runtime.dashboard"],
            priority=400,
        ),
        lambda: answers_ok(f"{settings.dashboard_url}/_stcore/health"),
        settings.dashboard_port,
        "DECANT_DASHBOARD_PORT",
    )


def page_answers(settings: Settings) -> bool:
    """Whether the first page really renders: Streamlit runs the script once for this question."""
    return answers_ok(f"{settings.dashboard_url}/_stcore/script-health-check", timeout_s=60)


def answers_ok(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    try:
        return httpx.get(url, timeout=timeout_s, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _beats(settings: Settings, part: str) -> bool:
    age_s = heartbeat_age_s(settings.paths, part)
    return age_s is not None and age_s < HEARTBEAT_STALE_S
