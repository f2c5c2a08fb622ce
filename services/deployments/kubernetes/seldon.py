"""What Seldon's operator makes of a SeldonDeployment, by name: its API group, services, Deployments and pods.

Names are Seldon's own (see the operator's documentation); nothing else in Decant builds one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

GROUP = "machinelearning.seldon.io"
VERSION = "v1"
PLURAL = "seldondeployments"
MANAGED = "app.kubernetes.io/managed-by=seldon-core"
"""The label of what Seldon's operator makes: Deployments and, by their templates, pods."""
SERVICE_PORT = 8000
MAX_NAME = 63


def collection(namespace: str | None = None) -> str:
    """Path of the SeldonDeployments of a namespace, or of the whole cluster."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{where}/{PLURAL}"


def item(namespace: str, name: str) -> str:
    """Path of one SeldonDeployment."""
    return f"{collection(namespace)}/{name}"


def core(namespace: str | None, plural: str) -> str:
    """Path of a kind of the core API, such as pods or events."""
    return f"/api/v1/namespaces/{namespace}/{plural}" if namespace else f"/api/v1/{plural}"


def apps_deployments(namespace: str | None) -> str:
    """Path of Kubernetes' own Deployments, in a namespace or the whole cluster."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments" if namespace else "/apis/apps/v1/deployments"


def service_name(deployment: str, predictor: str) -> str:
    """The predictor's own Service: requests to it reach this arm and no other."""
    name = f"{deployment}-{predictor}"
    return name if len(name) <= MAX_NAME else f"seldon-{_hash(name)}"


def hashed_workloads(deployment: str, predictor: str, node: str) -> list[str]:
    """What a predictor of one container may be called where its own name is too long; empty where it is not."""
    name = f"{workload_prefix(deployment, predictor)}0-{node}"
    return [f"seldon-{_hash(name)}", f"{deployment}-{_hash(name)}"] if len(name) > MAX_NAME else []


def workload_prefix(deployment: str, predictor: str) -> str:
    """How the names of the predictor's Deployments and pods begin: `<deployment>-<predictor>-<index>-...`."""
    return f"{deployment}-{predictor}-"


def owner_of(workload: str, deployment: str, predictors: Iterable[str]) -> str | None:
    """The predictor that a Deployment or pod of this name belongs to.

    A number follows the predictor's name, so `wine-a-0-x` is of `a` and not of `a-0`; the longest name that fits wins.
    """
    for name in sorted(predictors, key=len, reverse=True):
        prefix = workload_prefix(deployment, name)
        if workload.startswith(prefix) and workload[len(prefix) :].split("-", 1)[0].isdigit():
            return name
    return None


def _hash(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
