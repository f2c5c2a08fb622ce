"""A rollout read from the figures and conditions of Deployments: what the operator's status and the pods cannot tell.

The operator says Available all along, and counts what the pods of before keep whole: only the Deployment knows better.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.deployments.kubernetes.rolling import divided
from services.deployments.kubernetes.rollouts import progress
from services.deployments.kubernetes.status import status_of
from services.deployments.manifest import CHANGED_AT, to_manifest
from services.domain import Deployment, DeploymentStatus, Parameter, Phase, Predictor, Resources
from tests.support import rollouts

WINE = Deployment("seldon", "wine", (Predictor("a", "s3://m/2", 100, replicas=2),))
QUOTA = (
    'pods "wine-a-0-a-model-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4'
)
DEADLINE = {**rollouts.GIVEN_UP, "message": 'ReplicaSet "wine-a-0-a-model-5d" has timed out progressing.'}


def made(deployment: Deployment = WINE, *, generation: int = 2, seen: int = 2, **figures: Any) -> dict[str, Any]:
    """The Deployment of `a` as the operator writes it for `deployment`; the controller has seen generation `seen`."""
    manifest = to_manifest(deployment)
    found = rollouts.deployment_of(manifest, manifest["spec"]["predictors"][0])
    found["metadata"]["generation"] = generation
    return {**found, "status": {"observedGeneration": seen, **rollouts.figures(2, **figures)}}


def pod(made_at: int, deployment: dict[str, Any], *, template: str, ready: bool = True) -> dict[str, Any]:
    """A pod of the Deployment's template as it is, `template` being its hash."""
    labels = {**deployment["spec"]["template"]["metadata"]["labels"], "pod-template-hash": template}
    return {
        "metadata": {
            "name": f"wine-a-0-a-model-{template}-{made_at}",
            "namespace": "seldon",
            "creationTimestamp": f"2026-01-01T00:00:{made_at:02}Z",
            "labels": labels,
        },
        "spec": copy.deepcopy(deployment["spec"]["template"]["spec"]),
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True" if ready else "False"},
            ],
            "containerStatuses": [{"name": "a-model", "ready": ready, "state": {"running": {}}}],
        },
    }


def read(
    deployment: dict[str, Any],
    *pods: Any,
    wanted: Deployment = WINE,
    changed_s: float = 0,
    state: str = "Available",
    available: int = 2,
) -> DeploymentStatus:
    """The status `changed_s` seconds after the change; the operator's count is that of before."""
    found = to_manifest(wanted, {CHANGED_AT: (datetime.now(UTC) - timedelta(seconds=changed_s)).isoformat()})
    found["metadata"] |= {"uid": "u", "generation": 3}
    counts = {"wine-a-0-a-model": {"replicas": 2, "availableReplicas": available}}
    found["status"] = {"state": state, "deploymentStatus": counts}
    return status_of(found, pods, wanted.split, "", [deployment])


def test_settled_once_all_pods_are_of_the_newest_template() -> None:
    assert read(made()).settled
    assert read(made()).predictor("a").progress == ""


def test_not_before_the_controller_has_seen_the_deployment() -> None:
    status = read(made(generation=3))
    a = status.predictor("a")
    assert not status.settled
    assert (a.reason, a.ready, a.updating) == ("waiting for the cluster to look at its Deployment", 0, True)


