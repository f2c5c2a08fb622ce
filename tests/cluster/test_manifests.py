"""manifests/decant against a real API server: it takes every object, and the Role is enough and not more."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.rendered_manifests import DECANT, OVERLAYS, golden, kubectl, render
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.options import ClusterOptions
from services.deployments.kubernetes.seldon import core, item
from services.deployments.kubernetes.sender_jobs import SenderJobs
from services.domain import ChangeNote, Deployment, Predictor, Split
from services.errors import DecantError, Forbidden, StartFailed
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.shared_replays import POD, make_worker_pod
from tests.support.waiting import wait_until

Object = dict[str, Any]
ADA = ChangeNote("ada", "b looks better")
ACCOUNT = "decant"


def make_namespace(cluster: TestCluster, name: str) -> None:
    """A dry run of what goes into a namespace needs the namespace."""
    try:
        cluster.admin.get(f"/api/v1/namespaces/{name}")
    except DecantError:
        cluster.admin.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def served(cluster: TestCluster, group: str) -> bool:
    return any(
        version["groupVersion"] == group
        for found in cluster.admin.get("/apis")["groups"]
        for version in found["versions"]
    )


def for_this_server(cluster: TestCluster, found: Object) -> Object:
    """PodDisruptionBudgets became policy/v1 with Kubernetes 1.21 without a change of what is used here."""
    if found["apiVersion"] == "policy/v1" and not served(cluster, "policy/v1"):
        return {**found, "apiVersion": "policy/v1beta1"}
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_every_object(overlay: str, cluster: TestCluster, tmp_path: Path) -> None:
    found = [for_this_server(cluster, one) for one in yaml.safe_load_all(golden(overlay).read_text())]
    for name in {one["metadata"].get("namespace", "decant") for one in found} | {"decant"}:
        make_namespace(cluster, name)
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(found))
    command = [kubectl(), "apply", "--dry-run=server", "-f", file, f"--kubeconfig={cluster.kubeconfig}"]
    answer = subprocess.run([*command, f"--cache-dir={tmp_path}"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == len(found)
    assert "unknown field" not in answer.stderr


@pytest.fixture
def account(cluster: TestCluster, namespace: str, tmp_path: Path) -> Path:
    """A kubeconfig of a service account that holds what manifests/decant/rights gives, in `namespace`."""
    admin = cluster.admin
    admin.send("POST", core(namespace, "serviceaccounts"), {"metadata": {"name": ACCOUNT}})
    for found in yaml.safe_load_all(render(DECANT / "rights")):
        found["metadata"]["namespace"] = namespace
        for subject in found.get("subjects", []):
            subject["namespace"] = namespace
        plural = f"{found['kind'].lower()}s"
        admin.send("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}", found)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"{core(namespace, 'serviceaccounts')}/{ACCOUNT}/token"
    token = admin.send("POST", path, asked)["status"]["token"]
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    file = tmp_path / "account.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture
def limited(account: Path, namespace: str, operator: StatusOperator) -> Iterator[KubernetesEngine]:
    """An engine with the rights of Decant's service account and no other."""
    engine = KubernetesEngine(ClusterOptions(kubeconfig=str(account), namespaces=(namespace,), ingress="none"))
    wait_until(lambda: allowed(engine.list), what="the API server to know the new rights")
    yield engine
    engine.close()


