"""Deployments made through the services, for tests that begin where somebody else's work has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from services.domain import ChangeNote, Deployment, DeploymentStatus, Predictor
from services.errors import NotFound
from services.factory import Services
from tests.support.waiting import wait_until

NAMESPACE, NAME = "seldon", "mlflow-deployment"
READY_S = 120


def deploy(
    services: Services,
    name: str,
    models: Mapping[str, Path | str],
    shares: tuple[int, ...],
    protocol: str = "seldon",
) -> DeploymentStatus:
    """Deploy `models` (by arm) as `name` unless there is one already, and wait until all its arms are ready."""
    try:
        services.engine.get(NAMESPACE, name)
    except NotFound:
        wanted = replace(_deployment(services, name, models, shares), protocol=protocol)
        services.operations.apply(wanted, note=ChangeNote("ann", "a test"))

    def settled() -> DeploymentStatus | None:
        status = services.engine.get(NAMESPACE, name)
        return status if status.settled else None

    found = wait_until(settled, timeout_s=READY_S, what=f"{name} to be ready")
    assert found is not None
    return found


def _deployment(services: Services, name: str, models: Mapping[str, Path | str], shares: tuple[int, ...]) -> Deployment:
    found = {arm: services.models.resolve(str(reference)) for arm, reference in models.items()}
    return Deployment(
        NAMESPACE,
        name,
        tuple(
            Predictor(arm, model.uri, traffic=share, provenance=model.provenance, parameters=model.parameters)
            for (arm, model), share in zip(found.items(), shares, strict=True)
        ),
    )
