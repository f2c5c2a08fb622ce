"""What KubernetesEngine relies on in an API server, asked of the stand-in and, where there is one, of a real server:
what the stand-in does is what Kubernetes does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from services.deployments.kubernetes.cluster import APPLY, JSON_PATCH, Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.seldon import MANAGED, apps_deployments, collection, core, item
from tests.support import kube_server, rollouts
from tests.support.api_server import TestCluster

MANAGER = {"fieldManager": "decant"}
_names = itertools.count()


@pytest.fixture(scope="module", params=["kubernetes-stand-in", "kubernetes"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, str]]:
    """An API server and a fresh namespace in it."""
    if request.param == "kubernetes":
        real: TestCluster = request.getfixturevalue("cluster")
        yield real.admin, real.namespace()
        return
    with kube_server.running(request.getfixturevalue("tmp_path_factory").mktemp("stand-in")) as stand_in:
        yield stand_in.admin, stand_in.namespace()


@pytest.fixture
def made(place: tuple[Cluster, str]) -> dict[str, Any]:
    """A SeldonDeployment of its own, as the server answered its creation."""
    server, namespace = place
    graph = {"name": "node", "implementation": "MLFLOW_SERVER", "modelUri": "s3://m/a"}
    predictors = [{"name": "a", "traffic": 100, "replicas": 1, "graph": graph}]
    kind = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment"}
    body = {**kind, "metadata": {"name": f"wine-{next(_names)}"}, "spec": {"predictors": predictors}}
    return server.send("POST", collection(namespace), body, query=MANAGER)


def path_of(found: dict[str, Any]) -> str:
    return item(found["metadata"]["namespace"], found["metadata"]["name"])


def sent(found: dict[str, Any], **annotations: str) -> dict[str, Any]:
    """What an apply sends to leave the spec as it is."""
    metadata = {"name": found["metadata"]["name"], "annotations": annotations}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": metadata, "spec": found["spec"]}


def refused(server: Cluster, method: str, path: str, body: object, **more: Any) -> tuple[int, str]:
    with pytest.raises(ApiRefused) as info:
        server.send(method, path, body, **more)
    return info.value.status, info.value.reason


def report(server: Cluster, path: str, status: dict[str, Any]) -> dict[str, Any]:
    """Write a status as an operator does: on what is there now, and again if another one came first."""
    while True:
        try:
            return server.send("PUT", f"{path}/status", {**server.get(path), "status": status})
        except ApiRefused as error:
            if error.status != 409:
                raise


def test_a_name_is_taken_once_and_a_namespace_must_be_there(place: tuple[Cluster, str], made: dict[str, Any]) -> None:
    server, namespace = place
    assert refused(server, "POST", collection(namespace), sent(made)) == (409, "AlreadyExists")
    assert refused(server, "POST", collection("no-such-place"), sent(made)) == (404, "NotFound")
    assert refused(server, "GET", item(namespace, "nothing"), None) == (404, "NotFound")
    with pytest.raises(ApiRefused, match="404 page not found"):
        server.get(f"/apis/machinelearning.seldon.io/v1/namespaces/{namespace}/somethings")


def test_a_generation_counts_changes_of_the_spec_alone(place: tuple[Cluster, str], made: dict[str, Any]) -> None:
    server, path = place[0], path_of(made)
    assert made["metadata"]["generation"] == 1
    noted = server.send("PATCH", path, sent(made, why="so"), content_type=APPLY, query={**MANAGER, "force": "true"})
    assert noted["metadata"]["annotations"]["why"] == "so"
    assert noted["metadata"]["generation"] == 1
    told = report(server, path, {"state": "Available"})
    assert (told["status"]["state"], told["metadata"]["generation"]) == ("Available", 1)
    more = [{"op": "replace", "path": "/spec/predictors/0/replicas", "value": 2}]
    after = server.send("PATCH", path, more, content_type=JSON_PATCH, query=MANAGER)
    assert (after["status"]["state"], after["metadata"]["generation"]) == ("Available", 2)
    versions = [int(one["metadata"]["resourceVersion"]) for one in (made, noted, told, after)]
    assert sorted(set(versions)) == versions
    assert after["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_write_bound_to_an_old_version_is_refused(place: tuple[Cluster, str], made: dict[str, Any]) -> None:
    server, path = place[0], path_of(made)
    more = [{"op": "add", "path": "/spec/predictors/0/replicas", "value": 3}]
    server.send("PATCH", path, more, content_type=JSON_PATCH, query=MANAGER)
    old = made["metadata"]["resourceVersion"]
    stale = [{"op": "test", "path": "/metadata/resourceVersion", "value": old}, *more]
    assert refused(server, "PATCH", path, stale, content_type=JSON_PATCH) == (422, "Invalid")
    body = sent(made)
    body["metadata"]["resourceVersion"] = old
    force = {**MANAGER, "force": "true"}
    assert refused(server, "PATCH", path, body, content_type=APPLY, query=force) == (409, "Conflict")
    assert refused(server, "PUT", f"{path}/status", made) == (409, "Conflict")
    assert server.get(path)["spec"]["predictors"][0]["replicas"] == 3


def test_a_dry_run_answers_and_keeps_nothing(place: tuple[Cluster, str], made: dict[str, Any]) -> None:
    server, namespace = place
    dry = {**MANAGER, "dryRun": "All", "force": "true"}
    answer = server.send("PATCH", path_of(made), sent(made, why="so"), content_type=APPLY, query=dry)
    assert answer["metadata"]["annotations"]["why"] == "so"
    assert "annotations" not in server.get(path_of(made))["metadata"]
    other = sent(made)
    other["metadata"]["name"] = "not-kept"
    server.send("POST", collection(namespace), other, query={"dryRun": "All"})
    assert refused(server, "GET", item(namespace, "not-kept"), None) == (404, "NotFound")


def test_only_the_object_that_is_meant_is_deleted(place: tuple[Cluster, str], made: dict[str, Any]) -> None:
    server, path = place[0], path_of(made)
    other = {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}
    assert refused(server, "DELETE", path, other) == (409, "Conflict")
    server.send("DELETE", path, {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert refused(server, "GET", path, None) == (404, "NotFound")


def test_a_watch_tells_everything_since_the_version_it_names(place: tuple[Cluster, str], made: dict[str, Any]) -> None:
    server, namespace = place
    listed = server.get(collection(namespace))
    assert made["metadata"]["name"] in [one["metadata"]["name"] for one in listed["items"]]
    more = [{"op": "add", "path": "/spec/predictors/0/replicas", "value": 2}]
    server.send("PATCH", path_of(made), more, content_type=JSON_PATCH, query=MANAGER)
    server.send("DELETE", path_of(made))
    new = sent(made)
    new["metadata"]["name"] = f"wine-{next(_names)}"
    server.send("POST", collection(namespace), new)
    query = {"resourceVersion": listed["metadata"]["resourceVersion"], "timeoutSeconds": "20"}
    with server.watch(collection(namespace), query, silence_s=30) as events:
        told = ((one["type"], one["object"]["metadata"]["name"]) for one in events)
        # Whatever else runs on this server may write to objects too: only ours, and each change once.
        ours = (one for one in told if one[1] in (made["metadata"]["name"], new["metadata"]["name"]))
        seen = list(itertools.islice((one for one, _ in itertools.groupby(ours)), 3))
    name = made["metadata"]["name"]
    assert seen == [("MODIFIED", name), ("DELETED", name), ("ADDED", new["metadata"]["name"])]


def test_a_name_may_be_left_to_the_server(place: tuple[Cluster, str]) -> None:
    server, namespace = place
    about = {"kind": "SeldonDeployment", "name": "x", "namespace": namespace}
    event = {"metadata": {"generateName": "x.decant-", "namespace": namespace}, "involvedObject": about}
    names = {server.send("POST", core(namespace, "events"), event)["metadata"]["name"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("x.decant-") for name in names)


def test_a_job_and_its_pods_are_found_by_name_and_by_label(place: tuple[Cluster, str]) -> None:
    server, namespace = place
    jobs, labels = f"/apis/batch/v1/namespaces/{namespace}/jobs", {"app.kubernetes.io/instance": "counts"}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "one", "image": "none"}]}}
    body = {"metadata": {"name": "counts"}, "spec": {"completions": 2, "parallelism": 2, "template": template}}
    tried = server.send("POST", jobs, body, query={"dryRun": "All"})
    assert tried["spec"]["completions"] == 2
    assert refused(server, "GET", f"{jobs}/counts", None) == (404, "NotFound")
    made = server.send("POST", jobs, body)
    assert refused(server, "POST", jobs, body) == (409, "AlreadyExists")
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "counts", "uid": made["metadata"]["uid"]}
    pod = {"metadata": {"generateName": "counts-0-", "labels": labels, "ownerReferences": [owner]}, **template}
    name = server.send("POST", core(namespace, "pods"), pod)["metadata"]["name"]
    other = {**pod, "metadata": {"generateName": "other-"}}
    server.send("POST", core(namespace, "pods"), other)
    (found,) = server.get(core(namespace, "pods"), {"labelSelector": "app.kubernetes.io/instance=counts"})["items"]
    assert (found["metadata"]["name"], found["metadata"]["ownerReferences"][0]["uid"]) == (name, owner["uid"])
    told = server.send("PUT", f"{jobs}/counts/status", {**made, "status": {"succeeded": 1}})
    assert told["status"]["succeeded"] == 1 and told["spec"]["completions"] == 2
    server.send("DELETE", f"{jobs}/counts", {"kind": "DeleteOptions", "propagationPolicy": "Background"})
    assert refused(server, "GET", f"{jobs}/counts", None) == (404, "NotFound")


def test_a_deployment_of_apps_has_generation_figures_and_label(
    place: tuple[Cluster, str], made: dict[str, Any]
) -> None:
    """What is written once is left alone by a second write of the same; figures are no change of what is wanted."""
    server, namespace = place
    predictor = made["spec"]["predictors"][0]
    first = rollouts.carry_out(server, made, predictor)
    assert first["metadata"]["generation"] == 1
    assert "observedGeneration" not in first.get("status", {})
    counted = rollouts.count(server, first, rollouts.figures(1))
    assert counted["status"]["observedGeneration"] == counted["metadata"]["generation"] == 1
    again = rollouts.carry_out(server, made, predictor)
    assert again["metadata"]["generation"] == 1
    more = rollouts.carry_out(server, made, {**predictor, "replicas": 2})
    assert (more["metadata"]["generation"], more["status"]["observedGeneration"]) == (2, 1)
    path, name = apps_deployments(namespace), first["metadata"]["name"]
    assert name in [one["metadata"]["name"] for one in server.get(path, {"labelSelector": MANAGED})["items"]]
    rollouts.remove(server, namespace, made["metadata"]["name"])
    assert refused(server, "GET", f"{path}/{name}", None) == (404, "NotFound")
