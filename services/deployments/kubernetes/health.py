"""Whether the cluster behind the engine answers, knows SeldonDeployments, and lets requests in."""

from __future__ import annotations

import httpx

from services.deployments.identity import EngineIdentity
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.copies import missing_crd
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.seldon import GROUP, PLURAL, VERSION
from services.errors import Forbidden, Unavailable, without_secrets

TIMEOUT_S = 1.2
SYSTEM = "/api/v1/namespaces/kube-system"


def identity(cluster: Cluster, name: str = "") -> EngineIdentity:
    """Which cluster this is: by the `name` it was given, else by the id of its system namespace; by its address for an
    account that may not read that, which inside the pods of many clusters is one and the same.

    Raises Unavailable if the API server does not answer.
    """
    words = f"the cluster at {cluster.address}"
    if name:
        return EngineIdentity(f"cluster/{name}", f"the cluster {name} at {cluster.address}")
    try:
        return EngineIdentity(f"cluster/{cluster.get(SYSTEM)['metadata']['uid']}", words)
    except (Forbidden, ApiRefused):
        return EngineIdentity(f"cluster/{cluster.address}", words)


def api_server(cluster: Cluster) -> str:
    """Its version and address. Raises Unavailable, also for credentials that it does not accept."""
    version = cluster.get("/version").get("gitVersion", "an unknown version")
    return f"Kubernetes {version} at {cluster.address}"


def seldon_core(cluster: Cluster) -> str:
    """Raises Unavailable where the cluster does not know the kind SeldonDeployment."""
    try:
        kinds = cluster.get(f"/apis/{GROUP}/{VERSION}").get("resources") or []
    except ApiRefused as refused:
        if refused.status == 404:
            raise missing_crd() from refused
        raise
    if PLURAL not in [kind.get("name") for kind in kinds]:
        raise missing_crd()
    return f"{GROUP}/{VERSION}"


def ingress(url: str) -> str:
    """Any answer is one: the ingress has no page of its own. Raises Unavailable."""
    shown = without_secrets(url)
    try:
        httpx.head(url, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            "The ingress", f"{shown}: {error}", "Is DECANT_INGRESS_URL right, and may this machine reach it?"
        ) from error
    return shown
