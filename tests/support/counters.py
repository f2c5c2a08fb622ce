"""What the model servers themselves have counted, read from their metrics page."""

from __future__ import annotations

import httpx

from services.runtime.controller.replicas import ReplicaBook
from tests.support.system import System


def replica_ports(system: System, deployment: str, predictor: str) -> list[int]:
    book = ReplicaBook(system.settings.paths).all()
    return [r.port for r in book if (r.deployment, r.predictor) == (deployment, predictor)]


def _samples(port: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in httpx.get(f"http://127.0.0.1:{port}/prometheus").text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def _total(samples: dict[str, float], family: str, *labels: str) -> float:
    return sum(v for k, v in samples.items() if k.startswith(f"{family}{{") and all(label in k for label in labels))


def served_by(system: System, deployment: str, predictor: str) -> list[float]:
    family = "seldon_api_executor_server_requests_seconds_count"
    return [
        _total(_samples(port), family, 'service="predictions"', 'code="200"')
        for port in replica_ports(system, deployment, predictor)
    ]


def feedback_of(system: System, deployment: str, predictor: str) -> tuple[int, float]:
    samples = [_samples(port) for port in replica_ports(system, deployment, predictor)]
    count = sum(_total(s, "seldon_api_model_feedback_total") for s in samples)
    return int(count), sum(_total(s, "seldon_api_model_feedback_reward_total") for s in samples)
