"""The engine on Kubernetes: SeldonDeployments written through the API server, read back from watches.

Every write is bound to what was read (its resourceVersion, a deletion to its uid), made as field manager `decant`, and
says who and why. What other managers own is changed only when the caller says that it knows (`ChangeNote.take_over`).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from services.deployments.kubernetes import preflight
from services.deployments.kubernetes.cluster import APPLY, JSON_PATCH, Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.doctor import way_up
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.happenings import announce, told
from services.deployments.kubernetes.logs import tail_of
from services.deployments.kubernetes.options import ClusterOptions
from services.deployments.kubernetes.ownership import MANAGER, foreign_manager, others_in
from services.deployments.kubernetes.refusals import overtaken, translated
from services.deployments.kubernetes.seldon import collection, item
from services.deployments.kubernetes.status import change_of, check_writable, deployment_of, status_of, version_of
from services.deployments.kubernetes.ways import ServiceRelay, Ways
from services.deployments.kubernetes.writing import applied_body, traffic_patch
from services.deployments.kubernetes.zero import broken, doubtful, silenced
from services.deployments.manifest import to_yaml
from services.deployments.stamps import stamps
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
from services.errors import Conflict, Foreign, InvalidDeployment, NotFound, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
Object = dict[str, Any]

CONFIRM_TIMEOUT_S = 10.0
ATTEMPTS = 5
"""Tries of a write that fails because the operator wrote its status between our read and our write."""
_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")


class KubernetesEngine:
    """Implements `services.deployments.engine.Engine`. Thread-safe; nothing is asked before the first call."""

    def __init__(self, options: ClusterOptions) -> None:
        self._options = options
        self._cluster = Cluster(options.kubeconfig, options.context)
        self._relay = ServiceRelay(self._cluster)
        self._copies = Copies(self._cluster, options.namespaces, options.ingress)

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
        return self._status(self._copies.find(namespace, name) or self._read(namespace, name))

    def apply(
        self,
        deployment: Deployment,
        *,
        note: ChangeNote,
        expected_version: str | None = None,
        dry_run: bool = False,
    ) -> DeploymentStatus:
        return self._status(self._apply(deployment, note, expected_version, dry_run))

    def set_traffic(
        self, namespace: str, name: str, split: Split, *, note: ChangeNote, expected_version: str | None = None
    ) -> DeploymentStatus:
        self._check(namespace, name)
        before, after = self._move(namespace, name, split, note, expected_version)
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
            self._move(namespace, name, old.split, replace(note, why=why), version_of(after))
            raise broken(new, silent, routed, old.split)
        return self._status(self._copies.find(namespace, name) or after)

    def _move(
        self, namespace: str, name: str, split: Split, note: ChangeNote, expected_version: str | None
    ) -> tuple[Object, Object]:
        """Patch the shares; returns the object before and after."""
        bound: list[str | None] = [expected_version]

        def attempt() -> tuple[Object, Object]:
            present = self._read(namespace, name)
            if problems := split.problems():
                raise InvalidDeployment(name, problems)
            # Whoever does not care about versions still must not overwrite a change made while this is tried again.
            bound[0] = bound[0] or version_of(present)
            self._expect(present, bound[0], note)
            moved = deployment_of(present)[0].with_split(split)
            self._check_zero(moved, deployment_of(present)[0])
            patch = traffic_patch(present, moved, stamps(note))
            query = {"fieldManager": MANAGER}
            return present, self._cluster.send(
                "PATCH", item(namespace, name), patch, content_type=JSON_PATCH, query=query, as_user=self._as(note)
            )

        before, after = self._writing(name, attempt)
        self._copies.put(after)
        told = f"traffic {deployment_of(before)[0].split} to {split}"
        announce(self._cluster, after, "TrafficMoved", told, note)
        return before, after

    def delete(self, namespace: str, name: str, *, note: ChangeNote) -> None:
        self._check(namespace, name)

        def attempt() -> Object:
            present = self._read(namespace, name)
            self._expect(present, None, note)
            check_writable(present)
            bound = {"preconditions": {"uid": present["metadata"]["uid"]}}
            self._cluster.send("DELETE", item(namespace, name), bound, as_user=self._as(note))
            return present

        announce(self._cluster, self._writing(name, attempt), "Deleted", "deleted", note)

    def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
        status = self.get(namespace, name)
        ways = Ways(self._options.ingress_url, "" if self._cluster.inside else self._cluster.address)
        if predictor is None:
            return ways.to_split(status)
        return ways.to_arm(status.deployment, status.deployment.predictor(predictor))

    def logs(self, namespace: str, name: str, predictor: str, tail: int = 100) -> list[str]:
        deployment = self.get(namespace, name).deployment
        deployment.predictor(predictor)
        names = [p.name for p in deployment.predictors]
        return tail_of(self._cluster, self._copies.pods(namespace), name, predictor, names, tail)

    def events(self, namespace: str, name: str) -> list[Event]:
        found = self.get(namespace, name).deployment
        return told(self._copies.events(namespace), name, [p.name for p in found.predictors])

    def startup(self, namespace: str, name: str, predictor: str) -> Startup:
        return way_up(self._cluster, self._copies, self.get(namespace, name), predictor)

    def preflight(
        self, deployment: Deployment, models: Mapping[str, ModelFacts], *, note: ChangeNote
    ) -> Sequence[Finding]:
        namespace, name = deployment.namespace, deployment.name
        self._check(namespace, name)
        found = self._read_or_none(namespace, name)
        present = self._status(found) if found else None
        return preflight.findings(self._cluster, self._copies, deployment, present, models, self._as(note))

    def preview(self, deployment: Deployment, *, note: ChangeNote) -> str:
        return _shown(self._apply(deployment, replace(note, take_over=True), None, dry_run=True))

    def manifest(self, namespace: str, name: str) -> str:
        self._check(namespace, name)
        return _shown(self._copies.find(namespace, name) or self._read(namespace, name))

    # Last, because from here on the name `list` means this method.
    def list(self, namespace: str | None = None) -> list[DeploymentStatus]:
        found = self._copies.deployments(namespace)
        return [self._status(found[key]) for key in sorted(found)]

    # -- writing ---------------------------------------------------------------------------------------------------

    def _apply(self, deployment: Deployment, note: ChangeNote, expected: str | None, dry_run: bool) -> Object:
        deployment.validated()
        namespace, name = deployment.namespace, deployment.name
        self._check(namespace, name)
        query = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}
        bound: list[str | None] = [expected]

        def attempt() -> Object:
            present = self._read_or_none(namespace, name)
            self._check_zero(deployment, deployment_of(present)[0] if present else None)
            if present:
                check_writable(present)
            if present is None:
                bound[0] = bound[0] or ""  # whoever creates it before us is told of, not written over
                return self._create(deployment, note, bound[0], query)
            bound[0] = version_of(present) if bound[0] is None else bound[0]
            self._expect(present, bound[0], note)
            body = applied_body(deployment, stamps(note), present)
            return self._server_side_apply(item(namespace, name), body, note, query)

        made = self._writing(name, attempt)
        if not dry_run:
            self._copies.put(made)
            announce(self._cluster, made, "Applied", f"applied: {deployment.split}", note)
        return made

    def _create(
        self, deployment: Deployment, note: ChangeNote, expected: str | None, query: Mapping[str, str]
    ) -> Object:
        if expected:
            raise Conflict(f"Deployment “{deployment.key}”", "somebody deleted it")
        body = applied_body(deployment, stamps(note), None)
        # Not a server-side apply: only POST is refused when somebody else was quicker.
        return self._cluster.send("POST", collection(deployment.namespace), body, query=query, as_user=self._as(note))

    def _server_side_apply(self, path: str, body: Object, note: ChangeNote, query: Mapping[str, str]) -> Object:
        def send(force: bool) -> Object:
            forced = {**query, "force": "true"} if force else query
            return self._cluster.send("PATCH", path, body, content_type=APPLY, query=forced, as_user=self._as(note))

        try:
            return send(force=note.take_over)
        except ApiRefused as refused:
            if not refused.owned:
                raise
            if others := others_in(refused):
                raise Foreign(
                    f"Deployment “{body['metadata']['name']}”", others, [o.field for o in refused.owned]
                ) from refused
            # Only our own earlier writes (a creation, a moved split) hold these fields, under another operation.
            return send(force=True)

    def _writing(self, name: str, attempt: Callable[[], T]) -> T:
        """Run a read-and-write; again while only the operator's status writes were in its way."""
        for last in [False] * (ATTEMPTS - 1) + [True]:
            try:
                return attempt()
            except ApiRefused as refused:
                if last or not overtaken(refused):
                    raise translated(name, refused) from refused
        raise AssertionError("unreachable")

    def _expect(self, present: Object, expected: str | None, note: ChangeNote) -> None:
        """Raises Conflict if another version is there, and Foreign if it is another manager's and nobody said so."""
        metadata = present["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"
        if expected is not None and version_of(present) != expected:
            who, when = change_of(present)
            at = f" at {when:%Y-%m-%d %H:%M:%S %Z}" if when else ""
            raise Conflict(f"Deployment “{key}”", f"{who or 'somebody'} changed it{at}")
        if (other := foreign_manager(present)) and not note.take_over:
            raise Foreign(f"Deployment “{key}”", [other])

    def _check_zero(self, wanted: Deployment, present: Deployment | None) -> None:
        """Raises InvalidInput where an arm is to get nothing and nobody could see whether that is so."""
        silent = silenced(wanted, present)
        if silent and (why := self._copies.zero_doubtful(wanted, exists=present is not None)):
            raise doubtful(wanted, silent, why)

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

    def _as(self, note: ChangeNote) -> str:
        return note.who if self._options.impersonate else ""

    # -- reading ---------------------------------------------------------------------------------------------------

    def _status(self, found: Object) -> DeploymentStatus:
        namespace = found["metadata"]["namespace"]
        routed, notice = self._copies.routed(deployment_of(found)[0])
        notices = " ".join(said for said in (notice, self._copies.notice(namespace)) if said)
        return status_of(found, self._copies.pods(namespace), routed, notices)

    def _read(self, namespace: str, name: str) -> Object:
        found = self._read_or_none(namespace, name)
        if found is None:
            raise NotFound(
                "deployment", f"{namespace}/{name}", ["/".join(key) for key in self._copies.deployments(None)]
            )
        return found

    def _read_or_none(self, namespace: str, name: str) -> Object | None:
        try:
            return self._cluster.get(item(namespace, name))
        except ApiRefused as refused:
            if refused.reason == "NotFound":
                return None
            raise translated(name, refused) from refused

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
