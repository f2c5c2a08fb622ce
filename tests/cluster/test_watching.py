"""Reading a cluster: a lost watch, an API server that goes away, expired credentials, pods in trouble."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.deployments.kubernetes.cluster import APPLY, Cluster
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.rollouts import CONTROLLER
from services.deployments.kubernetes.seldon import collection, core, item
from services.deployments.manifest import to_manifest
from services.domain import ChangeNote, Deployment, Phase, Predictor, Resources, Split
from services.errors import Forbidden, InvalidInput, NotFound, Unavailable
from tests.support import rollouts
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator, available
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "to see")
PODS = {"app.kubernetes.io/managed-by": "seldon-core"}


def wine(namespace: str) -> Deployment:
    return Deployment(
        namespace, "wine", (Predictor("a", "s3://m/a", traffic=80), Predictor("b", "s3://m/b", traffic=20))
    )


def apply_quietly(cluster: TestCluster, deployment: Deployment) -> None:
    """As another engine's Decant would: our own copies learn of it only by their watch."""
    path = item(deployment.namespace, deployment.name)
    query = {"fieldManager": "decant", "force": "true"}
    cluster.admin.send("PATCH", path, to_manifest(deployment), content_type=APPLY, query=query)


def pod(namespace: str, name: str, **container: Any) -> dict[str, Any]:
    """A pod of Seldon's, and its status as a kubelet would write it."""
    status = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {"name": "classifier", "image": "x", "imageID": "", "ready": False, "restartCount": 0, **container}
        ],
    }
    spec = {"containers": [{"name": "classifier", "image": "seldonio/mlflowserver:1.19.0"}]}
    return {"metadata": {"name": name, "namespace": namespace, "labels": PODS}, "spec": spec, "status": status}


def fetching(made: dict[str, Any], arm: str, uri: str) -> dict[str, Any]:
    """The pod with the init container that Seldon's operator gives it."""
    init = {"name": f"{arm}-model-model-initializer", "image": "rclone", "args": [uri, "/mnt/models"]}
    return {**made, "spec": {**made["spec"], "initContainers": [init]}}


