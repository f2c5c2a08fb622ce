"""The engine on Kubernetes: SeldonDeployments written through the API server (`changes`), read back from watches."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.deployments.kubernetes import preflight
from services.deployments.kubernetes.changes import Changes
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.doctor import way_up
from services.deployments.kubernetes.happenings import told
from services.deployments.kubernetes.logs import tail_of
from services.deployments.kubernetes.options import ClusterOptions
from services.deployments.kubernetes.reading import read, read_or_none
from services.deployments.kubernetes.status import deployment_of, status_of, version_of
from services.deployments.kubernetes.ways import ServiceRelay, Ways
from services.deployments.kubernetes.workloads import Workloads
from services.deployments.kubernetes.zero import broken, silenced
from services.deployments.manifest import to_yaml
from services.domain import (
    ArmOption,
    ChangeNote,
    Deployment,
    DeploymentStatus,
    Endpoint,
    Event,
    Finding,
    ModelFacts,
    Relay,
    Split,
    Startup,
    check_name,
)
from services.errors import Unavailable

Object = dict[str, Any]

CONFIRM_TIMEOUT_S = 10.0
_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")


class KubernetesEngine:
    """Implements `services.deployments.engine.Engine`. Thread-safe; nothing is asked before the first call."""

    def __init__(self, options: ClusterOptions) -> None:
        self._options = options
        self._cluster = Cluster(options.kubeconfig, options.context)
        self._relay = ServiceRelay(self._cluster, impersonate=options.impersonate)
        self._copies = Copies(self._cluster, options.namespaces, options.ingress)
        self._changes = Changes(self._cluster, self._copies, impersonate=options.impersonate)

    @property
    def relay(self) -> Relay | None:
        return None if self._cluster.inside else self._relay

    def close(self) -> None:
        """End the watches."""
        self._copies.close()

    @property
    def loads_unseen(self) -> bool:
        return False  # when routes and pods change is the operator's, and both take a while

    @property
    def arm_options(self) -> frozenset[ArmOption]:
        return frozenset(ArmOption)

    def get(self, namespace: str, name: str) -> DeploymentStatus:
        self._check(namespace, name)
        return self._status(self._latest(namespace, name))

    def apply(
        self,
        deployment: Deployment,
        *,
        note: ChangeNote,
        expected_version: str | None = None,
        dry_run: bool = False,
    ) -> DeploymentStatus:
        return self._status(self._applied(deployment, note, expected_version, dry_run=dry_run))

    def set_traffic(
        self, namespace: str, name: str, split: Split, *, note: ChangeNote, expected_version: str | None = None
    ) -> DeploymentStatus:
        self._check(namespace, name)
        before, after = self._changes.move(namespace, name, split, note, expected_version)
        old, new = deployment_of(before)[0], deployment_of(after)[0]
        if not self._confirmed(new, bool(silent := silenced(new, old))):
            if not silent:
                raise Unavailable(
                    "Seldon's operator",
                    f"it did not report the split in force within {CONFIRM_TIMEOUT_S:g} s",
                    "The new split is saved and comes into force when the operator has carried it out.",
                )
            routed = self._copies.routed(new)[0]
            why = f"put back by Decant: the ingress did not take {' and '.join(silent)} to 0 %"
            self._changes.move(namespace, name, old.split, replace(note, why=why), version_of(after))
            raise broken(new, silent, routed, old.split)
        return self._status(self._copies.find(namespace, name) or after)

    def delete(self, namespace: str, name: str, *, note: ChangeNote) -> None:
        self._check(namespace, name)
        self._changes.delete(namespace, name, note)

    def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
        status = self.get(namespace, name)
        ways = Ways(self._options.ingress_url, "" if self._cluster.inside else self._cluster.address)
        if predictor is None:
            return ways.to_split(status)
        return ways.to_arm(status.deployment, status.deployment.predictor(predictor))

    def logs(self, namespace: str, name: str, predictor: str, tail: int = 100) -> list[str]:
        deployment = self.get(namespace, name).deployment
        deployment.predictor(predictor)
        pods = self._copies.pods(namespace)
        return tail_of(self._cluster, Workloads(deployment, pods).of_predictor(predictor, pods), tail)

    def events(self, namespace: str, name: str) -> list[Event]:
        found = self.get(namespace, name).deployment
        return told(
            self._copies.events(namespace),
            name,
            Workloads(found, [*self._copies.pods(namespace), *self._copies.apps_deployments(namespace)]),
        )

    def startup(self, namespace: str, name: str, predictor: str) -> Startup:
        self._check(namespace, name)
        found = self._latest(namespace, name)
        return way_up(self._cluster, self._copies, found, self._status(found), predictor)

    def preflight(
        self, deployment: Deployment, models: Mapping[str, ModelFacts], *, note: ChangeNote
    ) -> Sequence[Finding]:
        namespace, name = deployment.namespace, deployment.name
        self._check(namespace, name)
        found = read_or_none(self._cluster, namespace, name)
        present = self._status(found) if found else None
        return preflight.findings(
            self._cluster, self._copies, deployment, present, models, self._changes.acting_as(note)
        )

    def preview(self, deployment: Deployment, *, note: ChangeNote) -> str:
        return _shown(self._applied(deployment, replace(note, take_over=True), dry_run=True))

    def manifest(self, namespace: str, name: str) -> str:
        self._check(namespace, name)
        return _shown(self._latest(namespace, name))

    # Last, because from here on the name `list` means this method.
    def list(self, namespace: str | None = None) -> list[DeploymentStatus]:
        found = self._copies.deployments(namespace)
        return [self._status(found[key]) for key in sorted(found)]

    # -- behind them -----------------------------------------------------------------------------------------------

    def _applied(
        self, deployment: Deployment, note: ChangeNote, expected: str | None = None, *, dry_run: bool
    ) -> Object:
        deployment.validated()
        self._check(deployment.namespace, deployment.name)
        return self._changes.apply(deployment, note, expected, dry_run=dry_run)

    def _confirmed(self, moved: Deployment, by_routes: bool) -> bool:
        """Wait until the split is in force; `by_routes`: the operator's word is not enough."""
        wanted = moved.split.as_dict()

        def in_force() -> bool:
            if by_routes:
                split = self._copies.routed(moved)[0]
            else:
                found = self._copies.find(moved.namespace, moved.name)
                split = self._status(found).in_force if found else None
            return split is not None and split.as_dict() == wanted

        return self._copies.wait_for(moved.namespace, in_force, CONFIRM_TIMEOUT_S)

    def _latest(self, namespace: str, name: str) -> Object:
        return self._copies.find(namespace, name) or read(self._cluster, self._copies, namespace, name)

    def _status(self, found: Object) -> DeploymentStatus:
        namespace = found["metadata"]["namespace"]
        routed, notice = self._copies.routed(deployment_of(found)[0])
        notices = " ".join(said for said in (notice, self._copies.notice(namespace)) if said)
        return status_of(found, self._copies.pods(namespace), routed, notices, self._copies.apps_deployments(namespace))

    def _check(self, namespace: str, name: str) -> None:
        check_name("namespace", namespace)
        check_name("deployment", name)
        self._copies.check_allowed(namespace)


def _shown(found: Object) -> str:
    """An object as a person would write it: without what the server adds."""
    made = copy.deepcopy(found)
    for field in _SERVER_FIELDS:
        made.get("metadata", {}).pop(field, None)
    return to_yaml({key: made[key] for key in ("apiVersion", "kind", "metadata", "spec") if key in made})
