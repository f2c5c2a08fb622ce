"""What the cluster holds, read: pods in words, routes as a split, owners, names, and who may not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.deployments.kubernetes.failures import ApiRefused, failure
from services.deployments.kubernetes.happenings import told as events_told
from services.deployments.kubernetes.ownership import foreign_manager, others_in
from services.deployments.kubernetes.pods import view
from services.deployments.kubernetes.refusals import problems, translated
from services.deployments.kubernetes.routes import split_of
from services.deployments.kubernetes.seldon import owner_of, service_name
from services.deployments.kubernetes.status import deployment_of, status_of, version_of
from services.deployments.kubernetes.workloads import Workloads
from services.deployments.kubernetes.writing import applied_body, traffic_patch
from services.deployments.kubernetes.zero import silenced
from services.deployments.manifest import CHANGED_AT, to_manifest
from services.domain import Deployment, Phase, Predictor, Provenance, Resources, Split
from services.errors import Forbidden, InvalidDeployment, Unavailable

WINE = Deployment("seldon", "wine", (Predictor("a", "s3://m/a", traffic=80), Predictor("b", "s3://m/b", traffic=20)))


def stored(deployment: Deployment = WINE, **status: Any) -> dict[str, Any]:
    """The deployment as an API server keeps it."""
    found = to_manifest(deployment)
    found["metadata"] |= {"uid": "u1", "generation": 2, "resourceVersion": "7"}
    return {**found, "status": status}


def pod(**status: Any) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "True"}]
    return {
        "metadata": {"name": "wine-b-0-classifier-7d9-x", "namespace": "seldon"},
        "status": {"phase": "Pending", "conditions": conditions, **status},
    }


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "classifier", "ready": False, "restartCount": 0, **state}]


NOW = "2026-11-02T10:00:00Z"
FETCHER = "classifier-model-initializer"


def started(name: str, *, ready: bool = False) -> dict[str, Any]:
    return {"name": name, "ready": ready, "restartCount": 0, "state": {"running": {}}}


def waiting(name: str) -> dict[str, Any]:
    return {"name": name, "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}


@pytest.mark.parametrize(
    ("made", "phase", "words"),
    [
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient memory"}]),
            Phase.PENDING,
            "cannot be scheduled: 0/3 nodes: Insufficient memory",
        ),
        (pod(initContainerStatuses=[started(FETCHER)]), Phase.LOADING, f"init container {FETCHER} fetches the model"),
        (
            pod(initContainerStatuses=[started("istio-init"), waiting(FETCHER)]),
            Phase.LOADING,
            "init container istio-init runs before the model is fetched",
        ),
        (
            pod(initContainerStatuses=[started("istio-proxy", ready=True), started(FETCHER)]),
            Phase.LOADING,
            f"init container {FETCHER} fetches the model",
        ),
        (
            {
                **pod(initContainerStatuses=[started("istio-proxy"), waiting(FETCHER)]),
                "spec": {"initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}, {"name": FETCHER}]},
            },
            Phase.LOADING,
            "istio-proxy starts before the model is fetched",
        ),
        (
            pod(containerStatuses=[started("istio-proxy"), started("classifier", ready=True)]),
            Phase.LOADING,
            "istio-proxy is not ready yet; the model is",
        ),
        (pod(reason="NodeLost", message="Node n3 is unresponsive"), Phase.FAILED, "its node does not answer: Node n3"),
        (pod(phase="Unknown", containerStatuses=[started("classifier", ready=True)]), Phase.FAILED, "does not answer"),
        (
            pod(
                conditions=[{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
                containerStatuses=[started("classifier", ready=True)],
            ),
            Phase.LOADING,
            "its node may have stopped answering",
        ),
        (
            pod(
                containerStatuses=[
                    {**container(state={"running": {}}, restartCount=2)[0], "name": "seldon-container-engine"},
                    *container(state={"waiting": {"reason": "ImagePullBackOff"}}),
                ]
            ),
            Phase.FAILED,
            "container classifier: ImagePullBackOff",
        ),
        (
            pod(
                containerStatuses=container(
                    state={"waiting": {"reason": "ImagePullBackOff", "message": "back-off pulling x"}}
                )
            ),
            Phase.FAILED,
            "ImagePullBackOff: back-off pulling x",
        ),
        (
            pod(
                containerStatuses=container(
                    state={"waiting": {"reason": "CrashLoopBackOff"}},
                    lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
                )
            ),
            Phase.FAILED,
            "keeps ending: Error with exit code 1",
        ),
        (
            pod(
                initContainerStatuses=container(
                    state={"waiting": {"reason": "CrashLoopBackOff"}},
                    lastState={"terminated": {"exitCode": 1, "message": "Traceback ...\nNo such bucket: models\n"}},
                )
            ),
            Phase.FAILED,
            "keeps ending: exit code 1: No such bucket: models",
        ),
        (
            pod(
                containerStatuses=container(
                    state={"running": {}}, restartCount=2, lastState={"terminated": {"exitCode": 137}}
                )
            ),
            Phase.LOADING,
            "restarted 2 times, last after exit code 137",
        ),
        (pod(phase="Failed", reason="Evicted", message="The node was low on memory"), Phase.FAILED, "low on memory"),
        (pod(containerStatuses=container(state={"running": {}})), Phase.LOADING, "environment, then model"),
    ],
)
def test_a_pod_says_what_keeps_it(made: dict[str, Any], phase: Phase, words: str) -> None:
    found = view(made)
    assert found.phase is phase
    assert words in found.reason


def test_the_log_to_read_is_of_the_life_that_ended() -> None:
    crash = container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 1}})
    assert view(pod(containerStatuses=crash)).crashed == "classifier"
    assert view(pod(containerStatuses=container(state={"running": {}}))).crashed == ""


@pytest.mark.parametrize(
    ("workload", "owner"),
    [
        ("wine-a-0-classifier-7d9-x", "a"),
        ("wine-a-0-0-classifier", "a-0"),
        ("wine-b-1-c", None),
        ("wine-red-a-0-c", None),
        ("wine", None),
    ],
)
def test_a_workload_is_found_by_the_longest_name_that_fits(workload: str, owner: str | None) -> None:
    assert owner_of(workload, "wine", ["a", "a-0"]) == owner


LONG = Deployment("seldon", "wine-quality-of-the-north", (Predictor("champion-of-last-year", "s3://m/a", 100),))
SPELT_OUT = "wine-quality-of-the-north-champion-of-last-year-0-champion-of-last-year-model"


def test_a_workload_whose_name_is_too_long_is_found_by_its_hash() -> None:
    hashed = f"seldon-{hashlib.md5(SPELT_OUT.encode()).hexdigest()}"
    found = Workloads(LONG)
    for name in (hashed, f"{hashed}-6d5f", f"{hashed}-6d5f-x2x"):
        assert found.of(name) == "champion-of-last-year"
    assert found.of("seldon-0f") is None
    counts = {hashed: {"replicas": 1, "availableReplicas": 1}}
    assert status_of(stored(LONG, state="Available", deploymentStatus=counts), [], LONG.split).settled


def test_a_pod_is_found_by_its_labels_and_names_its_workload() -> None:
    service = service_name(LONG.name, "champion-of-last-year")
    labels = {"seldon-deployment-id": LONG.name, "seldon-app": service, "app": "seldon-of-several-containers"}
    found = {"metadata": {"name": "seldon-of-several-containers-1-2", "namespace": "seldon", "labels": labels}}
    workloads = Workloads(LONG, [found])
    assert workloads.of_object(found) == "champion-of-last-year"
    assert workloads.of("seldon-of-several-containers-6d5f") == "champion-of-last-year"


def test_a_pod_of_a_deployment_with_a_like_name_is_not_ours() -> None:
    labels = {"seldon-deployment-id": "wine-a"}
    theirs = {"metadata": {"name": "wine-a-0-0-classifier-7d9-x", "namespace": "seldon", "labels": labels}}
    assert Workloads(WINE).of_object(theirs) is None
    assert Workloads(WINE).of_object({"metadata": {**theirs["metadata"], "labels": {}}}) == "a"


def test_a_long_service_name_is_hashed() -> None:
    assert service_name("wine", "a") == "wine-a"
    long = service_name("w" * 60, "abcd")
    assert long.startswith("seldon-")
    assert len(long) == len("seldon-") + 32


def available(**counts: int) -> dict[str, Any]:
    return {f"wine-{arm}-0-classifier": {"replicas": 1, "availableReplicas": n} for arm, n in counts.items()}


def test_ready_means_that_the_operator_has_seen_the_newest_wish() -> None:
    seen = stored(state="Available", observedGeneration=2, deploymentStatus=available(a=1, b=1))
    status = status_of(seen, [], None)
    assert status.settled
    older = stored(state="Available", observedGeneration=1, deploymentStatus=available(a=1, b=1))
    status = status_of(older, [], None)
    assert not status.settled
    assert status.in_force is None
    assert all(p.updating for p in status.predictors)


def test_the_routes_of_the_ingress_are_believed_before_the_operator() -> None:
    seen = stored(state="Available", observedGeneration=2, deploymentStatus=available(a=1, b=1))
    status = status_of(seen, [], Split.of({"a": 50, "b": 50}))
    assert status.in_force == Split.of({"a": 50, "b": 50})
    assert not status.settled


def test_pods_of_another_namespace_are_not_ours() -> None:
    stray = pod(phase="Failed", message="elsewhere")
    stray["metadata"]["namespace"] = "other"
    status = status_of(stored(state="Creating", observedGeneration=2), [stray], None)
    assert status.predictor("b").phase is Phase.PENDING
    status = status_of(stored(state="Creating", observedGeneration=2), [pod(phase="Failed", message="here")], None)
    assert status.predictor("b").reason.endswith("here")


def test_an_event_names_the_container_that_it_is_about() -> None:
    def event(message: str, path: str | None) -> dict[str, Any]:
        about = {"name": "wine-a-0-classifier-7d9-x", **({"fieldPath": path} if path else {})}
        return {"involvedObject": about, "reason": "Unhealthy", "message": message, "lastTimestamp": NOW}

    found = events_told(
        [
            event("Readiness probe failed", "spec.containers{seldon-container-engine}"),
            event("Liveness probe failed", "spec.initContainers{istio-proxy}"),
            event("Container classifier failed liveness probe, will be restarted", "spec.containers{classifier}"),
            event("node is not ready", None),
        ],
        "wine",
        Workloads(WINE),
    )
    assert [e.message for e in found] == [
        "Unhealthy: seldon-container-engine: Readiness probe failed",
        "Unhealthy: istio-proxy: Liveness probe failed",
        "Unhealthy: Container classifier failed liveness probe, will be restarted",
        "Unhealthy: node is not ready",
    ]


def test_what_the_operator_complains_about_is_told() -> None:
    status = status_of(stored(state="Failed", description="no such image"), [], None)
    assert "no such image" in status.message
    assert {p.phase for p in status.predictors} == {Phase.FAILED}


def test_what_the_operator_failed_at_fails_that_arm_and_no_other() -> None:
    said = 'Deployment.apps "wine-a-0-classifier" is invalid: spec.template.spec: Invalid value: "4Gi": too much'
    status = status_of(stored(state="Failed", description=said), [], None)
    a, b = status.predictor("a"), status.predictor("b")
    assert (a.phase, a.reason) == (Phase.FAILED, said)
    assert (b.phase, b.reason) == (Phase.PENDING, "not made yet: Seldon's operator failed at a")
    assert said in status.message


def test_a_version_is_about_what_is_wanted_and_not_about_what_is() -> None:
    assert version_of(stored(state="Creating")) == version_of(stored(state="Available"))
    changed = stored()
    changed["metadata"]["generation"] += 1
    assert version_of(changed) != version_of(stored())


def mapping(service: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "seldon"}, "spec": {"prefix": "/seldon/", "service": service, **spec}}


def test_the_split_of_ambassador_gives_the_rest_to_the_mapping_without_a_weight() -> None:
    found = split_of(WINE, [mapping("wine-a.seldon:8000"), mapping("wine-b.seldon:8000", weight=30)])
    assert found == Split.of({"a": 70, "b": 30})
    assert split_of(WINE, [mapping("other-a.seldon:8000")]) is None


def test_a_weight_of_nothing_that_was_dropped_shows() -> None:
    # Both mappings without a weight: the ingress would send half to each, whatever was asked for.
    found = split_of(WINE, [mapping("wine-a.seldon:8000"), mapping("wine-b.seldon:8000")])
    assert found == Split.of({"a": 50, "b": 50})


def test_the_split_of_istio_is_that_of_the_first_rule() -> None:
    targets = [
        {"destination": {"host": f"wine-{arm}.seldon.svc.cluster.local"}, "weight": weight}
        for arm, weight in (("a", 65), ("b", 35))
    ]
    service = {"metadata": {"namespace": "seldon"}, "spec": {"http": [{"route": targets}, {"route": []}]}}
    assert split_of(WINE, [service]) == Split.of({"a": 65, "b": 35})


def managed(*managers: str) -> dict[str, Any]:
    entries = [
        {
            "manager": name,
            "operation": "Update",
            "time": f"2026-01-0{i + 1}T00:00:00Z",
            "fieldsV1": {"f:spec": {"f:predictors": {}}},
        }
        for i, name in enumerate(managers)
    ]
    operator = {"manager": "seldon-controller", "fieldsV1": {"f:status": {}}}
    return {"metadata": {"managedFields": [*entries, operator]}}


def test_who_owns_the_predictors_manages_the_deployment() -> None:
    assert foreign_manager(managed("decant")) == ""
    assert foreign_manager(managed("kubectl", "argocd")) == "argocd"
    assert foreign_manager(managed("kubectl", "decant")) == ""
    assert foreign_manager({"metadata": {}}) == ""


def refusal(status: int, **body: Any) -> bytes:
    return json.dumps({"kind": "Status", "code": status, **body}).encode()


def test_a_refused_apply_names_the_owners_and_their_fields() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "argocd" using v1', "field": ".spec.predictors"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "decant" using v1', "field": ".spec.name"},
    ]
    found = failure(
        409, refusal(409, message="Apply failed", reason="Conflict", details={"causes": causes}), "PATCH", "/"
    )
    assert isinstance(found, ApiRefused)
    assert others_in(found) == ["argocd"]
    assert found.owned[0].field == "spec.predictors"


def test_a_right_that_is_missing_comes_with_the_command() -> None:
    words = (
        'seldondeployments.machinelearning.seldon.io "wine" is forbidden: User "bob" cannot patch resource '
        '"seldondeployments" in API group "machinelearning.seldon.io" in the namespace "seldon"'
    )
    found = failure(403, refusal(403, message=words, reason="Forbidden"), "PATCH", "/")
    assert isinstance(found, Forbidden)
    assert "bob patch seldondeployments.machinelearning.seldon.io in namespace seldon" in found.sentence
    assert "kubectl create role" in found.hint


def test_a_page_of_a_proxy_is_no_status_object() -> None:
    found = failure(502, b"<html>Bad gateway</html>", "GET", "/x")
    assert "Bad gateway" in str(found)
    assert isinstance(failure(401, b"", "GET", "/x"), Unavailable)


def test_a_body_keeps_what_decant_does_not_write() -> None:
    live = stored()
    live["spec"]["predictors"][0]["componentSpecs"] = [{"spec": {}}]
    live["spec"]["predictors"][0]["graph"]["envSecretRefName"] = "s3"
    wanted = deployment_of(live)[0].with_split(Split.of({"a": 10, "b": 90}))
    body = applied_body(wanted, {"decant.dev/nonce": "1"}, live)
    first = body["spec"]["predictors"][0]
    assert first["componentSpecs"] == [{"spec": {}}]
    assert first["graph"]["envSecretRefName"] == "s3"
    assert first["traffic"] == 10
    assert body["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize("run", [None, "77"])
def test_annotations_of_others_stay_and_decants_own_are_those_of_the_new_model(run: str | None) -> None:
    live = stored()
    theirs = {"seldon.io/svc-name": "wine", "seldon.io/engine-separate-pod": "true"}
    old = {"decant.dev/run-id": "11", "decant.dev/registered-model": "wine"}
    live["spec"]["predictors"][0]["annotations"] = {**theirs, **old}
    wanted = with_first(deployment_of(live)[0], model_uri="s3://m/new", provenance=Provenance(run_id=run))
    first = applied_body(wanted, {}, live)["spec"]["predictors"][0]
    assert first["annotations"] == {**theirs, **({"decant.dev/run-id": run} if run else {})}
    del live["spec"]["predictors"][0]["annotations"]["seldon.io/svc-name"]
    live["spec"]["predictors"][0]["annotations"].pop("seldon.io/engine-separate-pod")
    assert ("annotations" in applied_body(wanted, {}, live)["spec"]["predictors"][0]) == bool(run)


def container_with_a_volume() -> dict[str, Any]:
    """A model's container as a person wrote it: a mount, a GPU, and a probe like the one of Seldon's own sample."""
    return {
        "name": "a-model",
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "livenessProbe": {"httpGet": {"path": "/health/ping", "port": "http"}, "failureThreshold": 200},
        "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "1Gi"}},
    }


def live_with(*containers: dict[str, Any], **pod: Any) -> dict[str, Any]:
    live = stored()
    live["spec"]["predictors"][0]["componentSpecs"] = [{"spec": {"containers": list(containers), **pod}}]
    return live


def pod_of(body: dict[str, Any]) -> dict[str, Any]:
    (spec,) = body["spec"]["predictors"][0]["componentSpecs"]
    pod: dict[str, Any] = spec["spec"]
    return pod


def with_first(deployment: Deployment, **change: Any) -> Deployment:
    first, *others = deployment.predictors
    return replace(deployment, predictors=(replace(first, **change), *others))


def test_budget_and_memory_are_laid_over_a_container_that_others_have_filled() -> None:
    live = live_with(container_with_a_volume(), {"name": "sidecar"}, volumes=[{"name": "cache", "emptyDir": {}}])
    wanted = with_first(deployment_of(live)[0], start_budget_s=600, resources=Resources(memory_limit="2Gi"))
    pod = pod_of(applied_body(wanted, {}, live))
    container, sidecar = pod["containers"]
    assert (sidecar, pod["volumes"]) == ({"name": "sidecar"}, [{"name": "cache", "emptyDir": {}}])
    assert container["volumeMounts"] == container_with_a_volume()["volumeMounts"]
    assert container["livenessProbe"]["initialDelaySeconds"] == 600
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "2Gi"}


def test_what_is_taken_back_leaves_only_what_others_wrote() -> None:
    live = live_with(container_with_a_volume())
    before = deployment_of(live)[0]
    raised = applied_body(with_first(before, start_budget_s=600, env_secret="s3"), {}, live)
    assert raised["spec"]["predictors"][0]["graph"]["envSecretRefName"] == "s3"
    back = applied_body(with_first(before, resources=Resources()), {}, raised)
    (container,) = pod_of(back)["containers"]
    assert "livenessProbe" not in container, "the budget's probe took the place of theirs, and has gone"
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert "envSecretRefName" not in back["spec"]["predictors"][0]["graph"]


def test_component_specs_that_decant_alone_made_go_with_the_budget() -> None:
    live = applied_body(with_first(WINE, start_budget_s=600), {}, stored())
    assert pod_of(live)["containers"][0]["name"] == "a-model"
    assert live["spec"]["predictors"][0]["progressDeadlineSeconds"] == 660
    back = applied_body(WINE, {}, live)["spec"]["predictors"][0]
    assert "componentSpecs" not in back
    assert "progressDeadlineSeconds" not in back


def test_a_field_that_the_crd_does_not_have_is_named_with_the_remedy() -> None:
    words = "failed to create typed patch object (x/wine; y/v1, Kind=Z): .spec.ssl: field not declared in schema"
    found = translated("wine", ApiRefused(500, words, ""))
    assert isinstance(found, InvalidDeployment)
    assert "does not know the field spec.ssl" in str(found) and "upgrade Seldon Core" in str(found)


def test_a_deadline_that_somebody_else_chose_stays() -> None:
    live = stored()
    live["spec"]["predictors"][0]["progressDeadlineSeconds"] = 30
    assert applied_body(deployment_of(live)[0], {}, live)["spec"]["predictors"][0]["progressDeadlineSeconds"] == 30


def test_a_container_follows_a_node_that_is_named_anew() -> None:
    live = live_with(container_with_a_volume())
    (container,) = pod_of(applied_body(with_first(deployment_of(live)[0], node="wines"), {}, live))["containers"]
    assert container["name"] == "wines"
    assert container["volumeMounts"]


@pytest.mark.parametrize(
    ("live", "wanted", "sent"),
    [("kfserving", "v2", "kfserving"), ("v2", "seldon", "seldon"), ("seldon", "v2", "v2"), ("", "v2", "v2")],
)
def test_a_protocol_is_replaced_and_its_older_name_kept(live: str, wanted: str, sent: str) -> None:
    present = stored()
    present["spec"]["protocol"] = live
    assert applied_body(replace(WINE, protocol=wanted), {}, present)["spec"]["protocol"] == sent


def test_a_patch_of_the_split_tests_what_was_read_and_adds_nothing_else() -> None:
    patch = traffic_patch(stored(), WINE.with_split(Split.of({"a": 0, "b": 100})), {"decant.dev/changed-by": "ada"})
    tested = {step["path"]: step["value"] for step in patch if step["op"] == "test"}
    assert tested == {
        "/metadata/resourceVersion": "7",
        "/spec/predictors/0/name": "a",
        "/spec/predictors/1/name": "b",
    }
    added = {step["path"]: step["value"] for step in patch if step["op"] == "add"}
    assert added == {
        "/spec/predictors/0/traffic": 0,
        "/spec/predictors/1/traffic": 100,
        "/metadata/annotations": {},
        "/metadata/annotations/decant.dev~1changed-by": "ada",
    }


def annotated(service: str, text: str) -> dict[str, Any]:
    metadata = {"namespace": "seldon", "name": service, "annotations": {"getambassador.io/config": text}}
    return {"metadata": metadata, "spec": {"ports": []}}


def test_the_mappings_of_ambassador_1_are_read_from_the_services_that_carry_them() -> None:
    text = "---\nkind: Mapping\nservice: {0}.seldon:8000\n{1}---\nkind: Mapping\ngrpc: true\nservice: {0}\n"
    weights = {"wine-a": "", "wine-b": "weight: 20\n"}
    found = [annotated(service, text.format(service, weight)) for service, weight in weights.items()]
    assert split_of(WINE, found) == Split.of({"a": 80, "b": 20})
    assert split_of(WINE, [annotated("wine-a", "{ no: yaml"), annotated("wine-b", "text")]) is None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, {"a": 100, "b": 0}, ("b",)),
        ({"a": 80, "b": 20}, {"a": 0, "b": 100}, ("a",)),
        ({"a": 100, "b": 0}, {"a": 100, "b": 0}, ()),
        ({"a": 80, "b": 20}, {"a": 99, "b": 1}, ()),
    ],
)
def test_only_an_arm_that_newly_gets_nothing_has_to_be_looked_after(
    before: dict[str, int] | None, now: dict[str, int], expected: tuple[str, ...]
) -> None:
    assert silenced(WINE.with_split(Split.of(now)), WINE.with_split(Split.of(before)) if before else None) == expected


def test_an_arm_that_should_get_nothing_and_does_not_is_told_once_the_operator_is_done() -> None:
    done = {"state": "Available", "observedGeneration": 2, "deploymentStatus": available(a=1, b=1)}
    quiet = stored(WINE.with_split(Split.of({"a": 100, "b": 0})), **done)
    leaking = status_of(quiet, [], Split.of({"a": 50, "b": 50}))
    assert "b is to get nothing, but the ingress sends it 50 %" in leaking.message
    assert status_of(quiet, [], Split.of({"a": 100, "b": 0})).message == ""


def test_routes_of_before_are_no_leak_just_after_a_change() -> None:
    quiet = stored(
        WINE.with_split(Split.of({"a": 100, "b": 0})), state="Available", deploymentStatus=available(a=1, b=1)
    )
    for age_s, told in ((1, False), (60, True)):
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        quiet["metadata"]["annotations"] = {CHANGED_AT: at.isoformat()}
        status = status_of(quiet, [], Split.of({"a": 80, "b": 20}))
        assert ("b is to get nothing" in status.message) is told
        assert not status.settled


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "reason": "Invalid",
                "message": 'SeldonDeployment.machinelearning.seldon.io "wine" is invalid: spec.predictors: Required',
                "details": {"causes": [{"field": "spec.predictors", "message": "Required value"}]},
            },
            ["spec.predictors: Required value"],
        ),
        (
            {
                "message": 'admission webhook "v1.vseldondeployment.kb.io" denied the request: SeldonDeployment.machine'
                'learning.seldon.io "wine" is invalid: spec.predictors[0]: Invalid value: "wine": Traffic must sum'
            },
            ['spec.predictors[0]: Invalid value: "wine": Traffic must sum (says v1.vseldondeployment.kb.io)'],
        ),
    ],
)
def test_what_schema_and_webhook_object_to_is_said_without_the_wrapping(
    body: dict[str, Any], expected: list[str]
) -> None:
    refused = failure(422, json.dumps(body).encode(), "PATCH", "/x")
    assert isinstance(refused, ApiRefused)
    assert problems(refused) == expected
