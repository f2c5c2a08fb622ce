"""Shares of 0 on a real API server: believed when the ingress shows them, put back or refused when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.ownership import MANAGER
from services.deployments.kubernetes.seldon import core
from services.domain import ChangeNote, Deployment, Predictor, Split
from services.errors import InvalidInput
from tests.support.api_server import TestCluster
from tests.support.ingress import write_annotated_services
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "b is done")
ALL_A = Split.of({"a": 100, "b": 0})


def wine(namespace: str, a: int = 80, b: int = 20) -> Deployment:
    return Deployment(namespace, "wine", (Predictor("a", "s3://m/a", traffic=a), Predictor("b", "s3://m/b", traffic=b)))


@pytest.fixture
def ambassador(cluster: TestCluster, operator: StatusOperator, namespace: str) -> Iterator[KubernetesEngine]:
    engine = KubernetesEngine(cluster.options(namespace, ingress="ambassador"))
    engine.apply(wine(namespace), note=ADA)
    wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
    yield engine
    engine.close()


def test_a_share_of_nothing_stands_when_the_routes_show_it(ambassador: KubernetesEngine, namespace: str) -> None:
    assert ambassador.set_traffic(namespace, "wine", ALL_A, note=ADA).in_force == ALL_A
    other = Split.of({"a": 0, "b": 100})
    assert ambassador.set_traffic(namespace, "wine", other, note=ADA).in_force == other


def test_a_share_of_nothing_that_the_ingress_drops_is_put_back_and_said(
    ambassador: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    operator.lossy.add(f"{namespace}/wine")
    with pytest.raises(InvalidInput, match="a 50 % / b 50 %") as refused:
        ambassador.set_traffic(namespace, "wine", ALL_A, note=ADA)
    assert "The split is a 80 % / b 20 % again" in refused.value.sentence
    assert "at least 1 %, or remove it" in refused.value.hint
    wait_until(lambda: ambassador.get(namespace, "wine").settled, timeout_s=30, what="the old split to be in force")
    assert ambassador.get(namespace, "wine").in_force == Split.of({"a": 80, "b": 20})
    told = [
        e["message"]
        for e in cluster.admin.get(core(namespace, "events"))["items"]
        if e["source"] == {"component": MANAGER}
    ]
    assert any("put back by Decant" in message for message in told)


def test_an_arm_that_joins_at_nothing_and_is_sent_half_is_said_to_be(
    ambassador: KubernetesEngine, operator: StatusOperator, namespace: str
) -> None:
    operator.lossy.add(f"{namespace}/wine")
    ambassador.apply(wine(namespace, 100, 0), note=ADA)
    said = wait_until(lambda: ambassador.get(namespace, "wine").message, timeout_s=30, what="the leak to be told")
    assert "b is to get nothing, but the ingress sends it 50 %" in said


def test_the_annotations_of_ambassador_1_are_read_and_never_trusted_with_nothing(
    ambassador: KubernetesEngine, cluster: TestCluster, namespace: str
) -> None:
    write_annotated_services(cluster.admin, namespace, "wine", {"a": 80, "b": 20})

    def refused() -> bool:
        try:
            ambassador.preview(wine(namespace, 100, 0), note=ADA)
        except InvalidInput as error:
            return "out of Ambassador's annotations" in error.sentence
        return False

    wait_until(refused, what="the watch to tell of the annotations")
    with pytest.raises(InvalidInput, match="annotations"):
        ambassador.set_traffic(namespace, "wine", ALL_A, note=ADA)
    assert ambassador.get(namespace, "wine").requested == Split.of({"a": 80, "b": 20})


def test_a_new_deployment_gets_nothing_only_where_routes_show_that_a_0_is_kept(
    cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    other = cluster.namespace()
    engine = KubernetesEngine(cluster.options(namespace, other, ingress="ambassador"))
    for change in (engine.apply, engine.preview):
        with pytest.raises(InvalidInput, match=r"b of .* would get 0 %, .* no route in the cluster shows") as refused:
            change(wine(namespace, 100, 0), note=ADA)
        assert "at least 1 %, or remove it" in refused.value.hint
    engine.apply(wine(other), note=ADA)
    wait_until(lambda: engine.get(other, "wine").settled, timeout_s=30, what="the other one to settle")

    def applied() -> bool:
        try:
            engine.apply(wine(namespace, 100, 0), note=ADA)
        except InvalidInput:
            return False  # the watch tells of the Mappings a moment later
        return True

    wait_until(applied, what="the Mappings to be seen")
    write_annotated_services(cluster.admin, other, "old", {"a": 80, "b": 20})

    def refused_again() -> bool:
        try:
            engine.preview(replace(wine(namespace, 100, 0), name="new"), note=ADA)
        except InvalidInput:
            return True
        return False

    wait_until(refused_again, what="the annotations to be seen")
    engine.close()


def test_where_no_routes_can_be_read_nothing_is_refused_with_the_remedy(
    cluster: TestCluster, operator: StatusOperator, namespace: str
) -> None:
    engine = KubernetesEngine(cluster.options(namespace, ingress="none"))
    for change in (
        lambda: engine.apply(wine(namespace, 100, 0), note=ADA),
        lambda: engine.preview(wine(namespace, 100, 0), note=ADA),
    ):
        with pytest.raises(InvalidInput, match=r"b of .* would get 0 %") as refused:
            change()
        assert "at least 1 %" in refused.value.hint
    engine.apply(wine(namespace), note=ADA)
    with pytest.raises(InvalidInput, match="would get 0 %"):
        engine.set_traffic(namespace, "wine", ALL_A, note=ADA)
    engine.close()
