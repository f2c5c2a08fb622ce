"""A stand-in for Seldon's operator that only writes objects: every SeldonDeployment is Available at once.

It writes the Deployments (and their figures, as the Deployment controller would), the routes and the status, which, as
the real one's, does not say which generation it is of.
It runs no model and makes no pod. A deployment in `held` keeps the status it has, so that a test can write one by hand;
for one in `lossy` the Mappings lose a weight of 0, as they do in seldon-core issue 4067.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.informer import Informer
from services.deployments.kubernetes.seldon import collection, item
from services.errors import DecantError
from tests.support import rollouts
from tests.support.ingress import shares_of, write_mappings, write_virtual_service

TRIES = 5


def available(found: dict[str, Any]) -> dict[str, Any]:
    """The status of a deployment whose every replica runs."""
    counts = {
        rollouts.name_of(found, p): {
            "replicas": p.get("replicas", 1),
            "availableReplicas": p.get("replicas", 1),
        }
        for p in found["spec"]["predictors"]
    }
    return {
        "state": "Available",
        "deploymentStatus": counts,
        "conditions": [{"type": "DeploymentsReady", "status": "True"}],
    }


class StatusOperator:
    """Use as a context: writes status until left."""

    def __init__(self, cluster: Cluster) -> None:
        self.held: set[str] = set()
        self.lossy: set[str] = set()
        self._cluster = cluster
        self._done: dict[str, int] = {}
        """The generation that was carried out last, by uid."""
        self._informer = Informer(cluster, collection())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> StatusOperator:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._informer.close()
        self._thread.join(timeout=10)

    def write(self, namespace: str, name: str, status: dict[str, Any]) -> None:
        """Write a status by hand. The old one is replaced, not merged."""
        path = item(namespace, name)
        for last in [False] * (TRIES - 1) + [True]:
            try:
                self._cluster.send("PUT", f"{path}/status", {**self._cluster.get(path), "status": status})
                return
            except ApiRefused as refused:
                if last or refused.reason != "Conflict":  # somebody wrote between our read and our write
                    raise

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._informer.wait_for(lambda: self._stopped.is_set() or bool(self._stale()), 0.5)
            for found in self._stale():
                metadata = found["metadata"]
                try:
                    self._route(found)
                    rollouts.roll_out(self._cluster, found)
                    self.write(metadata["namespace"], metadata["name"], available(found))
                    self._done[metadata["uid"]] = metadata["generation"]
                except DecantError:
                    self._stopped.wait(0.1)  # changed or deleted meanwhile, or no server: the next look sees it

    def _route(self, found: dict[str, Any]) -> None:
        shares = shares_of(found)
        write_virtual_service(self._cluster, found, shares)
        lossy = "/".join((found["metadata"]["namespace"], found["metadata"]["name"])) in self.lossy
        weights = {
            arm: None if not place or (lossy and not share) else share
            for place, (arm, share) in enumerate(shares.items())
        }
        write_mappings(self._cluster, found, weights)

    def _stale(self) -> list[dict[str, Any]]:
        return [
            found
            for key, found in self._informer.read().objects.items()
            if "/".join(key) not in self.held
            and self._done.get(found["metadata"]["uid"]) != found["metadata"]["generation"]
        ]
