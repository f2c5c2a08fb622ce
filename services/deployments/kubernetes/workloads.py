"""Which predictor a Deployment, ReplicaSet or pod of Seldon's belongs to, long names too. Pure.

Seldon calls a Deployment `<deployment>-<predictor>-<index>-<containers>`, or by a hash of that where it has more than
63 characters. Labels of its pods tell all the same: the SeldonDeployment, the predictor's Service, the Deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.deployments.kubernetes.seldon import hashed_workloads, owner_of, service_name
from services.domain import Deployment

Object = Mapping[str, Any]

_DEPLOYMENT, _SERVICE, _WORKLOAD = "seldon-deployment-id", "seldon-app", "app"


class Workloads:
    """Finds owners among the predictors of one deployment. `pods`: all that are known, for their Deployments' names."""

    def __init__(self, deployment: Deployment, pods: Iterable[Object] = ()) -> None:
        self._deployment = deployment
        self._names = [p.name for p in deployment.predictors]
        self._services = {service_name(deployment.name, name): name for name in self._names}
        self._hashed = {
            name: p.name
            for p in deployment.predictors
            for name in hashed_workloads(deployment.name, p.name, p.node_name)
        }
        for pod in pods:
            workload, owner = _labels(pod).get(_WORKLOAD), self.of_pod(pod)
            if owner and workload and self.of(workload) is None:
                self._hashed[workload] = owner

    def of(self, workload: str) -> str | None:
        """The predictor that a Deployment, a ReplicaSet or a pod of this name belongs to."""
        if owner := owner_of(workload, self._deployment.name, self._names):
            return owner
        return next((owner for name, owner in self._hashed.items() if f"{workload}-".startswith(f"{name}-")), None)

    def of_pod(self, pod: Object) -> str | None:
        """The predictor that a pod belongs to: by its labels, by its name where it has none of them."""
        metadata, labels = pod.get("metadata") or {}, _labels(pod)
        if metadata.get("namespace") != self._deployment.namespace:
            return None
        if labels.get(_DEPLOYMENT, self._deployment.name) != self._deployment.name:
            return None
        return self._services.get(labels.get(_SERVICE, "")) or self.of(str(metadata.get("name", "")))

    def pods_of(self, predictor: str, pods: Iterable[Object]) -> list[Object]:
        """The predictor's pods among all."""
        return [pod for pod in pods if self.of_pod(pod) == predictor]


def _labels(pod: Object) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get("labels") or {}
