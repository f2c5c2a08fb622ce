"""Reading one SeldonDeployment from the API server itself, past the watched copies."""

from __future__ import annotations

from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.refusals import translated
from services.deployments.kubernetes.seldon import item
from services.errors import NotFound

Object = dict[str, Any]


def read(cluster: Cluster, copies: Copies, namespace: str, name: str) -> Object:
    """The object as it is now. Raises NotFound, which names those that there are."""
    found = read_or_none(cluster, namespace, name)
    if found is None:
        raise NotFound("deployment", f"{namespace}/{name}", ["/".join(key) for key in copies.deployments(None)])
    return found


def read_or_none(cluster: Cluster, namespace: str, name: str) -> Object | None:
    try:
        return cluster.get(item(namespace, name))
    except ApiRefused as refused:
        if refused.reason == "NotFound":
            return None
        raise translated(name, refused) from refused
