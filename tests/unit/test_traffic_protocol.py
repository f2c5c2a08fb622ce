"""Seldon's bodies: values, arms and error words in every form in which they come."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from services.domain import V2, Endpoint, ProxiedService
from services.errors import InvalidPayload
from services.traffic.pacing import Outages, RateWindow
from services.traffic.protocol import error_words, feedback_body, read_prediction, response_values
from services.traffic.snippets import curl_text, python_text

SPLIT = Endpoint("http://gateway/seldon/seldon/wine")
PINNED = Endpoint(SPLIT.url, (("x-decant-predictor", "b"),))


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ({"data": {"names": [], "ndarray": [5.1, 6.2]}}, [5.1, 6.2]),
        ({"data": {"ndarray": [["red"], ["white"]]}}, [["red"], ["white"]]),
        ({"data": {"tensor": {"shape": [2], "values": [1, 2]}}}, [1, 2]),
        ({"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}, [[1, 2], [3, 4]]),
        ({"data": {"tensor": {"shape": [1, 2, 2], "values": [1, 2, 3, 4]}}}, [[[1, 2], [3, 4]]]),
        ({"data": {"tensor": {"values": [1, 2]}}}, [1, 2]),
        ({"jsonData": [1]}, [1]),
        ({"jsonData": {"y": 1}}, [{"y": 1}]),
        ({"strData": "red"}, ["red"]),
    ],
)
def test_values_of_a_response(body: Any, values: list[Any]) -> None:
    assert response_values(body) == values


@pytest.mark.parametrize(
    "body", [{}, [], None, {"data": {}}, {"data": {"tensor": {"shape": [3], "values": [1]}}}, {"data": {"ndarray": 1}}]
)
def test_a_response_without_values(body: Any) -> None:
    with pytest.raises(InvalidPayload):
        response_values(body)


def test_a_response_as_a_prediction() -> None:
    tagged = {"meta": {"puid": "p", "tags": {"predictor": "a"}}, "data": {"ndarray": [1]}}
    prediction = read_prediction(tagged, {}, SPLIT, 2.5)
    assert (prediction.puid, prediction.predictor, prediction.values) == ("p", "a", (1,))


@pytest.mark.parametrize(
    ("body", "text", "words"),
    [
        ({"status": {"code": 400, "info": "no column pH", "reason": "BAD"}}, "", "no column pH (BAD)"),
        ({"status": {"info": "no column pH"}}, "", "no column pH"),
        ({"detail": "gone"}, "", "gone"),
        (None, "no healthy\n upstream", "no healthy upstream"),
        (None, "", "an empty answer"),
    ],
)
def test_words_of_an_error(body: Any, text: str, words: str) -> None:
    assert error_words(body, text) == words


def test_a_reward_that_no_counter_takes_is_refused() -> None:
    assert feedback_body({}, {}, 0.0, None) == {"request": {}, "response": {}, "reward": 0.0}
    for reward in (float("nan"), float("inf")):
        with pytest.raises(InvalidPayload):
            feedback_body({}, {}, reward, 1)


def test_snippets_survive_any_value() -> None:
    request = {"data": {"names": ["it's"], "ndarray": [[1.5, "$(rm -rf /)", None, True]]}}
    words = shlex.split(curl_text(PINNED, request))
    assert words[words.index("-d") + 1] == json.dumps(request)
    assert "x-decant-predictor: b" in words
    assert f"{SPLIT.url}/api/v1.0/predictions" in words
    compile(python_text(PINNED, request), "snippet", "exec")
    assert "x-decant-predictor" not in python_text(SPLIT, request)


def test_snippets_of_a_service_behind_the_api_server_forward_its_port_and_hold_no_secret() -> None:
    api = "https://10.1.2.3:6443/api/v1/namespaces/seldon/services/wine-b:8000/proxy"
    behind = Endpoint(api, predictor="b", through=ProxiedService("seldon", "wine-b", 8000))
    request = {"data": {"names": [], "ndarray": [[1.5]]}}
    for text in (curl_text(behind, request), python_text(behind, request)):
        first, *rest = text.splitlines()
        assert first.endswith("terminal: kubectl port-forward -n seldon service/wine-b 8000:8000")
        assert "http://localhost:8000/api/v1.0/predictions" in "\n".join(rest)
        assert "10.1.2.3" not in text and "Authorization" not in text
    compile(python_text(behind, request), "snippet", "exec")


def test_snippets_of_a_v2_deployment_ask_its_model() -> None:
    v2 = Endpoint("http://h/seldon/seldon/wine", protocol=V2, model="a-model")
    request = {"id": "p", "inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.5]}]}
    assert "http://h/seldon/seldon/wine/v2/models/a-model/infer" in curl_text(v2, request)
    assert "/v2/models/a-model/infer" in python_text(v2, request)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    window = RateWindow()
    assert window.per_s == 0
    for second in range(21):
        window.add(second, 100 * min(second, 10))
    assert window.per_s == 0
    window.add(21, 1500)
    assert window.per_s == pytest.approx(500 / 5, rel=0.2)


def test_an_outage_ends_with_an_answer_at_the_same_place() -> None:
    a, b = ("predictions", "a"), ("predictions", "b")
    outages = Outages()
    assert outages.failed(a, 10, 1).since == 10
    assert not outages.failed(a, 14, 1).sure, "it may be the request's own fault"
    outages.answered(b)
    assert outages.failed(a, 15, 2).since == 10
    assert outages.failed(a, 15, 1).sure, "two have failed in a row"
    assert outages.longest("predictions", 22) == ("a", 12) and outages.longest("feedback", 22) is None
    outages.answered(b, a)
    assert outages.failed(a, 20, 3).since == 20
    assert outages.longest("predictions", 22) is None
    assert outages.failed(b, 21, 3, unreachable=True).sure, "nobody is there to be at fault"
