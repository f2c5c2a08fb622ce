"""The objects of a stand-in API server, in memory: versions, generations, conditions of writes, and what watches see.

What it cannot show, and for what the same tests run on a real API server too (tests/support/api_server.py): who owns
which field (there is no conflict between managers, and what an apply leaves out stays), schemas and admission (any
object is taken), rights (everybody may do everything), and versions that expire. Nothing is garbage-collected.
"""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.deployments.kubernetes.seldon import GROUP, PLURAL, VERSION

Object = dict[str, Any]

KINDS: Mapping[tuple[str, str], str] = {
    ("v1", "namespaces"): "Namespace",
    ("v1", "pods"): "Pod",
    ("v1", "events"): "Event",
    ("v1", "services"): "Service",
    ("v1", "endpoints"): "Endpoints",
    ("apps/v1", "deployments"): "Deployment",
    ("batch/v1", "jobs"): "Job",
    ("v1", "resourcequotas"): "ResourceQuota",
    ("v1", "limitranges"): "LimitRange",
    (f"{GROUP}/{VERSION}", PLURAL): "SeldonDeployment",
    ("networking.istio.io/v1beta1", "virtualservices"): "VirtualService",
    ("getambassador.io/v2", "mappings"): "Mapping",
}
"""What is served, by (API version, plural)."""
_SERVERS_OWN = ("uid", "creationTimestamp", "generation", "managedFields", "namespace", "name", "resourceVersion")


class Refusal(Exception):
    """An answer of 400 and above, as the Status object tells it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names: a kind, in a namespace ("": in all of them), or one object of it."""

    api: str
    plural: str
    namespace: str = ""
    name: str = ""

    @property
    def named(self) -> str:
        """As messages name the object."""
        group = self.api.rpartition("/")[0]
        return f'{self.plural}{"." if group else ""}{group} "{self.name}"'

    def holds(self, other: Place) -> bool:
        """Whether the object at `other` is in this collection."""
        return (self.api, self.plural) == (other.api, other.plural) and self.namespace in ("", other.namespace)


@dataclass(frozen=True, slots=True)
class Happening:
    """One event that a watch is told."""

    version: int
    kind: str
    at: Place
    found: Object


class Store:
    """Thread-safe. Objects go in and come out as copies."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._objects: dict[Place, Object] = {}
        self._happenings: list[Happening] = []
        self._version = 1

    def get(self, at: Place) -> Object:
        with self._changed:
            return copy.deepcopy(self._there(at))

    def collection(self, at: Place) -> tuple[list[Object], int]:
        """The objects of a collection, and the version to watch from."""
        with self._changed:
            return [copy.deepcopy(found) for key, found in self._objects.items() if at.holds(key)], self._version

    def create(self, at: Place, wanted: Object, manager: str, *, dry_run: bool) -> Object:
        made = copy.deepcopy(wanted)
        metadata = made.setdefault("metadata", {})
        name = metadata.get("name") or f"{metadata.get('generateName', '')}{secrets.token_hex(4)}"
        place = replace(at, name=name)
        made |= {"apiVersion": at.api, "kind": KINDS[at.api, at.plural]}
        made.pop("status", None)
        metadata |= {"name": name, "uid": secrets.token_hex(16), "generation": 1, "creationTimestamp": _now()}
        if at.namespace:
            metadata["namespace"] = at.namespace
        metadata["managedFields"] = [_managed(manager, "Update", made)]
        with self._changed:
            if at.namespace and Place("v1", "namespaces", name=at.namespace) not in self._objects:
                raise Refusal(404, "NotFound", f'namespaces "{at.namespace}" not found')
            if place in self._objects:
                raise Refusal(409, "AlreadyExists", f"{place.named} already exists")
            return made if dry_run else self._keep(place, made, "ADDED")

    def change(
        self, at: Place, wanted: Callable[[Object], Object], manager: str, operation: str, *, dry_run: bool
    ) -> Object:
        """Put `wanted(present)` in the place of what is there; its status stays. Bound to the version that it names."""
        with self._changed:
            present = self._there(at)
            made = wanted(copy.deepcopy(present))
            self._bound(at, present, made)
            made["metadata"] = {**made.get("metadata", {}), **_kept(present)}
            made.pop("status", None)
            if "status" in present:
                made["status"] = present["status"]
            if made == present:
                return copy.deepcopy(present)  # as a real one: a write that changes nothing makes no version
            made["metadata"]["generation"] += made.get("spec") != present.get("spec")
            others = [one for one in present["metadata"]["managedFields"] if one["manager"] != manager]
            made["metadata"]["managedFields"] = [*others, _managed(manager, operation, made)]
            return made if dry_run else self._keep(at, made, "MODIFIED")

    def change_status(self, at: Place, wanted: Object) -> Object:
        """Put the status of `wanted` in the place of the one there; nothing else of it counts."""
        with self._changed:
            present = self._there(at)
            self._bound(at, present, wanted)
            made = {**copy.deepcopy(present), "status": copy.deepcopy(wanted.get("status", {}))}
            return copy.deepcopy(present) if made == present else self._keep(at, made, "MODIFIED")

    def delete(self, at: Place, uid: str) -> None:
        """`uid`: of the object that is meant; empty: whichever is there."""
        with self._changed:
            present = self._there(at)
            if uid not in ("", present["metadata"]["uid"]):
                raise Refusal(409, "Conflict", f"{at.named}: the UID in the precondition ({uid}) is not the object's")
            self._keep(at, copy.deepcopy(present), "DELETED")

    def after(self, at: Place, version: int, timeout_s: float) -> list[Happening]:
        """What happened to a collection since `version`; waits for something, and returns nothing if nothing comes."""

        def found() -> list[Happening]:
            return [one for one in self._happenings if one.version > version and at.holds(one.at)]

        with self._changed:
            return self._changed.wait_for(found, timeout_s) or []

    def _there(self, at: Place) -> Object:
        if at not in self._objects:
            raise Refusal(404, "NotFound", f"{at.named} not found")
        return self._objects[at]

    def _bound(self, at: Place, present: Object, wanted: Object) -> None:
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version and version != present["metadata"]["resourceVersion"]:
            words = "the object has been modified; please apply your changes to the latest version and try again"
            raise Refusal(409, "Conflict", f"Operation cannot be fulfilled on {at.named}: {words}")

    def _keep(self, at: Place, made: Object, kind: str) -> Object:
        self._version += 1
        made["metadata"]["resourceVersion"] = str(self._version)
        if kind == "DELETED":
            del self._objects[at]
        else:
            self._objects[at] = made
        self._happenings.append(Happening(self._version, kind, at, copy.deepcopy(made)))
        self._changed.notify_all()
        return copy.deepcopy(made)


def _kept(present: Object) -> Object:
    """The metadata that the server alone writes."""
    return {key: copy.deepcopy(present["metadata"][key]) for key in _SERVERS_OWN if key in present["metadata"]}


def _managed(manager: str, operation: str, made: Object) -> Object:
    """That a manager wrote the object: all of its spec, since nothing here knows parts of it."""
    fields: Object = {"f:spec": {f"f:{key}": {} for key in made.get("spec") or {}}}
    return {"manager": manager, "operation": operation, "time": _now(), "fieldsType": "FieldsV1", "fieldsV1": fields}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