def running(namespace: str, name: str) -> dict[str, Any]:
    """A pod that answers."""
    made = pod(namespace, name, ready=True, state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    made["status"]["phase"] = "Running"
    made["status"]["conditions"].append({"type": "Ready", "status": "True"})
    return made


def put_pod(cluster: TestCluster, made: dict[str, Any]) -> None:
    namespace, name = made["metadata"]["namespace"], made["metadata"]["name"]
    path = core(namespace, "pods")
    cluster.admin.send("POST", path, {"metadata": made["metadata"], "spec": made["spec"]})
    fresh = cluster.admin.get(f"{path}/{name}")
    cluster.admin.send("PUT", f"{path}/{name}/status", {**fresh, "status": made["status"]})


def test_changes_by_others_arrive_without_asking(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    assert engine.list(namespace) == []
    apply_quietly(cluster, wine(namespace))
    found = wait_until(lambda: next(iter(engine.list(namespace)), None), what="the watch to tell of the deployment")
    assert found.deployment.key == f"{namespace}/wine"
    cluster.admin.send("DELETE", item(namespace, "wine"))
    wait_until(lambda: engine.list(namespace) == [], what="the watch to tell of the deletion")
    with pytest.raises(NotFound):
        engine.get(namespace, "wine")


def test_a_pod_in_trouble_is_the_reason_of_its_predictor(
    engine: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    operator.held.add(f"{namespace}/wine")
    engine.apply(wine(namespace), note=ADA)
    found = cluster.admin.get(item(namespace, "wine"))
    counts = available(found)["deploymentStatus"]
    counts["wine-b-0-b-model"]["availableReplicas"] = 0
    operator.write(namespace, "wine", {**available(found), "state": "Creating", "deploymentStatus": counts})
    crash = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    put_pod(cluster, pod(namespace, "wine-b-0-classifier-abc-1", lastState=last, **crash))
    put_pod(cluster, running(namespace, "wine-a-0-classifier-abc-1"))

    def failed() -> bool:
        return engine.get(namespace, "wine").predictor("b").phase is Phase.FAILED

    wait_until(failed, what="the crashing pod to show")
    status = engine.get(namespace, "wine")
    assert "out of memory" in status.predictor("b").reason
    assert "wine-b-0-classifier-abc-1" in status.predictor("b").reason
    assert status.predictor("a").phase is Phase.READY
    assert status.in_force is None


def test_while_the_model_before_answers_the_new_pod_is_the_one_to_look_at(
    engine: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    engine.apply(wine(namespace), note=ADA)
    for arm in "ab":
        put_pod(cluster, fetching(running(namespace, f"wine-{arm}-0-classifier-old-1"), arm, f"s3://m/{arm}"))
    wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
    key = f"{namespace}/wine"
    operator.held.add(key)
    _, b = wine(namespace).predictors
    changed = replace(wine(namespace), predictors=(Predictor("a", "s3://m/new", traffic=80), b))
    first = engine.apply(changed, note=ADA)
    assert (first.predictor("a").phase, first.predictor("a").updating) == (Phase.PENDING, True), "status is of before"
    assert not first.settled
    found = cluster.admin.get(item(namespace, "wine"))
    operator.write(namespace, "wine", {**available(found), "state": "Creating"})
    written = rollouts.carry_out(cluster.admin, found, found["spec"]["predictors"][0])
    rollouts.count(cluster.admin, written, rollouts.figures(1, updated=1, ready=0, old=1))
    crash = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    failing = pod(namespace, "wine-a-0-classifier-new-1", lastState=last, **crash)
    put_pod(cluster, fetching(failing, "a", "s3://m/new"))
    wait_until(lambda: engine.get(namespace, "wine").predictor("a").phase is Phase.FAILED, what="the new pod's failure")
    status = engine.get(namespace, "wine")
    assert status.predictor("a").updating
    assert "wine-a-0-classifier-new-1" in status.predictor("a").reason
    assert status.predictor("b").phase is Phase.READY
    assert not status.settled
    diagnosis = engine.startup(namespace, "wine", "a").diagnosis
    assert diagnosis is not None
    assert diagnosis.key == "out-of-memory"


def test_until_the_operator_has_looked_nothing_is_ready(
    engine: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    operator.held.add(f"{namespace}/wine")
    status = engine.apply(wine(namespace), note=ADA)
    assert [p.phase for p in status.predictors] == [Phase.PENDING, Phase.PENDING]
    assert "operator" in status.predictors[0].reason
    with pytest.raises(Unavailable, match="operator"):
        engine.set_traffic(namespace, "wine", Split.of({"a": 10, "b": 90}), note=ADA)
    assert engine.get(namespace, "wine").requested == Split.of({"a": 10, "b": 90})


def test_an_api_server_that_goes_away_and_comes_back(
    cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    if not cluster.command:
        pytest.skip("the API server of DECANT_TEST_KUBECONFIG is not ours to stop")
    engine = KubernetesEngine(cluster.options(namespace))
    engine.apply(wine(namespace), note=ADA)
    wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
    cluster.stop_server()
    wait_until(lambda: "What is shown is from" in engine.get(namespace, "wine").message, timeout_s=30, what="the age")
    assert engine.get(namespace, "wine").requested == Split.of({"a": 80, "b": 20})
    with pytest.raises(Unavailable, match="The cluster"):
        engine.set_traffic(namespace, "wine", Split.of({"a": 10, "b": 90}), note=ADA)
    cluster.start_server()
    apply_quietly(cluster, wine(namespace).with_split(Split.of({"a": 60, "b": 40})))

    def caught_up() -> bool:
        status = engine.get(namespace, "wine")
        return status.message == "" and status.requested == Split.of({"a": 60, "b": 40})

    wait_until(caught_up, timeout_s=60, what="the watch to resume")
    engine.close()


def test_credentials_that_expired_are_said_to_be_and_new_ones_are_read(
    cluster: TestCluster, namespace: str, tmp_path: Path
) -> None:
    if not cluster.command:
        pytest.skip("the accounts of DECANT_TEST_KUBECONFIG are not ours to break")
    good = cluster.kubeconfig.read_text()
    config = yaml.safe_load(good)
    config["users"][0]["user"]["token"] = "expired"
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config))
    connection = Cluster(str(file))
    with pytest.raises(Unavailable, match="credentials"):
        connection.get(collection(namespace))
    file.write_text(good)
    assert connection.get(collection(namespace))["items"] == []


def test_a_configuration_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="KUBECONFIG"):
        Cluster(str(tmp_path / "none")).get("/api/v1")
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}))
    with pytest.raises(InvalidInput, match="prod"):
        Cluster(str(file), "prod").get("/api/v1")


