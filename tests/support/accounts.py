"""Service accounts with what manifests/decant gives them, what the API server says they may do, and what they did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.rendered_manifests import DECANT, render
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.options import ClusterOptions
from services.deployments.kubernetes.routes import Ingress
from services.deployments.kubernetes.seldon import core
from services.domain import Deployment, Predictor
from tests.support.api_server import TestCluster
from tests.support.waiting import wait_until

DASHBOARD, WORKER, SENDER = "dashboard", "worker", "sender"
ACCOUNTS = (DASHBOARD, WORKER, SENDER)
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SELF = "authorization.k8s.io"
"""The group in which everybody may ask about themselves."""
LOOKS = {
    DASHBOARD: ("decant-dashboard",),
    WORKER: ("decant-worker", "decant-sender"),
    SENDER: ("decant-sender",),
}
"""The Roles by which each sees what there is."""

Object = dict[str, Any]
Right = tuple[str, str, str]
"""Group, resource with its subresource, verb."""


def rights_of(rules: Iterable[Object]) -> frozenset[Right]:
    return frozenset(
        (group, resource, verb)
        for rule in rules
        for group in rule.get("apiGroups") or []
        for resource in rule.get("resources") or []
        for verb in rule["verbs"]
        if group != SELF
    )


@dataclass(frozen=True)
class Account:
    """One account in a namespace of its own, and its kubeconfig."""

    cluster: TestCluster
    name: str
    home: str
    kubeconfig: Path

    @property
    def api(self) -> Cluster:
        return Cluster(str(self.kubeconfig))

    def may(self, namespace: str) -> frozenset[Right]:
        """All that the API server lets it do in a namespace, wherever it has that from."""
        asked = {"apiVersion": f"{SELF}/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
        answer = self.api.send("POST", f"/apis/{SELF}/v1/selfsubjectrulesreviews", asked)
        return rights_of(answer["status"]["resourceRules"])

    def wait_for(self, rights: frozenset[Right], namespace: str) -> None:
        wait_until(lambda: self.may(namespace) == rights, what=f"{self.name} to have its rights, and no other")

    def did(self, namespace: str, *, since: int = 0) -> frozenset[tuple[Right, int]]:
        """What it asked in a namespace under its own rights, and the codes of the answers (0 for a watch that goes on);
        `since` as `mark` said."""
        assert self.cluster.audit is not None
        user = f"system:serviceaccount:{self.home}:{self.name}"
        found = set()
        for line in self.cluster.audit.read_text()[since:].splitlines():
            event = json.loads(line)
            about = event.get("objectRef") or {}
            own = event["user"]["username"] == user and "impersonatedUser" not in event
            # Before a request is looked at nobody knows that it is made as another; what is watched never is.
            counts = event["stage"] != "RequestReceived" or event["verb"] == "watch"
            if own and counts and about.get("namespace") == namespace and about.get("apiGroup") != SELF:
                resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
                right = (about.get("apiGroup", ""), resource, event["verb"])
                found.add((right, int(event.get("responseStatus", {}).get("code", 0))))
        return frozenset(found)

    def mark(self) -> int:
        assert self.cluster.audit is not None
        return len(self.cluster.audit.read_text()) if self.cluster.audit.exists() else 0


def make_account(cluster: TestCluster, name: str, home: str, folder: Path) -> Account:
    """One without any right."""
    cluster.admin.send("POST", core(home, "serviceaccounts"), {"metadata": {"name": name}})
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = cluster.admin.send("POST", f"{core(home, 'serviceaccounts')}/{name}/token", asked)
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": made["status"]["token"]}}]
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    return Account(cluster, name, home, file)


def give(cluster: TestCluster, folder: str, namespace: str, home: str) -> dict[str, frozenset[Right]]:
    """Make the Roles and bindings of a folder of manifests/decant in a namespace; their rights by the Role's name."""
    return _made(cluster, yaml.safe_load_all(render(DECANT / folder)), namespace, home)


def give_own(cluster: TestCluster, namespace: str, home: str) -> dict[str, frozenset[Right]]:
    """What manifests/decant/base gives in Decant's own namespace."""
    files = (DECANT / "base" / f"{name}.yaml" for name in ("role", "rolebinding"))
    return _made(cluster, (yaml.safe_load(file.read_text()) for file in files), namespace, home)


def _made(cluster: TestCluster, objects: Iterable[Object], namespace: str, home: str) -> dict[str, frozenset[Right]]:
    found = {}
    for one in objects:
        one["metadata"]["namespace"] = namespace
        for subject in one.get("subjects", []):
            subject["namespace"] = home
        cluster.admin.send("POST", f"{RBAC}/namespaces/{namespace}/{one['kind'].lower()}s", one)
        if "rules" in one:
            found[one["metadata"]["name"]] = rights_of(one["rules"])
    return found


def bind(cluster: TestCluster, namespace: str, role: str, user: str) -> None:
    """As docs/cluster-install.md says: `kubectl create rolebinding --role=... --user=...`."""
    body = {
        "metadata": {"name": f"{role}-{user}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    cluster.admin.send("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", body)


def assert_used(
    account: Account, namespace: str, since: int, wanted: frozenset[Right], refused: frozenset[Right] = frozenset()
) -> None:
    """That it made use of each right that is `wanted`, and of no other but those that it was `refused`."""

    def did() -> frozenset[Right]:
        return frozenset(right for right, _ in account.did(namespace, since=since))

    # The server writes down an answer when it has given it.
    with suppress(AssertionError):  # the next line says what is missing
        wait_until(lambda: wanted | refused <= did())
    assert did() == wanted | refused
    assert {right for right, code in account.did(namespace, since=since) if code == 403} == refused


@contextmanager
def engine_of(
    account: Account, namespace: str, ingress: Ingress = "none", *, impersonate: bool = False
) -> Iterator[KubernetesEngine]:
    options = ClusterOptions(
        kubeconfig=str(account.kubeconfig), namespaces=(namespace,), ingress=ingress, impersonate=impersonate
    )
    engine = KubernetesEngine(options)
    try:
        yield engine
    finally:
        engine.close()


def wine(namespace: str) -> Deployment:
    arms = (Predictor("a", "s3://models/a", traffic=80), Predictor("b", "s3://models/b", traffic=20))
    return Deployment(namespace, "wine", arms)