@pytest.mark.parametrize(
    "change",
    [
        {"start_budget_s": 1200},
        {"resources": Resources(memory_limit="4Gi")},
        {"parameters": (Parameter("xtype", "DataFrame", "STRING"),)},
        {"env_secret": "models"},
        {"replicas": 3},
        {"model_uri": "s3://m/3"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_not_before_the_operator_has_written_the_change(change: dict[str, Any]) -> None:
    """What was deployed before had a Secret of its own, so that there is one to compare."""
    before = replace(WINE, predictors=(replace(WINE.predictors[0], env_secret="old"),))
    wanted = replace(WINE, predictors=(replace(before.predictors[0], **change),))
    status = read(made(before), wanted=wanted)
    assert not status.settled
    assert status.predictor("a").reason == "waiting for Seldon's operator"
    if "replicas" not in change:
        assert status.predictor("a").ready == 0, "no pod is made as is wanted now"
        assert read(made(wanted), wanted=wanted).settled
    if "model_uri" not in change and "replicas" not in change:
        assert read(made(before), wanted=wanted, changed_s=120).settled, "it stands there in a form nobody knows"


def test_quantities_are_compared_as_numbers() -> None:
    halved = replace(WINE, predictors=(replace(WINE.predictors[0], resources=Resources(cpu_request="0.5")),))
    found = made(halved)
    found["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "500m"
    assert read(found, wanted=halved).settled


def test_progress_is_told_in_numbers() -> None:
    status = read(made(updated=1, ready=0, old=2))
    a = status.predictor("a")
    assert (a.phase, a.ready, a.updating) == (Phase.LOADING, 0, True)
    assert a.progress == "0 of 2 new pods ready, 2 old ones still answer"
    assert status.waiting == "a loading: 0 of 2 new pods ready, 2 old ones still answer; its pods become ready"
    assert (
        read(made(updated=2, ready=1, old=1)).predictor("a").progress
        == "1 of 2 new pods ready, 1 old one still answers"
    )
    ending = read(made(updated=2, ready=2, old=1))
    assert ending.predictor("a").reason == "older pods end"
    assert not ending.settled


def test_progress_is_silent_where_nothing_is_replaced() -> None:
    assert progress(1, 0, 0) == ""
    assert progress(1, 0, 1) == "0 of 1 new pod ready, 1 old one still answers"
    assert progress(3, 1, 0) == "1 of 3 new pods ready"


@pytest.mark.parametrize("state", ["Creating", "Failed", "Available"])
def test_pods_that_are_not_let_in_are_told_by_the_condition(state: str) -> None:
    found = made(updated=0, old=2)
    found["status"]["conditions"].append(rollouts.refused(QUOTA))
    a = read(found, state=state).predictor("a")
    assert (a.phase, a.updating) == (Phase.FAILED, True)
    assert a.reason == f"pods cannot be made: {QUOTA}"


def test_a_refusal_of_what_was_wanted_before_is_not_held_against_what_is_wanted_now() -> None:
    found = made(updated=0, old=2)
    found["status"]["conditions"].append(rollouts.refused(QUOTA))
    unseen = {**found, "metadata": {**found["metadata"], "generation": 3}}
    assert read(unseen).predictor("a").phase is Phase.PENDING
    smaller = replace(WINE, predictors=(replace(WINE.predictors[0], resources=Resources(memory_limit="1Gi")),))
    assert read(found, wanted=smaller).predictor("a").phase is Phase.PENDING


def test_a_rollout_without_progress_has_failed_and_its_pod_says_why() -> None:
    found = made(updated=1, ready=0, old=2)
    found["status"]["conditions"] = [DEADLINE]
    found["spec"]["progressDeadlineSeconds"] = 1260
    assert read(found).predictor("a").reason == "no progress for 1260 s"
    coming = pod(3, found, template="new", ready=False)
    a = read(found, coming).predictor("a")
    assert a.phase is Phase.FAILED
    assert a.reason == "no progress for 1260 s: wine-a-0-a-model-new-3: a-model starts: environment, then model"


def test_which_template_is_the_newest_the_deployment_tells_even_if_its_pods_are_the_older() -> None:
    """After an undo the old ReplicaSet is filled again, and the newest pods are those to go."""
    undone = made(updated=1, ready=1, old=1)
    other = replace(WINE, predictors=(replace(WINE.predictors[0], resources=Resources(memory_limit="9Gi")),))
    kept, going = pod(1, undone, template="first"), pod(5, made(other), template="second")
    parts = divided([kept, going], WINE.predictors[0], [undone])
    assert (parts.fresh, parts.before) == ((kept,), (going,))
    assert divided([kept, going], WINE.predictors[0]).fresh == (going,), "what the pods alone would say"


@pytest.mark.parametrize("how", ["limits alone", "LimitRange", "sidecar"])
def test_an_undo_is_seen_through_what_the_cluster_fills_into_pods(how: str) -> None:
    wanted = replace(
        WINE, predictors=(replace(WINE.predictors[0], resources=Resources(memory_limit="4Gi"), start_budget_s=600),)
    )
    larger = replace(WINE, predictors=(replace(wanted.predictors[0], resources=Resources(memory_limit="9Gi")),))
    undone = made(wanted, updated=1, ready=1, old=1)
    kept, going = pod(1, undone, template="first"), pod(5, made(larger), template="second")
    for one in (kept, going):
        container = one["spec"]["containers"][0]
        resources = container["resources"]
        if how == "limits alone":
            resources["requests"] = dict(resources["limits"])
        elif how == "LimitRange":
            resources["limits"]["cpu"] = "1"
        else:
            container["livenessProbe"] = {"httpGet": {"path": "/app-health/a-model/livez", "port": 15020}}
            container["env"].append({"name": "ISTIO_META", "value": "x"})
    parts = divided([kept, going], wanted.predictors[0], [undone])
    assert (parts.fresh, parts.before) == ((kept,), (going,))


def test_pods_that_have_more_than_the_template_are_of_another() -> None:
    """A limit, a budget or a parameter that was taken back: the pods of before hold all of what is wanted, and more."""
    undone = made(updated=1, ready=1, old=1)
    for more in ({"resources": Resources(memory_limit="9Gi")}, {"start_budget_s": 600}):
        other = replace(WINE, predictors=(replace(WINE.predictors[0], **more),))
        kept, going = pod(1, undone, template="first"), pod(5, made(other), template="second")
        assert divided([kept, going], WINE.predictors[0], [undone]).fresh == (kept,)


def test_the_figures_tell_where_a_webhook_has_changed_the_pods() -> None:
    found = made(updated=1, ready=1, old=2)
    pods = [pod(1, found, template="new"), pod(2, found, template="old"), pod(3, found, template="old")]
    for one in pods:
        one["spec"]["containers"][0]["image"] = "mirror.example/mlflowserver:1.19.0"
    assert divided(pods, WINE.predictors[0], [found]).fresh == (pods[0],)
    none_yet = made(updated=0, old=3)
    assert divided(pods, WINE.predictors[0], [none_yet]).fresh == ()


def test_an_arm_of_somebody_elses_shape_is_not_waited_for() -> None:
    foreign = made()
    foreign["spec"]["template"]["spec"] = {"containers": [{"name": "classifier", "image": "mine"}]}
    assert read(foreign).settled


def test_a_deployment_that_is_being_deleted_counts_no_more() -> None:
    going = made(updated=0, old=1)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert read(going).settled, "the operator's word is what is left"
