"""The client for single requests against a real server: answers, refusals and silence, each in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from services.domain import Endpoint
from services.errors import InvalidPayload, Rejected, Unavailable
from services.traffic.client import PredictionClient
from tests.support.seldon_stub import SeldonStub
from tests.support.waiting import free_port


@pytest.fixture(scope="module")
def stub() -> Iterator[SeldonStub]:
    with SeldonStub() as stub:
        yield stub


@pytest.fixture
def client() -> Iterator[PredictionClient]:
    client = PredictionClient(timeout_s=5)
    yield client
    client.close()


def endpoint(stub: SeldonStub, arm: str = "") -> Endpoint:
    return Endpoint(f"{stub.url}/seldon/seldon/wine", (("x-decant-predictor", arm),) if arm else ())


def test_a_prediction_names_its_arm_and_its_feedback_reaches_it(stub: SeldonStub, client: PredictionClient) -> None:
    prediction, request, response = client.predict(endpoint(stub, "b"), [[7.0, 0.27]], ["x", "y"], puid="mine")
    assert (prediction.predictor, prediction.values, prediction.puid, prediction.status) == ("b", (8.0,), "mine", 200)
    assert prediction.latency_ms > 0
    assert request == {"data": {"names": ["x", "y"], "ndarray": [[7.0, 0.27]]}}
    assert response["meta"]["tags"] == {"predictor": "b"}

    client.feedback(endpoint(stub, prediction.predictor), request, response, 0.0, truth=6)
    assert stub.feedback[-1] == ("mine", "b", 0.0)
    assert stub.truths[-1] == 6


def test_a_refusal_carries_status_and_words(stub: SeldonStub, client: PredictionClient) -> None:
    stub.bad_values = {13.0}
    with pytest.raises(Rejected, match=r"400: data.ndarray\[0\]\[0\]: 13.0 is not allowed") as refused:
        client.predict(endpoint(stub), [[13.0]], puid="p")
    assert refused.value.status == 400
    with pytest.raises(Rejected, match="404"):
        client.predict(Endpoint(f"{stub.url}/elsewhere"), [[1.0]], puid="p")


def test_nobody_there(client: PredictionClient) -> None:
    with pytest.raises(Unavailable, match="The gateway does not answer"):
        client.predict(Endpoint(f"http://127.0.0.1:{free_port()}"), [[1.0]])


def test_an_answer_that_takes_too_long(stub: SeldonStub) -> None:
    stub.delay_s = 0.5
    client = PredictionClient(timeout_s=0.05)
    with pytest.raises(Unavailable, match="in time"):
        client.predict(endpoint(stub), [[1.0]], puid="p")
    stub.delay_s = 0.0
    client.close()


def test_values_that_cannot_be_sent(stub: SeldonStub, client: PredictionClient) -> None:
    with pytest.raises(InvalidPayload):
        client.predict(endpoint(stub), [[object()]])
    with pytest.raises(InvalidPayload):
        client.feedback(endpoint(stub), {}, {}, float("nan"))


def test_sessions_share_one_client(stub: SeldonStub, client: PredictionClient) -> None:
    got: list[float] = []

    def session(value: float) -> None:
        for _ in range(20):
            prediction, _, _ = client.predict(endpoint(stub, "a"), [[value]], puid=f"s{value}")
            got.append(float(str(prediction.values[0])) - value)

    threads = [threading.Thread(target=session, args=(float(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == [0.0] * 160
