"""Prometheus of the local engine: its configuration, its targets and its command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from services.files import write_if_changed
from services.runtime.controller.replicas import Replica
from services.runtime.supervisor.config import Program
from services.settings import Settings, StatePaths

MODELS_JOB = "models"
GATEWAY_JOB = "gateway"
TARGETS_REREAD_S = 5  # beside the file watch, in case an event is lost


def targets_file(paths: StatePaths) -> Path:
    return paths.prometheus / "targets" / "models.json"


def write_targets(paths: StatePaths, replicas: Iterable[Replica]) -> bool:
    """Make Prometheus scrape exactly these replicas. Returns whether anything changed."""
    groups = [
        {
            "targets": [f"127.0.0.1:{r.port}"],
            "labels": {
                "namespace": r.namespace,
                "deployment_name": r.deployment,
                "predictor_name": r.predictor,
                "replica": f"{r.revision}-{r.index}",
            },
        }
        for r in sorted(replicas, key=lambda r: r.program)
    ]
    return write_if_changed(targets_file(paths), json.dumps(groups, indent=1))


def configuration(settings: Settings) -> str:
    """prometheus.yml: the model servers by file, the gateway's own counters by address."""
    return yaml.safe_dump(
        {
            "global": {
                "scrape_interval": f"{settings.scrape_interval_s}s",
                "scrape_timeout": f"{settings.scrape_interval_s}s",
                "evaluation_interval": "15s",
            },
            "scrape_configs": [
                {
                    "job_name": MODELS_JOB,
                    "metrics_path": "/prometheus",
                    "file_sd_configs": [
                        {"files": [str(targets_file(settings.paths))], "refresh_interval": f"{TARGETS_REREAD_S}s"}
                    ],
                },
                {
                    "job_name": GATEWAY_JOB,
                    "metrics_path": "/stats/prometheus",
                    "static_configs": [{"targets": [f"127.0.0.1:{settings.gateway_stats_port}"]}],
                },
            ],
        },
        sort_keys=False,
    )


def prepare(settings: Settings) -> None:
    """Write what Prometheus reads at its start."""
    write_if_changed(settings.paths.prometheus / "prometheus.yml", configuration(settings))
    if not targets_file(settings.paths).exists():
        write_targets(settings.paths, ())


def program(settings: Settings, binary: Path) -> Program:
    folder = settings.paths.prometheus
    return Program(
        name="prometheus",
        command=[
            str(binary),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={settings.prometheus_retention}",
            f"--web.listen-address=127.0.0.1:{settings.prometheus_port}",
            "--log.level=warn",
        ],
        priority=200,
    )
