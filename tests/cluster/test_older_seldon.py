"""A SeldonDeployment CRD without `progressDeadlineSeconds`, as before Seldon Core 1.15, on a real API server."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.seldon import collection, item
from services.domain import ChangeNote, Deployment, Predictor
from tests.support.api_server import TestCluster
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "a longer start")
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/seldondeployments.machinelearning.seldon.io"
OPEN: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
FIELD = "progressDeadlineSeconds"


@pytest.fixture
def older(cluster: TestCluster, namespace: str) -> Iterator[None]:
    """The CRD names a predictor's fields, and that one is not among them; afterwards it is as before."""
    if not cluster.users:
        pytest.skip("the cluster of DECANT_TEST_KUBECONFIG keeps the definitions that it has")
    before = cluster.admin.get(DEFINITION)

    def put(schema: dict[str, Any]) -> None:
        found = cluster.admin.get(DEFINITION)
        found["spec"]["versions"][0]["schema"] = schema
        cluster.admin.send("PUT", DEFINITION, found)

    def keeps_it() -> bool:
        arm = {"name": "a", "graph": {}, FIELD: 700}
        probe = {"metadata": {"name": "probe"}, "spec": {"predictors": [arm]}}
        probe |= {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment"}
        made = cluster.admin.send("POST", collection(namespace), probe, query={"dryRun": "All"})
        return FIELD in made["spec"]["predictors"][0]

    schema = copy.deepcopy(before["spec"]["versions"][0]["schema"])
    predictor = schema["openAPIV3Schema"]["properties"]["spec"]["properties"]["predictors"]["items"]
    del predictor["x-kubernetes-preserve-unknown-fields"]
    predictor["properties"] |= {"annotations": OPEN, "componentSpecs": {"type": "array", "items": OPEN}}
    put(schema)
    try:
        wait_until(lambda: not keeps_it(), what="the older definition to count")
        yield
    finally:
        put(before["spec"]["versions"][0]["schema"])
        wait_until(keeps_it, what="the definition to be as before")


def test_a_start_budget_is_kept_without_the_deadline_and_later_changes_are_taken(
    older: None, engine: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    arms = (Predictor("a", "s3://m/a", 80, start_budget_s=1800), Predictor("b", "s3://m/b", 20, start_budget_s=1800))
    wine = Deployment(namespace, "wine", arms)
    assert engine.apply(wine, note=ADA).deployment.predictors == arms
    again = replace(wine, predictors=(replace(arms[0], model_uri="s3://m/c"), arms[1]))
    assert "s3://m/c" in engine.preview(again, note=ADA)
    assert engine.apply(again, note=ADA).deployment.predictors == again.predictors
    live = cluster.admin.get(item(namespace, "wine"))
    assert [FIELD in p for p in live["spec"]["predictors"]] == [False, False]

    def told() -> list[str]:
        return [event.message for event in engine.events(namespace, "wine") if FIELD in event.message]

    words = wait_until(told, what="the Event that says so")[0]
    assert "Seldon Core does not know" in words and "a and b failed after 600 s" in words
