"""Which arm made an answer: told by the answer, never guessed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from services.domain import Arm, Endpoint, Split
from services.traffic.attribution import answering_arm

SPLIT = Endpoint("http://gateway/seldon/seldon/wine")
PINNED = Endpoint(SPLIT.url, (("x-decant-predictor", "b"),))


def ingress(node_a: str = "a-model", node_b: str = "b-model") -> Endpoint:
    arms = (
        Arm("a", 80, Endpoint("http://wine-a.seldon:8000"), node_a, "wine-a"),
        Arm("b", 20, Endpoint("http://wine-b.seldon:8000"), node_b, "wine-b"),
    )
    return Endpoint("http://ingress/seldon/seldon/wine", arms=arms)


def test_on_one_machine_gateway_and_model_servers_say_it() -> None:
    tagged = {"meta": {"puid": "p", "tags": {"predictor": "a"}}, "data": {"ndarray": [1]}}
    assert answering_arm({"x-decant-predictor": "c"}, tagged, PINNED) == "c"
    assert answering_arm({}, tagged, PINNED) == "a"
    assert answering_arm({}, {"meta": {"requestPath": {"node": "image", "decant.dev/predictor": "d"}}}, SPLIT) == "d"
    assert answering_arm({}, {"parameters": {"predictor": "e"}, "model_name": "m"}, SPLIT) == "e"
    assert answering_arm({}, {}, PINNED) == "b"
    assert answering_arm({}, {}, SPLIT) == ""


@pytest.mark.parametrize(
    ("headers", "body", "arm"),
    [
        ({}, {"meta": {"requestPath": {"b-model": "mlflowserver:1.19"}}}, "b"),
        ({}, {"model_name": "a-model", "outputs": []}, "a"),
        ({"x-envoy-decorator-operation": "wine-b.seldon.svc.cluster.local:8000/*"}, {}, "b"),
        ({"x-envoy-decorator-operation": "wine-c.seldon.svc.cluster.local:8000/*"}, {}, ""),
        ({}, {"meta": {"requestPath": {"somebody-else": "image"}}}, ""),
        ({}, {"meta": {"requestPath": {"a-model": "", "b-model": ""}}}, ""),
        ({}, {"meta": {"tags": {"predictor": "v7 of our own"}, "requestPath": {"b-model": ""}}}, "b"),
        ({}, None, ""),
    ],
)
def test_through_an_ingress_node_or_service_tell_the_arm(headers: dict[str, str], body: Any, arm: str) -> None:
    assert answering_arm(headers, body, ingress()) == arm


def test_nodes_of_one_name_tell_nothing_and_a_mesh_still_does() -> None:
    both = ingress("wines-classifier", "wines-classifier")
    body = {"meta": {"requestPath": {"wines-classifier": "mlflowserver:1.19"}}}
    assert answering_arm({}, body, both) == ""
    mesh = {"x-envoy-decorator-operation": "wine-a.seldon.svc.cluster.local:8000/*"}
    assert answering_arm(mesh, body, both) == "a"


def test_past_the_split_the_arm_is_the_one_that_was_asked() -> None:
    pinned = Endpoint("http://wine-b.seldon:8000", predictor="b")
    assert answering_arm({}, {"meta": {"tags": {"predictor": "v7"}, "requestPath": {"a-model": ""}}}, pinned) == "b"


def test_where_decant_draws_the_arms_it_does_so_by_their_shares() -> None:
    drawn = Endpoint("", arms=ingress().arms, drawn=True)
    found = Counter(drawn.chosen().url for _ in range(20_000))
    assert set(found) == {"http://wine-a.seldon:8000", "http://wine-b.seldon:8000"}
    share = found["http://wine-b.seldon:8000"] / 20_000
    assert abs(share - 0.2) < 5 * (0.2 * 0.8 / 20_000) ** 0.5
    assert drawn.split == Split.of({"a": 80, "b": 20}) and ingress().split is None
    assert ingress().chosen() == ingress()
