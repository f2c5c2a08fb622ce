"""Changes on a real API server: two leads at once, other tools' deployments, rights, dry runs, who did it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.deployments.kubernetes.cluster import APPLY
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.ownership import MANAGER
from services.deployments.kubernetes.seldon import core, item
from services.deployments.kubernetes.status import version_of
from services.deployments.manifest import PREFIX, to_manifest
from services.deployments.unsent import unsent
from services.domain import ChangeNote, Deployment, Predictor, Split
from services.errors import Conflict, DecantError, Forbidden, Foreign, InvalidDeployment, InvalidInput
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.operations import Operations
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "b looks better")


def wine(namespace: str, name: str = "wine", **shares: int) -> Deployment:
    shares = shares or {"a": 80, "b": 20}
    arms = tuple(Predictor(arm, f"s3://models/{arm}", traffic=share) for arm, share in shares.items())
    return Deployment(namespace, name, arms)


def raw(cluster: TestCluster, namespace: str, name: str = "wine") -> dict[str, Any]:
    return cluster.admin.get(item(namespace, name))


def apply_as(cluster: TestCluster, manager: str, deployment: Deployment, **extra: Any) -> None:
    """A server-side apply by another tool; `extra` goes into every predictor."""
    body = to_manifest(deployment)
    for predictor in body["spec"]["predictors"]:
        predictor.update(extra)
    path = item(deployment.namespace, deployment.name)
    cluster.admin.send("PATCH", path, body, content_type=APPLY, query={"fieldManager": manager, "force": "true"})


def settle(engine: KubernetesEngine, deployment: Deployment) -> None:
    key = (deployment.namespace, deployment.name)
    wait_until(lambda: engine.get(*key).settled, timeout_s=30, what=f"{deployment.key} to settle")


def test_of_two_leads_at_once_one_wins_and_the_other_is_told(engine: KubernetesEngine, namespace: str) -> None:
    deployment = wine(namespace)
    engine.apply(deployment, note=ADA)
    settle(engine, deployment)
    read = engine.get(namespace, "wine").version
    start, outcomes = threading.Barrier(2), {}

    def lead(who: str, share: int) -> None:
        start.wait()
        try:
            split = Split.of({"a": 100 - share, "b": share})
            engine.set_traffic(namespace, "wine", split, note=ChangeNote(who), expected_version=read)
            outcomes[who] = "won"
        except Conflict as error:
            outcomes[who] = error.sentence

    leads = [threading.Thread(target=lead, args=pair) for pair in (("ada", 30), ("grace", 40))]
    for one in leads:
        one.start()
    for one in leads:
        one.join()
    winner, loser = sorted(outcomes, key=lambda who: outcomes[who] != "won")
    assert outcomes[winner] == "won"
    assert f"{winner} changed it" in outcomes[loser]
    share = {"ada": 30, "grace": 40}[winner]
    assert engine.get(namespace, "wine").requested == Split.of({"a": 100 - share, "b": share})


def test_two_creations_at_once_make_one(engine: KubernetesEngine, namespace: str) -> None:
    start, outcomes = threading.Barrier(2), []

    def create(who: str) -> None:
        start.wait()
        try:
            engine.apply(wine(namespace), note=ChangeNote(who), expected_version="")
            outcomes.append("made")
        except Conflict:
            outcomes.append("told")

    threads = [threading.Thread(target=create, args=(who,)) for who in ("ada", "grace")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(outcomes) == ["made", "told"]


def test_moving_the_split_touches_traffic_and_the_stamps_alone(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    deployment = wine(namespace)
    engine.apply(deployment, note=ADA)
    before = raw(cluster, namespace)
    engine.set_traffic(namespace, "wine", Split.of({"a": 0, "b": 100}), note=ADA)
    after = raw(cluster, namespace)
    assert [p["traffic"] for p in after["spec"]["predictors"]] == [0, 100]
    for found in (before, after):
        for predictor in found["spec"]["predictors"]:
            predictor.pop("traffic")
    assert after["spec"] == before["spec"]
    notes = {k: v for k, v in after["metadata"]["annotations"].items() if not k.startswith(PREFIX)}
    assert notes == {k: v for k, v in before["metadata"]["annotations"].items() if not k.startswith(PREFIX)}


def test_status_writes_of_the_operator_are_nobodys_change(
    engine: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    deployment = wine(namespace)
    read = engine.apply(deployment, note=ADA).version
    settle(engine, deployment)
    for restarts in range(3):
        operator.write(namespace, "wine", {**raw(cluster, namespace)["status"], "description": str(restarts)})
    moved = engine.set_traffic(namespace, "wine", Split.of({"a": 50, "b": 50}), note=ADA, expected_version=read)
    assert moved.requested == Split.of({"a": 50, "b": 50})


def test_who_and_why_are_on_the_object_and_in_its_events(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    engine.apply(wine(namespace), note=ADA)
    engine.set_traffic(namespace, "wine", Split.of({"a": 40, "b": 60}), note=ChangeNote("grace", "half way"))
    notes = raw(cluster, namespace)["metadata"]["annotations"]
    assert notes[f"{PREFIX}changed-by"] == "grace"
    assert notes[f"{PREFIX}change-reason"] == "half way"
    found = [
        e for e in cluster.admin.get(core(namespace, "events"))["items"] if e["source"].get("component") == MANAGER
    ]
    assert [e["reason"] for e in sorted(found, key=lambda e: e["eventTime"])] == ["Applied", "TrafficMoved"]
    assert any("grace" in e["message"] and "b 60 %" in e["message"] and "half way" in e["message"] for e in found)
    wait_until(lambda: len(engine.events(namespace, "wine")) >= 2, what="the engine to tell of both")


def test_a_foreign_deployment_is_shown_and_changed_only_after_saying_so(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    secret = {"graph": {**to_manifest(wine(namespace))["spec"]["predictors"][0]["graph"], "envSecretRefName": "s3"}}
    apply_as(cluster, "argocd-controller", wine(namespace), **secret)
    found = wait_until(lambda: next(iter(engine.list(namespace)), None), what="the deployment to be listed")
    assert found.managed_by == "argocd-controller"
    half = Split.of({"a": 50, "b": 50})
    for change in (
        lambda: engine.set_traffic(namespace, "wine", half, note=ADA),
        lambda: engine.apply(found.deployment.with_split(half), note=ADA),
        lambda: engine.delete(namespace, "wine", note=ADA),
    ):
        with pytest.raises(Foreign, match="argocd-controller"):
            change()
    assert raw(cluster, namespace)["spec"]["predictors"][0]["traffic"] == 80
    taking = replace(ADA, take_over=True)
    taken = engine.apply(found.deployment.with_split(half), note=taking)
    assert taken.requested == half
    assert taken.managed_by == ""
    # What Decant does not write stays: the predictors have one owner, and it was not asked to drop anything.
    assert raw(cluster, namespace)["spec"]["predictors"][0]["graph"]["envSecretRefName"] == "s3"
    engine.set_traffic(namespace, "wine", Split.of({"a": 20, "b": 80}), note=ADA)


def test_what_kubectl_put_beside_is_kept_and_so_not_left_out_of_a_file(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    beside = {"labels": {"team": "cellar"}, "svcOrchSpec": {"replicas": 2}}
    written = to_manifest(wine(namespace))
    for predictor in written["spec"]["predictors"]:
        predictor.update(beside)

    def left_out() -> tuple[str, ...]:
        return unsent(written, yaml.safe_load(engine.preview(wine(namespace), note=ADA)))

    assert left_out() == tuple(f"spec.predictors[{arm}].{field}" for arm in "ab" for field in beside)
    apply_as(cluster, "kubectl", wine(namespace), **beside)
    assert left_out() == ()


def test_another_manager_that_takes_a_field_back_is_named(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    deployment = wine(namespace)
    read = engine.apply(deployment, note=ADA).version
    apply_as(cluster, "kubectl", wine(namespace, a=10, b=90))
    with pytest.raises(Conflict, match="kubectl"):
        engine.apply(deployment, note=ADA, expected_version=read)


def test_a_deployment_of_another_kind_of_graph_is_shown_and_its_traffic_moved_and_nothing_else(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str, tmp_path: Path
) -> None:
    apply_as(cluster, "kubectl", wine(namespace), graph={"name": "m", "implementation": "SKLEARN_SERVER"})
    found = wait_until(lambda: next(iter(engine.list(namespace)), None), what="the deployment to be listed")
    assert "SKLEARN_SERVER" in found.unwritable
    assert found.requested == Split.of({"a": 80, "b": 20})
    assert "SKLEARN_SERVER" in engine.manifest(namespace, "wine")
    taking = replace(ADA, take_over=True)
    with pytest.raises(InvalidInput, match="neither replaced nor deleted"):
        engine.apply(wine(namespace), note=taking)
    with pytest.raises(InvalidInput, match="neither replaced nor deleted"):
        engine.delete(namespace, "wine", note=taking)
    operations = Operations(engine, EvidenceStore(open_database(f"sqlite:///{tmp_path}/decant.db")))
    half = Split.of({"a": 50, "b": 50})
    assert operations.set_traffic(namespace, "wine", half, note=taking).in_force == half
    assert raw(cluster, namespace)["spec"]["predictors"][0]["graph"]["implementation"] == "SKLEARN_SERVER"


def test_a_dry_run_is_the_servers_own_answer(engine: KubernetesEngine, cluster: TestCluster, namespace: str) -> None:
    engine.apply(wine(namespace), note=ADA)
    before = raw(cluster, namespace)
    text = engine.preview(wine(namespace, a=1, b=99), note=ADA)
    assert "traffic: 99" in text
    assert "managedFields" not in text
    assert raw(cluster, namespace) == before or version_of(raw(cluster, namespace)) == version_of(before)


def test_what_the_schema_refuses_is_said_in_its_words(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    engine.apply(wine(namespace), note=ADA)
    with pytest.raises(InvalidDeployment, match="sums to 90"):
        engine.set_traffic(namespace, "wine", Split.of({"a": 70, "b": 20}), note=ADA)


def test_a_namespace_that_is_not_there_or_not_allowed(cluster: TestCluster, namespace: str) -> None:
    free, bound = (KubernetesEngine(cluster.options(*names)) for names in ((), (namespace,)))
    with pytest.raises(DecantError, match="no-such-namespace"):
        free.apply(wine("no-such-namespace"), note=ADA)
    with pytest.raises(InvalidInput, match=f"Allowed: {namespace}"):
        bound.get("default", "wine")
    free.close()
    bound.close()


def test_a_missing_right_is_named_with_the_command_that_gives_it(cluster: TestCluster, namespace: str) -> None:
    if "bob" not in cluster.users:
        pytest.skip("the cluster of DECANT_TEST_KUBECONFIG has no account without rights to test with")
    engine = KubernetesEngine(cluster.options(namespace, user="bob"))
    with pytest.raises(Forbidden) as refused:
        engine.list(namespace)
    assert "bob list seldondeployments.machinelearning.seldon.io" in refused.value.sentence
    assert f"in namespace {namespace}" in refused.value.sentence
    assert f"-n {namespace} --verb=list --resource=seldondeployments.machinelearning.seldon.io" in refused.value.hint
    engine.close()


@pytest.mark.parametrize("name", ["ada", "Zoë Łukasiewicz"])
def test_with_impersonation_the_cluster_decides_by_the_person(
    cluster: TestCluster, operator: StatusOperator, namespace: str, name: str
) -> None:
    person = ChangeNote(name, "b looks better")
    engine = KubernetesEngine(cluster.options(namespace, impersonate=True))
    with pytest.raises(Forbidden, match=name):
        engine.apply(wine(namespace), note=person)
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": ["machinelearning.seldon.io"], "resources": ["seldondeployments"], "verbs": ["*"]}
    cluster.admin.send("POST", f"{rbac}/roles", {"metadata": {"name": "lead"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "lead"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lead"},
        "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    cluster.admin.send("POST", f"{rbac}/rolebindings", binding)

    def applied() -> bool:
        try:
            engine.apply(wine(namespace), note=person)
        except Forbidden:
            return False  # the API server's view of the rules follows a moment later
        return True

    wait_until(applied, what="the new rule to count")
    with pytest.raises(Forbidden, match="eve"):
        engine.delete(namespace, "wine", note=ChangeNote("eve"))
    engine.close()


def test_every_change_of_an_operation_leaves_an_event_and_who_did_it(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str, tmp_path: Path
) -> None:
    operations = Operations(engine, EvidenceStore(open_database(f"sqlite:///{tmp_path}/decant.db")))
    operations.apply(wine(namespace), note=ADA)
    settle(engine, wine(namespace))
    operations.set_traffic(namespace, "wine", Split.of({"a": 40, "b": 60}), note=ChangeNote("grace", "half way"))
    operations.undo(namespace, "wine", note=ChangeNote("eve", "too early"))
    assert raw(cluster, namespace)["metadata"]["annotations"][f"{PREFIX}changed-by"] == "eve"
    operations.delete(namespace, "wine", note=ChangeNote("ada", "the test is over"))
    operations.undo(namespace, "wine", note=ChangeNote("ada", "not yet"))
    assert raw(cluster, namespace)["metadata"]["annotations"][f"{PREFIX}change-reason"] == "not yet"
    found = [e for e in cluster.admin.get(core(namespace, "events"))["items"] if e["source"] == {"component": MANAGER}]
    told = [(e["reason"], e["message"]) for e in sorted(found, key=lambda e: e["eventTime"])]
    assert [reason for reason, _ in told] == ["Applied", "TrafficMoved", "TrafficMoved", "Deleted", "Applied"]
    whys = ("b looks better", "half way", "too early", "the test is over", "not yet")
    assert all(why in message for why, (_, message) in zip(whys, told, strict=True)), told


def test_what_other_managers_own_is_previewed_without_being_taken(
    engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    apply_as(cluster, "argocd-controller", wine(namespace))
    wait_until(lambda: engine.list(namespace), what="the deployment to be listed")
    assert "traffic: 99" in engine.preview(wine(namespace, a=1, b=99), note=ADA)
    assert engine.get(namespace, "wine").managed_by == "argocd-controller"
    assert "traffic: 80" in engine.manifest(namespace, "wine")
