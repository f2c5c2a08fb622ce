"""Pre-flight and starts on a real API server: rights, quota, pods and events that a test writes by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.seldon import core
from services.domain import ChangeNote, Deployment, Finding, ModelFacts, Predictor, Resources, Severity, Step, StepState
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "b looks better")
POD = "wine-b-0-classifier-6d5f-abcde"


def wine(namespace: str, memory: str = "1Gi") -> Deployment:
    resources = Resources("500m", memory, "1", memory)
    arms = tuple(
        Predictor(arm, f"s3://models/{arm}", share, resources=resources) for arm, share in (("a", 80), ("b", 20))
    )
    return Deployment(namespace, "wine", arms)


def about(found: list[Finding], topic: str) -> list[Finding]:
    return [f for f in found if f.topic == topic]


def test_an_administrator_has_every_right(engine: KubernetesEngine, namespace: str) -> None:
    found = about(list(engine.preflight(wine(namespace), {}, note=ADA)), "rights")
    assert [f.severity for f in found] == [Severity.FINE]


def test_a_missing_right_to_apply_blocks_and_missing_sight_warns(
    cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    engine = KubernetesEngine(cluster.options(namespace, impersonate=True))
    try:
        found = about(list(engine.preflight(wine(namespace), {}, note=ADA)), "rights")
    finally:
        engine.close()
    finding, proxied = found
    assert finding.severity is Severity.BLOCKS
    assert proxied.severity is Severity.WARNS
    assert f"ada may not create services/proxy in namespace {namespace}: no request from outside" in proxied.what
    assert f"ada may not create seldondeployments.machinelearning.seldon.io in namespace {namespace}" in finding.what
    assert "kubectl create role" in finding.mend
    assert f"-n {namespace}" in finding.mend


def test_a_quota_is_read_from_the_namespace(engine: KubernetesEngine, cluster: TestCluster, namespace: str) -> None:
    path = core(namespace, "resourcequotas")
    made = cluster.admin.send("POST", path, {"metadata": {"name": "compute"}, "spec": {"hard": {"pods": "9"}}})
    made["status"] = {"hard": {"requests.memory": "3Gi"}, "used": {"requests.memory": "2Gi"}}  # no controller runs here
    cluster.admin.send("PUT", f"{path}/compute/status", made)
    (finding,) = about(list(engine.preflight(wine(namespace), {}, note=ADA)), "quota")
    assert finding.severity is Severity.BLOCKS
    assert "1Gi of requests.memory left, and the new pods ask for 2Gi" in finding.what
    (fits,) = about(list(engine.preflight(wine(namespace, "256Mi"), {}, note=ADA)), "quota")
    assert fits.severity is Severity.FINE


@pytest.fixture
def held(engine: KubernetesEngine, operator: StatusOperator, namespace: str) -> Iterator[Deployment]:
    """A deployment whose status stays at Creating."""
    deployment = wine(namespace)
    operator.held.add(deployment.key)
    engine.apply(deployment, note=ADA)
    operator.write(namespace, "wine", {"state": "Creating"})
    yield deployment
    operator.held.discard(deployment.key)


def make_pod(cluster: TestCluster, namespace: str, status: dict[str, Any]) -> None:
    metadata = {"name": POD, "labels": {"app.kubernetes.io/managed-by": "seldon-core"}}
    containers = [{"name": "classifier", "image": "seldonio/mlflowserver:1.19.0"}]
    path = core(namespace, "pods")
    made = cluster.admin.send(
        "POST", path, {"metadata": metadata, "spec": {"containers": containers, "automountServiceAccountToken": False}}
    )
    made["status"] = status
    cluster.admin.send("PUT", f"{path}/{POD}/status", made)


def make_event(cluster: TestCluster, namespace: str, kind: str, name: str, reason: str, message: str) -> None:
    event = {
        "metadata": {"generateName": "made-", "namespace": namespace},
        "involvedObject": {"kind": kind, "name": name, "namespace": namespace},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "firstTimestamp": "2099-01-01T00:00:00Z",
        "lastTimestamp": "2099-01-01T00:00:00Z",
        "count": 3,
    }
    cluster.admin.send("POST", core(namespace, "events"), event)


def test_a_pod_that_has_no_secret_is_diagnosed(
    engine: KubernetesEngine, cluster: TestCluster, held: Deployment, namespace: str
) -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "seldon-rclone-secret" not found'}
    idle = {"name": "classifier-model-initializer", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-02T10:00:01Z"}],
        "initContainerStatuses": [{**idle, "state": {"waiting": waiting}}],
    }
    make_pod(cluster, namespace, status)
    diagnosis = wait_until(
        lambda: engine.startup(namespace, "wine", "b").diagnosis, what="the failure to be recognised"
    )
    assert diagnosis is not None
    assert diagnosis.key == "missing-secret"
    assert "seldon-rclone-secret" in diagnosis.what
    scheduled = engine.startup(namespace, "wine", "b").step(Step.SCHEDULED)
    assert scheduled is not None
    assert scheduled.state is StepState.DONE
    assert engine.startup(namespace, "wine", "a").diagnosis is None


def test_a_quota_that_keeps_pods_from_being_made_is_diagnosed_from_the_events(
    engine: KubernetesEngine, cluster: TestCluster, held: Deployment, namespace: str
) -> None:
    words = (
        f'Error creating: pods "{POD}" is forbidden: exceeded quota: compute, requested: requests.memory=4Gi, '
        "used: requests.memory=14Gi, limited: requests.memory=16Gi"
    )
    make_event(cluster, namespace, "ReplicaSet", "wine-b-0-classifier-6d5f", "FailedCreate", words)
    diagnosis = wait_until(lambda: engine.startup(namespace, "wine", "b").diagnosis, what="the quota to be recognised")
    assert diagnosis is not None
    assert diagnosis.key == "quota"
    assert "allowed requests.memory=16Gi." in diagnosis.what


def test_the_version_of_seldons_server_is_read_from_a_pod_that_runs(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    facts = ModelFacts("m", ("python_function",), conda="dependencies: [python=3.11.7]", env={"conda": "conda.yaml"})
    before = [f for f in engine.preflight(wine(namespace), {"b": facts}, note=ADA) if "3.11.7" in f.what]
    assert [f.severity for f in before] == [Severity.WARNS]
    make_pod(cluster, namespace, {"phase": "Running"})

    def blocked() -> bool:
        found = engine.preflight(wine(namespace), {"b": facts}, note=ADA)
        return [f.severity for f in found if "3.11.7" in f.what] == [Severity.BLOCKS]

    wait_until(blocked, what="the server's version to be known")