def allowed(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Forbidden:
        return False
    return True


def test_the_role_is_enough_for_all_that_the_engine_does(
    limited: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    arms = (Predictor("a", "s3://models/a", traffic=80), Predictor("b", "s3://models/b", traffic=20))
    deployment = Deployment(namespace, "wine", arms)
    assert "traffic: 80" in limited.preview(deployment, note=ADA)
    limited.apply(deployment, note=ADA)
    wait_until(lambda: limited.get(namespace, "wine").settled, what="the deployment to settle")
    limited.set_traffic(namespace, "wine", Split.of({"a": 60, "b": 40}), note=ADA)
    limited.apply(deployment, note=ADA)
    assert [status.deployment.name for status in limited.list()] == ["wine"]
    assert "cannot be" not in limited.get(namespace, "wine").message
    limited.logs(namespace, "wine", "a")
    wait_until(
        lambda: any("ada moved" in e.message or "traffic" in e.message for e in limited.events(namespace, "wine")),
        what="the Event that says who moved the split",
    )
    limited.delete(namespace, "wine", note=ADA)
    wait_until(lambda: limited.list() == [], what="the deployment to be gone")


def test_the_role_is_refused_beyond(limited: KubernetesEngine, account: Path, namespace: str) -> None:
    assert limited.list() == []
    decant = Cluster(str(account))
    beyond = [
        ("GET", core(namespace, "secrets")),
        ("GET", f"{core(namespace, 'pods')}/x"),
        ("DELETE", f"{core(namespace, 'pods')}/x"),
        ("POST", core(namespace, "pods")),
        ("POST", f"{core(namespace, 'pods')}/x/exec"),
        ("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/x"),
        ("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments"),
        ("DELETE", f"/apis/machinelearning.seldon.io/v1/namespaces/{namespace}/seldondeployments"),
        ("PATCH", f"{item(namespace, 'wine')}/status"),
        ("GET", "/apis/machinelearning.seldon.io/v1/namespaces/default/seldondeployments"),
        ("GET", "/api/v1/namespaces"),
    ]
    for method, path in beyond:
        with pytest.raises(Forbidden):
            decant.send(method, path, {} if method in ("POST", "PATCH") else None)
    with pytest.raises(Forbidden, match="impersonate"):
        decant.send("GET", item(namespace, "wine"), as_user="ada")


@pytest.fixture
def own(account: Path, cluster: TestCluster, namespace: str) -> str:
    """Decant's own namespace, in which its service account may do what manifests/decant/base gives it."""
    found = cluster.namespace()
    for file in ("role", "rolebinding"):
        made = yaml.safe_load((DECANT / "base" / f"{file}.yaml").read_text())
        for subject in made.get("subjects", []):
            subject["namespace"] = namespace  # where the account is here
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{found}/{file}s"
        cluster.admin.send("POST", path, made)
    decant = Cluster(str(account))
    wait_until(lambda: allowed(lambda: decant.get(core(found, "pods"))), what="the API server to know the new rights")
    return found


def test_the_own_role_is_enough_to_share_a_replay(account: Path, cluster: TestCluster, own: str) -> None:
    make_worker_pod(cluster.admin, own, {})
    senders = SenderJobs(Cluster(str(account)), POD, own)
    assert senders.look(7) is None
    try:
        senders.start(7, 3)
    except StartFailed as error:  # of a server before 1.24; all rights were used by then
        assert "no indexed Jobs" in str(error)
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "sender", "image": "decant"}]}}
        job = {"metadata": {"name": senders.name(7)}, "spec": {"completions": 3, "template": template}}
        Cluster(str(account)).send("POST", f"/apis/batch/v1/namespaces/{own}/jobs", job)
    found = senders.look(7)
    assert found is not None and (found.name, found.shares, found.end) == ("decant-replay-7", 3, None)
    senders.remove(7)
    wait_until(lambda: senders.look(7) is None, what="the Job to be gone")
    senders.remove(7)


def test_the_own_role_is_refused_beyond(account: Path, own: str, namespace: str) -> None:
    decant = Cluster(str(account))
    jobs = f"/apis/batch/v1/namespaces/{own}/jobs"
    beyond = [
        ("GET", jobs),
        ("PATCH", f"{jobs}/x"),
        ("DELETE", jobs),
        ("GET", core(own, "secrets")),
        ("POST", core(own, "pods")),
        ("DELETE", f"{core(own, 'pods')}/x"),
        ("GET", f"{core(own, 'pods')}/x/log"),
        ("POST", f"{core(own, 'pods')}/x/exec"),
        ("GET", f"/apis/apps/v1/namespaces/{own}/deployments"),
        ("GET", item(own, "wine")),
        ("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/x"),
        ("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs"),
    ]
    for method, path in beyond:
        with pytest.raises(Forbidden):
            decant.send(method, path, {} if method in ("POST", "PATCH") else None)


def test_with_sign_in_changes_are_made_as_the_person(
    account: Path, cluster: TestCluster, namespace: str, operator: StatusOperator
) -> None:
    rbac, name = "/apis/rbac.authorization.k8s.io/v1", f"impersonate-{secrets.token_hex(4)}"
    files = yaml.safe_load_all((DECANT / "components" / "sign-in" / "impersonate.yaml").read_text())
    for found in files:
        found["metadata"]["name"] = name
        if "rules" in found:
            assert found["rules"][0]["resourceNames"], "an empty list is everybody"
            found["rules"][0]["resourceNames"] = ["ada", "bob"]
        if "roleRef" in found:
            found["roleRef"]["name"] = name
            found["subjects"][0]["namespace"] = namespace
        cluster.admin.send("POST", f"{rbac}/{found['kind'].lower()}s", found)
    lead = {
        "metadata": {"name": "leads"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "decant"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}],
    }
    cluster.admin.send("POST", f"{rbac}/namespaces/{namespace}/rolebindings", lead)
    options = ClusterOptions(kubeconfig=str(account), namespaces=(namespace,), ingress="none", impersonate=True)
    engine = KubernetesEngine(options)
    try:
        wait_until(lambda: allowed(engine.list), what="the API server to know the new rights")
        deployment = Deployment(namespace, "wine", (Predictor("a", "s3://models/a", traffic=100),))
        wait_until(lambda: allowed(lambda: engine.apply(deployment, note=ADA)), what="ada to be let in")
        with pytest.raises(Forbidden, match="bob"):
            engine.apply(deployment, note=ChangeNote("bob", "me too"))
        with pytest.raises(Forbidden, match="impersonate users"):
            engine.apply(deployment, note=ChangeNote("eve", "me too"))
    finally:
        engine.close()
        for plural in ("clusterroles", "clusterrolebindings"):
            cluster.admin.send("DELETE", f"{rbac}/{plural}/{name}")
