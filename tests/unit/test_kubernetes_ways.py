"""Ways into a cluster: ingress, an arm's own Service, or the API server's proxy to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.deployments.kubernetes import cluster
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.options import ClusterOptions
from services.deployments.kubernetes.status import deployment_of
from services.deployments.kubernetes.ways import Ways
from services.domain import V2, Deployment, DeploymentStatus, Predictor, ProxiedService, Split

API = "https://10.1.2.3:6443"


def status(*, in_force: Split | None = None, node: str = "", protocol: str = "seldon") -> DeploymentStatus:
    arms = (
        Predictor("a", "s3://m/a", 80, node=node),
        Predictor("b", "s3://m/b", 20, node=node),
        Predictor("c", "s3://m/c", 50, shadow=True, node=node),
    )
    return DeploymentStatus(Deployment("seldon", "wine", arms, protocol=protocol), "1", (), in_force)


def test_inside_the_cluster_an_arm_is_reached_at_its_service() -> None:
    found = status().deployment
    to = Ways("http://ingress").to_arm(found, found.predictor("b"))
    assert (to.url, to.predictor, to.through, to.note) == ("http://wine-b.seldon:8000", "b", None, "")


def test_outside_it_is_reached_through_the_api_servers_proxy() -> None:
    found = status(protocol=V2).deployment
    to = Ways("http://ingress", API).to_arm(found, found.predictor("b"))
    assert to.url == f"{API}/api/v1/namespaces/seldon/services/wine-b:8000/proxy"
    assert to.through == ProxiedService("seldon", "wine-b", 8000) and to.relayed
    assert (to.protocol, to.model) == (V2, "b-model")
    assert "pass the API server" in to.note


def test_a_service_whose_name_would_be_too_long_goes_by_seldons_hash() -> None:
    found = replace(status().deployment, name="w" * 63)
    to = Ways("", API).to_arm(found, found.predictor("a"))
    assert to.through is not None and to.through.name.startswith("seldon-") and len(to.through.name) <= 63


def test_the_ingress_divides_where_its_answers_name_their_node() -> None:
    to = Ways("http://ingress/", API).to_split(status(in_force=Split.of({"a": 10, "b": 90}), protocol=V2))
    assert (to.url, to.drawn, to.through) == ("http://ingress/seldon/seldon/wine", False, None)
    assert [(arm.predictor, arm.node, arm.service, arm.share) for arm in to.arms] == [
        ("a", "a-model", "wine-a", 10),
        ("b", "b-model", "wine-b", 90),
    ]
    assert to.model == "b-model"


@pytest.mark.parametrize(
    ("ways", "node", "words"),
    [
        (Ways("http://ingress"), "wines-classifier", "nodes of several arms are called “wines-classifier”"),
        (Ways(""), "", "No ingress is set"),
    ],
)
def test_else_decant_draws_by_the_split_in_force_and_says_so(ways: Ways, node: str, words: str) -> None:
    to = ways.to_split(status(in_force=Split.of({"a": 60, "b": 40}), node=node))
    assert to.drawn and to.url == "" and words in to.note
    assert to.split == Split.of({"a": 60, "b": 40})
    assert to.address == "a: http://wine-a.seldon:8000, b: http://wine-b.seldon:8000"
    assert {to.chosen().predictor for _ in range(200)} == {"a", "b"}


@pytest.mark.parametrize("in_force", [None, Split.of({"a": 0, "b": 0})])
def test_a_split_that_cannot_be_read_is_taken_to_be_the_one_asked_for(in_force: Split | None) -> None:
    assert Ways("").to_split(status(in_force=in_force)).split == Split.of({"a": 80, "b": 20})


def test_a_lone_arm_needs_no_name_to_be_told() -> None:
    lone = Deployment("seldon", "wine", (Predictor("only", "s3://m/a", node="wines-classifier"),))
    to = Ways("http://ingress").to_split(DeploymentStatus(lone, "1", (), None))
    assert (to.url, to.predictor, to.drawn) == ("http://ingress/seldon/seldon/wine", "only", False)


def test_a_deployment_made_by_others_is_told_apart_by_the_nodes_it_really_has() -> None:
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER"}
    found: dict[str, Any] = {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"namespace": "seldon", "name": "iris"},
        "spec": {
            "protocol": "kfserving",
            "predictors": [
                {"name": "main", "traffic": 50, "graph": {**graph, "name": "one"}},
                {"name": "canary", "traffic": 50, "graph": {**graph, "name": "two"}},
            ],
        },
    }
    deployment, why = deployment_of(found)
    assert "SKLEARN_SERVER" in why
    to = Ways("http://ingress").to_split(DeploymentStatus(deployment, "1", (), None))
    assert not to.drawn and [arm.node for arm in to.arms] == ["one", "two"] and to.protocol == V2

    for predictor in found["spec"]["predictors"]:
        predictor["graph"] = graph
    to = Ways("http://ingress").to_split(DeploymentStatus(deployment_of(found)[0], "1", (), None))
    assert to.drawn and "classifier" in to.note


def test_only_a_pod_of_the_cluster_itself_has_addresses_for_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    monkeypatch.setattr(cluster, "_SERVICE_ACCOUNT", token)
    assert not cluster.Cluster().inside
    token.write_text("secret")
    assert cluster.Cluster().inside
    assert not cluster.Cluster(context="another").inside and not cluster.Cluster("kubeconfig").inside
    assert KubernetesEngine(ClusterOptions()).relay is None
    assert KubernetesEngine(ClusterOptions(context="another")).relay is not None
