"""A model replaced by another in a cluster: what the operator's status and the pods tell of it while it lasts.

The statuses are those of Seldon's operator: no observedGeneration, and a count that the old pods keep whole.
"""

from __future__ import annotations

from typing import Any

import pytest

from services.deployments.kubernetes.rolling import divided
from services.deployments.kubernetes.status import status_of
from services.deployments.manifest import to_manifest
from services.domain import Deployment, DeploymentStatus, Phase, Predictor, Split

WINE = Deployment("seldon", "wine", (Predictor("a", "s3://m/2", traffic=80), Predictor("b", "s3://m/b", traffic=20)))
CRASH = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}
STARTS = {"state": {"running": {}}}
UP: dict[str, Any] = {"ready": True, "state": {"running": {}}}


def pod(arm: str, made: int, container: dict[str, Any], *, uri: str = "", template: str = "", **more: Any) -> Any:
    ready = "True" if container.get("ready") else "False"
    labels = {"app": f"wine-{arm}-0-{arm}-model", **({"pod-template-hash": template} if template else {})}
    spec = {"initContainers": [{"name": f"{arm}-model-model-initializer", "args": [uri, "/mnt/models"]}]}
    return {
        "metadata": {
            "name": f"wine-{arm}-0-{arm}-model-{template or 'x'}-{made}",
            "namespace": "seldon",
            "creationTimestamp": f"2026-01-01T00:00:{made:02}Z",
            "labels": labels,
            **more,
        },
        "spec": spec if uri else {},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": f"{arm}-model", "ready": False, "restartCount": 0, **container}],
        },
    }


def read(*pods: Any, state: str = "Creating", deployment: Deployment = WINE, **status: Any) -> DeploymentStatus:
    """The status as it is read; both Deployments count one available replica, as they do while one is replaced."""
    names = [p.name for p in deployment.predictors]
    counts = {f"wine-{name}-0-{name}-model": {"replicas": 1, "availableReplicas": 1} for name in names}
    found = to_manifest(deployment)
    found["metadata"] |= {"uid": "u", "generation": 3}
    found["status"] = {"state": state, "deploymentStatus": counts, **status}
    return status_of(found, pods, deployment.split)


OLD_A, GOOD_B = pod("a", 1, UP, uri="s3://m/1", template="1"), pod("b", 1, UP, uri="s3://m/b", template="1")


@pytest.mark.parametrize("state", ["Creating", "Failed", "Available"])
def test_a_new_pod_that_crashes_shows_while_the_old_one_answers(state: str) -> None:
    status = read(OLD_A, pod("a", 2, CRASH, uri="s3://m/2", template="2"), GOOD_B, state=state)
    a = status.predictor("a")
    assert a.phase is Phase.FAILED
    assert a.reason.startswith("wine-a-0-a-model-2-2: ")
    assert a.updating
    assert a.ready == 0, "of the wanted model none is ready"
    assert not status.settled


