"""The live copies that the engine reads: one watch per kind and allowed namespace, or one per kind for the cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from services.deployments.kubernetes import routes
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.informer import Informer, Snapshot
from services.deployments.kubernetes.seldon import MANAGED, apps_deployments, collection, core
from services.deployments.kubernetes.wishes import past
from services.domain import Deployment, Split
from services.errors import DecantError, Forbidden, InvalidInput, Unavailable

Object = dict[str, Any]
Key = tuple[str, str]

SELDON_DEPLOYMENTS, APPS_DEPLOYMENTS, PODS, EVENTS = "seldondeployments", "deployments", "pods", "events"
UNSEEN = {APPS_DEPLOYMENTS: "The Deployments behind the arms", PODS: "Pods"}
"""What an account may do without, and what it misses then."""

STALE_S = 30.0
"""How long a copy that is no longer kept up may still say that a change is not carried out."""
LOST_S = 2.0
"""A watch that is opened again within this was not lost: some proxies end them every minute."""
LOOK_EVERY_S = 0.2


class Copies:
    """Hands out what the watches hold; starts each at its first use."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str], ingress: routes.Ingress) -> None:
        self._cluster, self._namespaces, self._ingress = cluster, tuple(namespaces), ingress
        self._informers: dict[tuple[str, str | None], Informer] = {}
        self._lock = threading.Lock()

    def check_allowed(self, namespace: str) -> None:
        """Raises InvalidInput for a namespace that the settings leave out."""
        if self._namespaces and namespace not in self._namespaces:
            raise InvalidInput(
                f"Namespace “{namespace}” is not one that Decant may use.",
                f"Allowed: {', '.join(self._namespaces)}.",
            )

    def deployments(self, namespace: str | None) -> dict[Key, Object]:
        """Every SeldonDeployment of the namespace, or of all that are allowed. Raises what keeps it from being read.

        A copy that is no longer kept up still counts, but an empty one proves nothing: there may be deployments by now.
        """
        if namespace is not None:
            self.check_allowed(namespace)
        found: dict[Key, Object] = {}
        lost: DecantError | None = None
        for scope in [self._scope(namespace)] if namespace else (self._namespaces or [None]):
            snapshot = self._read_deployments(scope)
            found.update(snapshot.objects)
            if snapshot.stale_since is not None and past(snapshot.stale_since, LOST_S):
                lost = lost or snapshot.error
        if lost is not None and not found:
            raise lost
        return {key: value for key, value in found.items() if namespace in (None, key[0])}

    def find(self, namespace: str, name: str) -> Object | None:
        return self._read_deployments(self._scope(namespace)).objects.get((namespace, name))

    def put(self, found: Object) -> None:
        """Take in a deployment as a write returned it."""
        self._informer(SELDON_DEPLOYMENTS, self._scope(found["metadata"]["namespace"])).put(found)

    def pods(self, namespace: str) -> list[Object]:
        """Seldon's pods in the namespace; none where the cluster does not let us see them (see `notice`)."""
        return self._of(PODS, namespace)

    def apps_deployments(self, namespace: str) -> list[Object]:
        """The Deployments that Seldon's operator made in the namespace.

        None where we may not see them or have not for a while (`notice`): they would say for ever what they said then.
        """
        return self._of(APPS_DEPLOYMENTS, namespace, STALE_S)

    def events(self, namespace: str) -> list[Object]:
        """Raises Forbidden where the cluster does not let us see them."""
        snapshot = self._informer(EVENTS, self._scope(namespace)).read()
        return [found for key, found in snapshot.objects.items() if key[0] == namespace]

    def notice(self, namespace: str) -> str:
        """What keeps the copies from being whole and fresh, in a sentence; empty when nothing does."""
        snapshot = self._informer(SELDON_DEPLOYMENTS, self._scope(namespace)).read()
        if snapshot.stale_since is not None:
            return f"What is shown is from {snapshot.stale_since:%H:%M:%S %Z}: {snapshot.problem}"
        return " ".join(said for kind in UNSEEN if (said := self._unseen(kind, namespace)))

    def _unseen(self, kind: str, namespace: str) -> str:
        try:
            snapshot = self._informer(kind, self._scope(namespace)).read()
        except (Forbidden, ApiRefused) as error:
            return f"{UNSEEN[kind]} cannot be seen: {error}"
        if snapshot.stale_since is not None:
            return f"{UNSEEN[kind]} are shown as of {snapshot.stale_since:%H:%M:%S %Z}: {snapshot.problem}"
        return ""

    def routed(self, deployment: Deployment) -> tuple[Split | None, str]:
        """The split that the ingress holds, or None and why it cannot be read ("" if nothing keeps it from being)."""
        found, missed = self._routes(deployment.namespace)
        split = routes.split_of(deployment, found)
        if split is not None or not missed:
            return split, ""
        return None, f"The routes of {self._ingress} cannot be read: {missed}"

    def zero_doubtful(self, deployment: Deployment, *, exists: bool) -> str:
        """Why nobody could see whether the ingress honours a share of 0; "" where its routes would tell."""
        if self._ingress == "none":
            return "no ingress is named whose routes would tell."
        found, missed = self._routes(deployment.namespace)
        if any(routes.annotated(one) for one in found):
            return "Seldon leaves a share of 0 out of Ambassador's annotations, which then divides equally."
        if missed:
            return missed
        if exists and routes.split_of(deployment, found) is None:
            return f"{self._ingress} has no route of it."
        if not exists and self._ingress == "ambassador" and not self._writes_mappings():
            return "no route in the cluster shows yet how Seldon writes them for Ambassador; one way loses a 0."
        return ""

    def _writes_mappings(self) -> bool:
        """Whether Seldon's operator writes Mappings here, which keep a share of 0, not annotations, which lose it."""
        scopes = self._namespaces or [None]
        mappings = [m for scope in scopes for m in self._informer(routes.MAPPINGS, scope).read().objects.values()]
        services = [s for scope in scopes for s in self._informer(routes.SERVICES, scope).read().objects.values()]
        return any(routes.of_seldon(one) for one in mappings) and not any(routes.of_seldon(one) for one in services)

    def _routes(self, namespace: str) -> tuple[list[Object], str]:
        """What the ingress holds in the namespace, and what of it cannot be read."""
        found: list[Object] = []
        missed = ""
        for kind in routes.KINDS[self._ingress]:
            try:
                found += self._of(kind, namespace)
            except Forbidden as error:
                missed = str(error)
            except ApiRefused as refused:
                if refused.status != 404:
                    raise
                missed = f"the cluster does not know {kind} of {self._ingress}."
        return found, missed

    def wait_for(self, namespace: str, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds: looks at the copies when a deployment changes, and often enough for routes."""
        deadline = time.monotonic() + timeout_s
        informer = self._informer(SELDON_DEPLOYMENTS, self._scope(namespace))
        while not informer.wait_for(condition, LOOK_EVERY_S):
            if time.monotonic() > deadline:
                return False
        return True

    def close(self) -> None:
        with self._lock:
            for informer in self._informers.values():
                informer.close()

    def _of(self, kind: str, namespace: str, usable_s: float | None = None) -> list[Object]:
        """What the copy holds of the namespace; nothing once it has not been kept up for `usable_s` seconds."""
        try:
            snapshot = self._informer(kind, self._scope(namespace)).read()
        except (Forbidden, ApiRefused):
            if kind not in UNSEEN:
                raise
            return []
        if usable_s is not None and snapshot.stale_since is not None and past(snapshot.stale_since, usable_s):
            return []
        return [found for key, found in snapshot.objects.items() if key[0] == namespace]

    def _read_deployments(self, scope: str | None) -> Snapshot:
        """Raises Unavailable where the cluster does not know the kind, or no longer: its objects went with it."""
        try:
            snapshot = self._informer(SELDON_DEPLOYMENTS, scope).read()
        except ApiRefused as refused:
            raise missing_crd() if refused.status == 404 else refused from refused
        if isinstance(snapshot.error, ApiRefused) and snapshot.error.status == 404:
            raise missing_crd()
        return snapshot

    def _scope(self, namespace: str) -> str | None:
        """Which watch covers the namespace: its own, or the one of the whole cluster."""
        return namespace if self._namespaces else None

    def _informer(self, kind: str, scope: str | None) -> Informer:
        with self._lock:
            if (kind, scope) not in self._informers:
                path, query = self._source(kind, scope)
                self._informers[kind, scope] = Informer(self._cluster, path, query)
            return self._informers[kind, scope]

    def _source(self, kind: str, scope: str | None) -> tuple[str, dict[str, str]]:
        if kind == SELDON_DEPLOYMENTS:
            return collection(scope), {}
        if kind == PODS:
            return core(scope, "pods"), {"labelSelector": MANAGED}
        if kind == APPS_DEPLOYMENTS:
            return apps_deployments(scope), {"labelSelector": MANAGED}
        if kind == EVENTS:
            return core(scope, "events"), {}
        return routes.path(kind, scope), {}


def missing_crd() -> Unavailable:
    """The cluster answers but does not know SeldonDeployments."""
    return Unavailable(
        "Seldon Core",
        "the cluster does not know the kind SeldonDeployment",
        "Install Seldon Core 1.x and its CRD in the cluster.",
    )
