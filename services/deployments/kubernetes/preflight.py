"""What would keep a deployment from working in this cluster: its models for Seldon's server, rights, quota."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.deployments.kubernetes import permission, quota, server_checks
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.seldon import core
from services.domain import V2, Deployment, DeploymentStatus, Finding, ModelFacts, Severity
from services.errors import Forbidden

SELDON_READS = ("s3", "gs", "http", "https", "pvc")


def findings(
    cluster: Cluster,
    copies: Copies,
    deployment: Deployment,
    present: DeploymentStatus | None,
    models: Mapping[str, ModelFacts],
    person: str,
) -> list[Finding]:
    """All of them. What the account may not see is not judged; raises Unavailable without a cluster."""
    namespace = deployment.namespace
    found = list(_places(deployment))
    found += server_checks.findings(deployment, models, server_checks.server_version(copies.pods(namespace)))
    found += permission.findings(
        cluster, namespace, exists=present is not None, person=person, v2=deployment.protocol == V2
    )
    before = present.deployment if present else None
    try:
        quotas, ranges = _items(cluster, namespace, "resourcequotas"), _items(cluster, namespace, "limitranges")
    except (Forbidden, ApiRefused):
        return found
    return [*found, *quota.findings(deployment, before, quotas, ranges)]


def _places(deployment: Deployment) -> Iterator[Finding]:
    for predictor in deployment.predictors:
        scheme, separator, _ = predictor.model_uri.partition("://")
        if not separator or scheme not in SELDON_READS:
            yield Finding(
                Severity.BLOCKS,
                "place",
                f"Seldon cannot read {predictor.model_uri}.",
                "Set DECANT_MODEL_STORE, and Decant copies models to where Seldon reads them before it applies.",
                predictor.name,
            )


def _items(cluster: Cluster, namespace: str, plural: str) -> list[dict[str, Any]]:
    found = cluster.get(core(namespace, plural)).get("items")
    return found if isinstance(found, list) else []