def test_a_deployment_that_may_make_no_pods_says_so_itself(
    engine: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    engine.apply(wine(namespace), note=ADA)
    wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
    operator.held.add(f"{namespace}/wine")
    a, b = wine(namespace).predictors
    larger = replace(b, resources=Resources(memory_limit="64Gi"))
    assert not engine.apply(replace(wine(namespace), predictors=(a, larger)), note=ADA).settled, "nobody has seen it"
    found = cluster.admin.get(item(namespace, "wine"))
    written = rollouts.carry_out(cluster.admin, found, found["spec"]["predictors"][1])
    uncounted = wait_until(
        lambda: (one := engine.get(namespace, "wine").predictor("b")).reason == CONTROLLER and one,
        what="the watch to tell of the Deployment",
    )
    assert (uncounted.ready, uncounted.updating) == (0, True)
    words = 'pods "x" is forbidden: exceeded quota: compute, requested: limits.memory=64Gi, used: limits.memory=1Gi, '
    figures = rollouts.figures(1, updated=0, old=1)
    figures["conditions"].append(rollouts.refused(f"{words}limited: limits.memory=2Gi"))
    rollouts.count(cluster.admin, written, figures)
    wait_until(lambda: engine.get(namespace, "wine").predictor("b").phase is Phase.FAILED, what="the condition to show")
    status = engine.get(namespace, "wine")
    assert status.predictor("b").reason.startswith("pods cannot be made: ")
    assert status.predictor("b").progress == "0 of 1 new pod ready, 1 old one still answers"
    assert status.predictor("a").phase is Phase.READY
    diagnosis = engine.startup(namespace, "wine", "b").diagnosis
    assert diagnosis is not None
    assert diagnosis.key == "quota"
    rollouts.count(cluster.admin, written, rollouts.figures(1))
    wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle once there is room")


def test_without_the_right_to_see_deployments_all_goes_on_by_the_pods(
    cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    rules = [
        {"apiGroups": ["machinelearning.seldon.io"], "resources": ["seldondeployments"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["*"]},
        {"apiGroups": ["networking.istio.io"], "resources": ["virtualservices"], "verbs": ["*"]},
    ]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    cluster.admin.send("POST", f"{rbac}/roles", {"metadata": {"name": "older"}, "rules": rules})
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": "older"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "older"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "ada"}],
    }
    cluster.admin.send("POST", f"{rbac}/rolebindings", binding)
    engine = KubernetesEngine(cluster.options(namespace, user="ada"))
    try:
        wait_until(lambda: applied(engine, wine(namespace)), what="the API server to know the new rights")
        wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
        message = engine.get(namespace, "wine").message
        assert message.startswith("The Deployments behind the arms cannot be seen: The cluster does not let ada ")
        assert message.count("cannot be seen") == 1
    finally:
        engine.close()


def applied(engine: KubernetesEngine, deployment: Deployment) -> bool:
    try:
        engine.apply(deployment, note=ADA)
    except Forbidden:
        return False
    return True
