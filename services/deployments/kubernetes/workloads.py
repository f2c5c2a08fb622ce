"""Which predictor a Deployment, ReplicaSet or pod of Seldon's belongs to, long names too. Pure.

Seldon calls a Deployment `<deployment>-<predictor>-<index>-<containers>`, or by a hash of that where it has more than
63 characters. Labels of its pods tell all the same: the SeldonDeployment, the predictor's Service, the Deployment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.deployments.kubernetes.seldon import hashed_workloads, owner_of, service_name
from services.domain import Deployment

Object = Mapping[str, Any]

_QUOTED = re.compile(r'"([a-z0-9.-]+)"')
_DEPLOYMENT, _SERVICE, _WORKLOAD = "seldon-deployment-id", "seldon-app", "app"


class Workloads:
    """Finds owners among the predictors of one deployment. `made`: all pods and Deployments, for the names of these."""

    def __init__(self, deployment: Deployment, made: Iterable[Object] = ()) -> None:
        self._deployment = deployment
        self._names = [p.name for p in deployment.predictors]
        self._services = {service_name(deployment.name, name): name for name in self._names}
        self._hashed = {
            name: p.name
            for p in deployment.predictors
            for name in hashed_workloads(deployment.name, p.name, p.node_name)
        }
        for one in made:
            workload, owner = _labels(one).get(_WORKLOAD), self.of_object(one)
            if owner and workload and self.of(workload) is None:
                self._hashed[workload] = owner

    def of(self, workload: str) -> str | None:
        """The predictor that a Deployment, a ReplicaSet or a pod of this name belongs to."""
        if owner := owner_of(workload, self._deployment.name, self._names):
            return owner
        return next((owner for name, owner in self._hashed.items() if f"{workload}-".startswith(f"{name}-")), None)

    def named_in(self, words: str) -> frozenset[str]:
        """The predictors whose Deployments, pods or Services are named in quotes, as in what Kubernetes refuses."""
        names = _QUOTED.findall(words)
        return frozenset(owner for name in names if (owner := self._services.get(name) or self.of(name)))

    def of_object(self, made: Object) -> str | None:
        """The predictor that a pod or Deployment belongs to: by its labels, by its name where it has none of them."""
        metadata, labels = made.get("metadata") or {}, _labels(made)
        if metadata.get("namespace") != self._deployment.namespace:
            return None
        if labels.get(_DEPLOYMENT, self._deployment.name) != self._deployment.name:
            return None
        return self._services.get(labels.get(_SERVICE, "")) or self.of(str(metadata.get("name", "")))

    def of_predictor(self, predictor: str, made: Iterable[Object]) -> list[Object]:
        """The predictor's own among all pods, or all Deployments."""
        return [one for one in made if self.of_object(one) == predictor]


def _labels(made: Object) -> Mapping[str, str]:
    return (made.get("metadata") or {}).get("labels") or {}
