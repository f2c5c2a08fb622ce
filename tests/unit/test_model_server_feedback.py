"""Rewards: what counts, what is refused, and the metrics they end up in."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.errors import InvalidPayload
from services.runtime.model_server.failures import RequestFailed
from services.runtime.model_server.feedback import FeedbackDesk, read_feedback
from services.runtime.model_server.instruments import SECONDS, Instruments
from services.runtime.model_server.options import ServerOptions

OPTIONS = ServerOptions(
    port=1, model_uri="models:/m-1", namespace="seldon", deployment="mlflow-deployment", predictor="a", node="n"
)
# Exactly what seldon-core 1.18.2's SeldonClient sends, for rewards of 0.3 and of 0.
CLIENT_BODY = (
    b'{"request": {"meta": {}, "data": {"names": ["a", "b"], "tensor": {"shape": [1, 2], "values": [7.0, 0.27]}}}, '
    b'"response": {"meta": {"puid": "x", "requestPath": {"n": "decant/mlflow:3", "decant.dev/predictor": "a"}}, '
    b'"data": {"tensor": {"shape": [1], "values": [5.5]}}}, "reward": 0.3}'
)
CLIENT_BODY_ZERO = CLIENT_BODY.replace(b', "reward": 0.3', b"")


def samples(instruments: Instruments) -> dict[str, float]:
    text = instruments.render().decode()
    return {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples if "le" not in s.labels}


def take(bodies, *, forwarded=False, pinned="", options=OPTIONS):
    instruments = Instruments(options)

    async def go():
        desk = FeedbackDesk(options, instruments)
        try:
            return [
                await desk.take(b if isinstance(b, bytes) else orjson.dumps(b), forwarded=forwarded, pinned=pinned)
                for b in bodies
            ]
        finally:
            await desk.close()

    asyncio.run(go())
    return samples(instruments)


def test_the_real_clients_body_is_read():
    feedback = read_feedback(CLIENT_BODY)
    assert (feedback.reward, feedback.predictor, feedback.puid) == (0.3, "a", "x")


def test_a_zero_that_the_client_leaves_out_counts():
    assert read_feedback(CLIENT_BODY_ZERO).reward == 0.0


@pytest.mark.parametrize(("value", "reward"), [(1, 1.0), ([[0.3]], 0.3), ([2], 2.0), (0, 0.0)])
def test_rewards_in_the_shapes_that_clients_send(value, reward):
    assert read_feedback(orjson.dumps({"reward": value})).reward == reward


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "reward: is missing"),
        (b'{"reward": null, "response": {"meta": {}}}', "reward: must be a number"),
        (b'{"reward": "NaN"}', "reward: must be finite, but is"),
        (b'{"reward": "high"}', "reward: must be a number"),
        (b'{"reward": [1, 2]}', "reward: must be a number"),
        (b'{"reward": true}', "reward: must be a number"),
        (
            b'{"reward": -0.5}',
            "counters only grow. Use a reward of 0 or more, such as the bounded reward 1/(1+(error/scale)^2)",
        ),
        (b'{"reward": 1, "response": 5}', "response: must be the answer"),
        (b'{"reward": 1e999}', "reward: must be finite, but is inf."),
        (b'{"reward": NaN, "response": {}}', "reward: must be finite, but is nan."),
        (b'{"reward": [[-Infinity]]}', "reward: must be finite, but is -inf."),
        (b'{"reward": 1, "response": {"data": {"ndarray": [NaN]}}}', "body: is not JSON"),
        (b'{"reward": NaN', "body: is not JSON"),
    ],
)
def test_rewards_that_cannot_count(body, words):
    with pytest.raises(InvalidPayload) as caught:
        read_feedback(body)
    assert words in str(caught.value)
    assert "ledger" not in str(caught.value)


def test_the_arm_is_found_in_tags_or_path():
    tags = {"response": {"meta": {"tags": {"predictor": "b"}}}, "reward": 1}
    path = {"response": {"meta": {"requestPath": {"decant.dev/predictor": "c"}}}, "reward": 1}
    assert [read_feedback(orjson.dumps(m)).predictor for m in (tags, path, {"reward": 1})] == ["b", "c", ""]


def test_counters_are_there_from_the_start_and_count_zeros():
    before = take([])
    assert before["seldon_api_model_feedback_total"] == 0
    assert before["seldon_api_model_feedback_reward_total"] == 0
    foreign = {"data": {"ndarray": [5.5]}, "meta": {}}
    after = take([{"reward": reward, "response": foreign} for reward in (3, 0, 1)])
    assert after["seldon_api_model_feedback_total"] == 3
    assert after["seldon_api_model_feedback_reward_total"] == 4
    assert after["decant_feedback_reward_squared_total"] == 10
    assert after["decant_feedback_reward_count"] == 3


def test_forwarded_feedback_never_travels_again():
    with pytest.raises(RequestFailed, match="reached “a”") as caught:
        take([{"reward": 1, "response": {"meta": {"tags": {"predictor": "b"}}}}], forwarded=True)
    assert caught.value.code == 409


@pytest.mark.parametrize("body", [{"reward": 1}, {"reward": 1, "response": None}, {"reward": 1, "response": {}}])
def test_a_reward_without_an_answer_has_no_arm_to_go_to(body):
    for pinned in ("", "b"):
        with pytest.raises(InvalidPayload, match=r"response: is missing\. Send the response of the prediction"):
            take([body], pinned=pinned)
    assert take([body], pinned="a")["seldon_api_model_feedback_total"] == 1


def test_errors_have_their_series_before_the_first_one():
    lines = Instruments(OPTIONS).render().decode().splitlines()
    name = "seldon_api_executor_server_requests_seconds_count"
    for service, code in (("predictions", 400), ("predictions", 500), ("predictions", 503), ("feedback", 400)):
        wanted = [line for line in lines if line.startswith(name) and f'code="{code}"' in line and service in line]
        assert len(wanted) == 1 and wanted[0].endswith(" 0.0")


def test_without_a_gateway_the_sender_is_told():
    other = {"reward": 1, "response": {"meta": {"tags": {"predictor": "b"}}}}
    with pytest.raises(RequestFailed, match="no gateway"):
        take([other])
    down = ServerOptions(**{f: getattr(OPTIONS, f) for f in OPTIONS.__slots__} | {"gateway_url": "http://127.0.0.1:9"})
    with pytest.raises(RequestFailed, match=r"cannot be reached\. Send it again") as caught:
        take([other], options=down)
    assert caught.value.code == 503


def test_seldons_names_labels_and_finer_buckets():
    instruments = Instruments(OPTIONS)
    instruments.predictions.observe(0.0007)
    instruments.request("predictions", 400, 0.2)
    families = {f.name: f for f in text_string_to_metric_families(instruments.render().decode())}
    server = families["seldon_api_executor_server_requests_seconds"]
    good = [s for s in server.samples if s.labels["service"] == "predictions" and s.labels["code"] == "200"]
    assert {s.labels["le"] for s in good if "le" in s.labels} == {*map(str, SECONDS), "+Inf"}
    assert {s.labels["le"]: s.value for s in good if "le" in s.labels}["0.0005"] == 0
    assert {s.labels["le"]: s.value for s in good if "le" in s.labels}["0.001"] == 1
    assert good[0].labels | {"le": ""} == {
        "deployment_name": "mlflow-deployment", "predictor_name": "a", "predictor_version": "m-1",
        "service": "predictions", "method": "post", "code": "200", "le": "",
    }  # fmt: skip
    client = families["seldon_api_executor_client_requests_seconds"].samples[0].labels
    assert (
        client["model_name"] == "n"
        and client["model_version"] == "m-1"
        and client["model_image"].startswith("decant/mlflow:")
    )
    counted = {s.labels["service"] for s in server.samples if s.labels["code"] == "200"}
    assert counted == {"predictions", "feedback"}


@pytest.mark.parametrize(
    ("uri", "version"),
    [("models:/m-1", "m-1"), ("models:/wine/3", "3"), ("runs:/abc/model", "abc"), ("/tmp/x/model/", "model")],
)
def test_the_version_is_the_word_that_tells_models_apart(uri, version):
    fields = {f: getattr(OPTIONS, f) for f in OPTIONS.__slots__} | {"model_uri": uri}
    assert ServerOptions(**fields).model_version == version