def test_a_pod_that_its_node_put_out_does_not_speak_for_the_one_that_replaces_it() -> None:
    evicted = pod("a", 1, {}, template="1")
    evicted["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    alone = read(evicted, GOOD_B).predictor("a")
    assert (alone.phase, "low on resource" in alone.reason) == (Phase.FAILED, True)
    replaced = read(evicted, pod("a", 2, STARTS, template="1"), GOOD_B).predictor("a")
    assert (replaced.phase, "environment, then model" in replaced.reason) == (Phase.LOADING, True)


def test_the_arm_whose_model_stays_is_ready_meanwhile() -> None:
    status = read(OLD_A, pod("a", 2, STARTS, uri="s3://m/2", template="2"), GOOD_B)
    assert (status.predictor("a").phase, status.predictor("a").updating) == (Phase.LOADING, True)
    assert (status.predictor("b").phase, status.predictor("b").updating) == (Phase.READY, False)


@pytest.mark.parametrize(("first", "second"), [("1", "2"), ("", "")])
def test_a_replacement_of_the_same_model_is_seen_by_template_or_by_age(first: str, second: str) -> None:
    pods = [pod("a", 1, UP, template=first), pod("a", 2, CRASH, template=second)]
    assert read(*pods, GOOD_B).predictor("a").phase is Phase.FAILED
    assert read(*pods, GOOD_B).predictor("a").updating


def test_what_was_available_before_our_write_is_not_believed() -> None:
    status = read(OLD_A, GOOD_B, state="Available")
    a = status.predictor("a")
    assert (a.phase, a.reason, a.updating) == (Phase.PENDING, "waiting for Seldon's operator", True)
    assert not status.settled


def test_settled_once_the_new_pod_is_ready_and_the_old_one_goes() -> None:
    new = pod("a", 2, UP, uri="s3://m/2/", template="2")
    still = read(OLD_A, new, GOOD_B)
    assert (still.predictor("a").phase, still.predictor("a").updating) == (Phase.READY, True)
    going = pod("a", 1, UP, uri="s3://m/1", template="1", deletionTimestamp="2026-01-01T00:01:00Z")
    assert read(going, new, GOOD_B, state="Available").settled


def test_until_the_operator_calls_it_available_it_is_not_settled() -> None:
    pods = [pod("a", 1, UP, uri="s3://m/2"), GOOD_B]
    status = read(*pods)
    assert not status.settled
    assert {p.reason for p in status.predictors} == {"waiting for Seldon's operator"}
    assert read(*pods, state="Available").settled
    assert not read().settled, "nor where nobody may see the pods"
    assert read(state="Available").settled, "there the operator's word is all there is"


def test_a_move_of_the_split_replaces_nothing() -> None:
    moved = WINE.with_split(Split.of({"a": 10, "b": 90}))
    pods = [pod("a", 1, UP, uri="s3://m/2"), GOOD_B]
    status = read(*pods, state="Available", deployment=moved, observedGeneration=2)
    assert {(p.phase, p.reason) for p in status.predictors} == {(Phase.READY, "waiting for Seldon's operator")}
    assert not status.settled


def test_an_evicted_pod_that_is_still_listed_hides_nothing() -> None:
    gone = pod("a", 1, {}, uri="s3://m/2", template="2")
    gone["status"] |= {"phase": "Failed", "message": "The node was low on memory"}
    assert read(gone, pod("a", 2, UP, uri="s3://m/2", template="2"), GOOD_B, state="Available").settled


def test_an_arm_without_replicas_keeps_no_other_from_being_ready() -> None:
    off = Deployment("seldon", "wine", (Predictor("a", "s3://m/2", 100), Predictor("b", "s3://m/b", 0, 0)))
    status = read(pod("a", 1, UP, uri="s3://m/2"), deployment=off)
    assert not status.predictor("a").updating
    assert status.predictor("a").phase is Phase.READY


def test_a_model_on_a_volume_is_known_by_where_it_is_mounted() -> None:
    wanted = Predictor("a", "pvc://claim/models/2")
    new, old = pod("a", 1, UP, uri="/mnt/pvc/models/2"), pod("a", 2, UP, uri="/mnt/pvc/models/1")
    parts = divided([new, old], wanted)
    assert (parts.fresh, parts.before) == ((new,), (old,))


def test_a_model_brought_back_is_not_taken_for_the_one_before() -> None:
    failing = pod("a", 2, CRASH, uri="s3://m/3", template="3")
    status = read(pod("a", 1, UP, uri="s3://m/2", template="2"), failing, GOOD_B)
    assert status.predictor("a").phase is Phase.READY
    assert not status.settled


def test_a_name_that_begins_anothers_has_its_own_count() -> None:
    both = Deployment("seldon", "wine", (Predictor("red", "s3://m/1", 80), Predictor("red-new", "s3://m/2", 20)))
    counts = {
        "wine-red-0-red-model": {"replicas": 1, "availableReplicas": 1},
        "wine-red-new-0-red-new-model": {"replicas": 1, "availableReplicas": 0},
    }
    answers = pod("red", 1, UP, uri="s3://m/1")
    status = read(answers, deployment=both, deploymentStatus=counts)
    assert (status.predictor("red").phase, status.predictor("red").ready) == (Phase.READY, 1)
    assert status.predictor("red-new").phase is Phase.LOADING
