"""What a manifest says and Decant would not send is found, and nothing else is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from services.deployments.manifest import CHANGED_BY, from_manifest, to_manifest
from services.deployments.unsent import unsent
from services.settings import ROOT

EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))
CONTAINER = "spec.predictors[a].componentSpecs[0].spec.containers[a-model]"


def example() -> dict[str, Any]:
    """One that has everything Decant writes."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "manifests" / "examples" / "published.yaml").read_text())
    return found


def left_out(written: dict[str, Any]) -> tuple[str, ...]:
    return unsent(written, to_manifest(from_manifest(written)))


def predictor(written: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = written["spec"]["predictors"][0]
    return found


def container(written: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = predictor(written)["componentSpecs"][0]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_what_decant_writes_is_sent_whole(file: Any) -> None:
    assert left_out(yaml.safe_load(file.read_text())) == ()


@pytest.mark.parametrize(
    ("where", "what", "named"),
    [
        (lambda m: m["metadata"], {"labels": {"team": "cellar"}}, "metadata.labels"),
        (lambda m: m["spec"], {"annotations": {"seldon.io/rest-timeout": "5000"}}, "spec.annotations"),
        (predictor, {"svcOrchSpec": {"env": [{"name": "X", "value": "1"}]}}, "spec.predictors[a].svcOrchSpec"),
        (predictor, {"progressDeadlineSeconds": 77}, "spec.predictors[a].progressDeadlineSeconds"),
        (lambda m: predictor(m)["annotations"], {"mine": "x"}, "spec.predictors[a].annotations.mine"),
        (lambda m: predictor(m)["graph"], {"logger": {"mode": "all"}}, "spec.predictors[a].graph.logger"),
        (container, {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, f"{CONTAINER}.volumeMounts"),
        (container, {"envFrom": [{"secretRef": {"name": "s"}}]}, f"{CONTAINER}.envFrom"),
        (
            lambda m: container(m)["resources"]["limits"],
            {"nvidia.com/gpu": 1},
            f"{CONTAINER}.resources.limits.nvidia.com/gpu",
        ),
        (lambda m: container(m)["livenessProbe"], {"periodSeconds": 60}, f"{CONTAINER}.livenessProbe"),
        (
            lambda m: predictor(m)["componentSpecs"][0]["spec"],
            {"imagePullSecrets": [{"name": "registry"}]},
            "spec.predictors[a].componentSpecs[0].spec.imagePullSecrets",
        ),
        (
            lambda m: predictor(m)["componentSpecs"][0],
            {"hpaSpec": {"minReplicas": 1, "maxReplicas": 3}},
            "spec.predictors[a].componentSpecs[0].hpaSpec",
        ),
    ],
)
def test_what_would_be_left_out_is_named(where: Any, what: dict[str, Any], named: str) -> None:
    written = example()
    where(written).update(what)
    found = left_out(written)
    assert named in found or any(path.startswith(f"{named}.") for path in found), found
    if "Probe" not in named:  # a probe of another form is nobody's budget, so nothing of it is written
        assert found == (named,)


def test_another_container_is_named() -> None:
    written = example()
    pod = predictor(written)["componentSpecs"][0]["spec"]
    pod["containers"].append({"name": "sidecar", "image": "busybox"})
    assert left_out(written) == ("spec.predictors[a].componentSpecs[0].spec.containers[sidecar].image",)


def test_what_is_as_it_is_anyway_is_not_named() -> None:
    written = example()
    written["status"] = {"state": "Available"}
    written["metadata"] |= {"uid": "1", "resourceVersion": "2", "creationTimestamp": None, "labels": {}}
    written["metadata"]["annotations"] = {CHANGED_BY: "somebody", "kept": "as it is"}
    written["spec"] |= {"name": "wines", "protocol": "seldon"}
    predictor(written)["graph"] |= {"type": "MODEL", "endpoint": {"type": "REST"}}
    container(written)["livenessProbe"]["timeoutSeconds"] = 1
    assert left_out(written) == ()


def test_a_container_that_only_names_itself_says_nothing() -> None:
    written = example()
    predictor(written)["componentSpecs"] = [{"spec": {"containers": [{"name": "a-model"}]}}]
    del predictor(written)["progressDeadlineSeconds"]
    assert left_out(written) == ()


def test_what_is_in_the_cluster_already_is_kept_and_so_not_named() -> None:
    written = example()
    container(written)["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    written["metadata"]["labels"] = {"team": "cellar"}
    there = copy.deepcopy(written)
    there["metadata"]["labels"]["more"] = "of the cluster's"
    assert unsent(written, there) == ()
    container(there)["volumeMounts"][0]["mountPath"] = "/elsewhere"
    assert unsent(written, there) == (f"{CONTAINER}.volumeMounts[v].mountPath",)
