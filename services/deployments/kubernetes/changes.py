"""Writing SeldonDeployments: each write bound to what was read before it, and refused where that is another's by now.

Every write is bound to the resourceVersion that was read (a deletion to the uid), made as field manager `decant`, and
says who and why. What other managers own is changed only when the caller says that it knows (`ChangeNote.take_over`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from services.deployments.containers import DEADLINE
from services.deployments.kubernetes.cluster import APPLY, JSON_PATCH, Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.happenings import announce
from services.deployments.kubernetes.ownership import MANAGER, foreign_manager, others_in
from services.deployments.kubernetes.reading import read, read_or_none
from services.deployments.kubernetes.refusals import overtaken, translated, undeclared
from services.deployments.kubernetes.seldon import collection, item
from services.deployments.kubernetes.status import change_of, check_writable, deployment_of, version_of
from services.deployments.kubernetes.wishes import with_times
from services.deployments.kubernetes.writing import applied_body, dropped_deadline, traffic_patch, without_deadline
from services.deployments.kubernetes.zero import doubtful, silenced
from services.deployments.manifest import to_manifest
from services.deployments.stamps import stamps
from services.domain import ChangeNote, Deployment, Split
from services.errors import Conflict, Foreign, InvalidDeployment

T = TypeVar("T")
Object = dict[str, Any]

ATTEMPTS = 5
"""Tries of a write that fails because the operator wrote its status between our read and our write."""


class Changes:
    """The writes of one engine. `impersonate`: as the person that a note names, so that the cluster's rules decide."""

    def __init__(self, cluster: Cluster, copies: Copies, *, impersonate: bool) -> None:
        self._cluster, self._copies, self._impersonate = cluster, copies, impersonate

    def apply(
        self, deployment: Deployment, note: ChangeNote, expected: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """Create it, or make it so; returns the object as it is then. The deployment must be valid.

        `expected` is the version that it must have, "" if it must not be there.
        """
        namespace, name = deployment.namespace, deployment.name
        query = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}
        bound: list[str | None] = [expected]

        def attempt() -> Object:
            present = read_or_none(self._cluster, namespace, name)
            self._check_zero(deployment, deployment_of(present)[0] if present else None)
            if present:
                check_writable(present)
            if present is None:
                bound[0] = bound[0] or ""  # whoever creates it before us is told of, not written over
                return self._create(deployment, note, bound[0], query)
            bound[0] = version_of(present) if bound[0] is None else bound[0]
            self._expect(present, bound[0], note)
            body = applied_body(deployment, _notes(note, deployment, present), present)
            return self._server_side_apply(item(namespace, name), body, note, query)

        made = self._writing(name, attempt)
        lost = dropped_deadline(to_manifest(deployment), made)
        if not dry_run:
            self._copies.put(made)
            announce(self._cluster, made, "Applied", f"applied: {deployment.split}{lost}", note)
        return made

    def move(
        self, namespace: str, name: str, split: Split, note: ChangeNote, expected_version: str | None = None
    ) -> tuple[Object, Object]:
        """Patch the shares; returns the object before and after."""
        bound: list[str | None] = [expected_version]

        def attempt() -> tuple[Object, Object]:
            present = read(self._cluster, self._copies, namespace, name)
            if problems := split.problems():
                raise InvalidDeployment(name, problems)
            # Whoever does not care about versions still must not overwrite a change made while this is tried again.
            bound[0] = bound[0] or version_of(present)
            self._expect(present, bound[0], note)
            moved = deployment_of(present)[0].with_split(split)
            self._check_zero(moved, deployment_of(present)[0])
            patch = traffic_patch(present, moved, _notes(note, moved, present))
            query = {"fieldManager": MANAGER}
            return present, self._cluster.send(
                "PATCH",
                item(namespace, name),
                patch,
                content_type=JSON_PATCH,
                query=query,
                as_user=self.acting_as(note),
            )

        before, after = self._writing(name, attempt)
        self._copies.put(after)
        told = f"traffic {deployment_of(before)[0].split} to {split}"
        announce(self._cluster, after, "TrafficMoved", told, note)
        return before, after

    def delete(self, namespace: str, name: str, note: ChangeNote) -> None:
        """Delete what was read, not what somebody made of the same name since."""

        def attempt() -> Object:
            present = read(self._cluster, self._copies, namespace, name)
            self._expect(present, None, note)
            check_writable(present)
            bound = {"preconditions": {"uid": present["metadata"]["uid"]}}
            self._cluster.send("DELETE", item(namespace, name), bound, as_user=self.acting_as(note))
            return present

        announce(self._cluster, self._writing(name, attempt), "Deleted", "deleted", note)

    def _create(
        self, deployment: Deployment, note: ChangeNote, expected: str | None, query: Mapping[str, str]
    ) -> Object:
        if expected:
            raise Conflict(f"Deployment “{deployment.key}”", "somebody deleted it")
        body = applied_body(deployment, _notes(note, deployment), None)
        # Not a server-side apply: only POST is refused when somebody else was quicker.
        return self._cluster.send(
            "POST", collection(deployment.namespace), body, query=query, as_user=self.acting_as(note)
        )

    def _server_side_apply(self, path: str, body: Object, note: ChangeNote, query: Mapping[str, str]) -> Object:
        def send(force: bool, body: Object = body) -> Object:
            forced = {**query, "force": "true"} if force else query
            try:
                return self._cluster.send(
                    "PATCH", path, body, content_type=APPLY, query=forced, as_user=self.acting_as(note)
                )
            except ApiRefused as refused:
                known = without_deadline(body)
                if known == body or not any(field.endswith(DEADLINE) for field in undeclared(refused)):
                    raise
                return send(force, known)

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

    def acting_as(self, note: ChangeNote) -> str:
        """Whose rights a call takes; "" for Decant's own."""
        return note.who if self._impersonate else ""


def _notes(note: ChangeNote, wanted: Deployment, present: Object | None = None) -> dict[str, str]:
    """The annotations of a write that makes `present` into `wanted`."""
    if present is None:
        return with_times(stamps(note), wanted, None, None, None)
    return with_times(stamps(note), wanted, present, deployment_of(present)[0], change_of(present)[1])
