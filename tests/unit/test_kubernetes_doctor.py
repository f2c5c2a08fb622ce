"""The way up says of a predictor what its status says: both read its Deployments and pods by one rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from services.deployments.kubernetes.doctor import way_up
from services.deployments.kubernetes.logs import log_of
from services.deployments.kubernetes.status import status_of
from services.deployments.manifest import CHANGED_AT, PODS_CHANGED_AT, to_manifest
from services.domain import Deployment, DeploymentStatus, Predictor, Resources, Startup, StepState
from tests.support import rollouts

SMALL = Deployment("seldon", "wine", (Predictor("a", "s3://m/2", 100),))
LARGE = Deployment("seldon", "wine", (Predictor("a", "s3://m/2", 100, resources=Resources(memory_limit="4Gi")),))
QUOTA = 'pods "wine-a-0-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4'


@dataclass
class Held:
    """What the copies hold."""

    found_pods: list[Any]
    found_deployments: list[Any]

    def pods(self, namespace: str) -> list[Any]:
        return self.found_pods

    def apps_deployments(self, namespace: str) -> list[Any]:
        return self.found_deployments

    def events(self, namespace: str) -> list[Any]:
        return []


def both(deployment: dict[str, Any], *pods: Any, changed_s: float) -> tuple[DeploymentStatus, Startup]:
    at = (datetime.now(UTC) - timedelta(seconds=changed_s)).isoformat()
    found = to_manifest(LARGE, {CHANGED_AT: at, PODS_CHANGED_AT: f"a={at}"})
    found["metadata"] |= {"uid": "u", "generation": 3}
    found["status"] = {"state": "Available"}
    status = status_of(found, pods, LARGE.split, "", [deployment])
    held = cast(Any, Held(list(pods), [deployment]))
    return status, way_up(cast(Any, None), held, found, status, "a")  # no log is asked for where there is no pod


def of_before(**figures: Any) -> dict[str, Any]:
    manifest = to_manifest(SMALL)
    found = rollouts.deployment_of(manifest, manifest["spec"]["predictors"][0])
    found["metadata"]["generation"] = 2
    return {**found, "status": {"observedGeneration": 2, **rollouts.figures(1, **figures)}}


def test_before_the_operator_has_written_the_template_no_pod_is_on_its_way() -> None:
    deployment = of_before()
    old = {
        "metadata": {"name": "wine-a-0-a-model-x", "namespace": "seldon", **deployment["spec"]["template"]["metadata"]},
        "spec": deployment["spec"]["template"]["spec"],
        "status": {"conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")]},
    }
    status, startup = both(deployment, old, changed_s=5)
    assert status.predictor("a").reason == "waiting for Seldon's operator"
    assert (startup.steps[0].state, startup.steps[0].note) == (StepState.RUNNING, "no pod yet")
    assert StepState.DONE not in [s.state for s in startup.steps]


@pytest.mark.parametrize(("changed_s", "told"), [(5, False), (120, True)])
def test_what_keeps_pods_from_being_made_is_told_by_both_or_by_neither(changed_s: float, told: bool) -> None:
    """After a minute the complaint is about what will be, since the template does not become what is wanted."""
    deployment = of_before(updated=0, ready=0)
    deployment["status"]["conditions"].append(rollouts.refused(QUOTA))
    status, startup = both(deployment, changed_s=changed_s)
    assert status.predictor("a").reason.startswith("pods cannot be made") is told
    assert (startup.diagnosis is not None and startup.diagnosis.key == "quota") is told


def test_where_the_operator_fails_the_way_up_of_that_arm_says_so_with_a_remedy() -> None:
    two = Deployment("seldon", "wine", (Predictor("a", "s3://m/1", 50), Predictor("b", "s3://m/2", 50)))
    found = to_manifest(two)
    found["metadata"] |= {"uid": "u", "generation": 1}
    found["status"] = {"state": "Failed", "description": 'Deployment.apps "wine-a-0-a-model" is invalid: too much'}
    status, held = status_of(found, [], None), cast(Any, Held([], []))
    a, b = (way_up(cast(Any, None), held, found, status, name) for name in ("a", "b"))
    assert a.diagnosis is not None
    assert "too much" in a.diagnosis.what
    assert a.steps[0].state is StepState.FAILED
    assert b.diagnosis is None
    assert b.steps[0].state is not StepState.FAILED


@dataclass
class Logs:
    """A cluster that hands out logs, and remembers of which container."""

    read: list[str]

    def text(self, path: str, query: dict[str, str]) -> str:
        self.read.append(query["container"])
        return "2026-11-02T10:00:31.1Z Solving environment: ...working..."


def running(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "restartCount": 0, "state": {"running": {"startedAt": "x"}}, **more}


@pytest.mark.parametrize(
    ("inits", "container"),
    [
        ([running("istio-proxy", ready=True), running("m-model-initializer")], "m-model-initializer"),
        ([running("istio-proxy", ready=True)], "m"),
        ([running("istio-init")], "istio-init"),
    ],
)
def test_the_log_is_of_what_the_pod_waits_for_and_not_of_a_side_car(inits: list[Any], container: str) -> None:
    pod = {
        "metadata": {"namespace": "seldon", "name": "wine-a-0-m-x"},
        "spec": {
            "initContainers": [{"name": "m-model-initializer"}],
            "containers": [{"name": "linkerd-proxy"}, {"name": "seldon-container-engine"}, {"name": "m"}],
        },
        "status": {"initContainerStatuses": inits, "containerStatuses": [running("m")]},
    }
    cluster = Logs([])
    assert len(log_of(cast(Any, cluster), pod, 10)) == 1
    assert cluster.read == [container]
