"""The two wire formats, without a model: what is read, what is refused, what is written."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pandas as pd
import pytest

from services.errors import InvalidPayload
from services.runtime.model_server.answers import Answer, read_output, same
from services.runtime.model_server.columns import ColumnReader
from services.runtime.model_server.failures import RequestFailed
from services.runtime.model_server.freeform import FreeReader
from services.runtime.model_server.open_inference import read_inference, render_inference
from services.runtime.model_server.seldon import Form, Renderer, read_prediction
from services.schema import Column, ColumnType, Signature

READER = ColumnReader(Signature(columns=(Column("a", ColumnType.DOUBLE), Column("b", ColumnType.DOUBLE))))
RENDERER = Renderer("a", "wines-classifier", "decant/mlflow:3")


def read(body, puid=None):
    return read_prediction(body if isinstance(body, bytes) else orjson.dumps(body), READER, puid)


def written(body, answer):
    return orjson.loads(RENDERER.render(read(body), answer))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body: is empty"),
        (b'{"data": ', "body: is not JSON (unexpected end of data at line 1, column"),
        (b'{"data": {"ndarray": [[1, NaN]]}}', "send null for a missing number"),
        (b"[1]", "body: must be a JSON object"),
        (b"json=", "body: is empty"),
        (b"{}", "body: has none of data, jsonData and strData (found: nothing)"),
        (b'{"binData": "aGk="}', "binData: is not supported"),
        (b'{"data": 5}', "data: must be an object"),
        (b'{"data": {}}', "data: has neither ndarray nor tensor"),
        (b'{"data": {"names": "a", "ndarray": [[1, 2]]}}', "data.names: must be a list"),
        (b'{"data": {"tensor": {"values": [1, 2]}}}', "data.tensor.shape: must be a list"),
        (b'{"data": {"tensor": {"shape": [1, 3], "values": [1, 2]}}}', "holds 2 values, but the shape [1, 3] needs 3"),
        (b'{"data": {"tensor": {"shape": [1, 2], "values": [[1, 2]]}}}', "one flat list"),
        (b'{"meta": 1, "data": {"ndarray": [[1, 2]]}}', "meta: must be an object"),
        (b'{"strData": 5}', "strData: must be a text"),
        (b"\xff\xfe", "body: is not JSON"),
    ],
)
def test_bodies_that_cannot_be_read(body, words):
    with pytest.raises(InvalidPayload) as caught:
        read(body)
    assert words in str(caught.value)


def test_the_answer_has_the_form_of_the_request():
    answer = Answer([], [1.5, 2.5], ())
    ndarray = written({"data": {"ndarray": [[1, 2], [3, 4]]}}, answer)
    tensor = written({"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}, answer)
    json = written({"jsonData": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}, answer)
    assert ndarray["data"] == {"names": [], "ndarray": [1.5, 2.5]}
    assert tensor["data"] == {"names": [], "tensor": {"shape": [2], "values": [1.5, 2.5]}}
    assert json["jsonData"] == [1.5, 2.5]


def test_two_outputs_per_row():
    answer = Answer(["x", "y"], [[1.0, 2.0]], (2,))
    tensor = written({"data": {"tensor": {"shape": [1, 2], "values": [1, 2]}}}, answer)
    assert tensor["data"] == {"names": ["x", "y"], "tensor": {"shape": [1, 2], "values": [1.0, 2.0]}}
    assert written({"jsonData": [[1, 2]]}, answer)["jsonData"] == [{"x": 1.0, "y": 2.0}]


def test_texts_do_not_fit_a_tensor_and_come_as_ndarray():
    body = {"data": {"tensor": {"shape": [1, 2], "values": [1, 2]}}}
    assert written(body, Answer([], ["red"], None))["data"] == {"names": [], "ndarray": ["red"]}


def test_what_json_cannot_say_is_spelt_in_a_tensor_and_null_in_an_ndarray():
    answer = Answer([], [math.nan, math.inf], ())
    body = {"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}
    assert written(body, answer)["data"]["tensor"]["values"] == ["NaN", "Infinity"]
    assert written({"data": {"ndarray": [[1, 2]]}}, answer)["data"]["ndarray"] == [None, None]


def test_puid_comes_from_the_header_then_the_body_then_is_made():
    body = {"meta": {"puid": "mine"}, "data": {"ndarray": [[1, 2]]}}
    assert read(body, "header").puid == "header"
    assert read(body).puid == "mine"
    assert read({"meta": {"puid": "line\nbreak"}, "data": {"ndarray": [[1, 2]]}}).puid != "line\nbreak"
    assert len({read({"data": {"ndarray": [[1, 2]]}}).puid for _ in range(100)}) == 100


def test_meta_names_the_arm_where_every_client_can_carry_it_back():
    answer = Answer([], [1.0], ())
    plain = written({"data": {"ndarray": [[1, 2]]}}, answer)["meta"]
    assert plain["tags"] == {"predictor": "a"} and plain["routing"] == {}
    assert plain["requestPath"] == {"wines-classifier": "decant/mlflow:3", "decant.dev/predictor": "a"}
    tagged = written({"meta": {"tags": {"user": 1}}, "data": {"ndarray": [[1, 2]]}}, answer)["meta"]
    assert tagged["tags"] == {"user": 1, "predictor": "a"}
    # What SeldonClient sends; it cannot hand back an answer with tags in it.
    assert "tags" not in written({"meta": {}, "data": {"ndarray": [[1, 2]]}}, answer)["meta"]


def test_form_encoded_json_of_early_clients():
    body = b"json=%7B%22data%22%3A%7B%22ndarray%22%3A%5B%5B1%2C2%5D%5D%7D%7D"
    assert read(body).form is Form.NDARRAY


@pytest.mark.parametrize(
    ("output", "names", "rows", "tail"),
    [
        (np.array([1.0, 2.0]), [], [1.0, 2.0], ()),
        (np.array([[1, 2]]), [], [[1, 2]], (2,)),
        (np.array(["a", "b"], dtype=object), [], ["a", "b"], None),
        (np.array([True]), [], [True], None),
        (pd.DataFrame({"x": [1.5], "y": [2]}), ["x", "y"], [[1.5, 2]], (2,)),
        (pd.DataFrame({"x": [1.5], "w": ["a"]}), ["x", "w"], [[1.5, "a"]], None),
        (pd.Series([1.0], name="s"), ["s"], [1.0], ()),
        (pd.Series(pd.to_datetime(["2026-01-02"])), [], ["2026-01-02T00:00:00"], None),
        ({"x": np.array([1.0]), "y": [2.0]}, ["x", "y"], [[1.0, 2.0]], (2,)),
        ([{"x": 1.0}, {"x": 2.0}], ["x"], [[1.0], [2.0]], None),
        ([1.0, 2], [], [1.0, 2], ()),
        (["a"], [], ["a"], None),
    ],
)
def test_outputs_of_every_kind(output, names, rows, tail):
    answer = read_output(output)
    assert (answer.names, answer.rows, answer.tail, answer.whole) == (names, rows, tail, False)


def test_outputs_without_rows_are_whole():
    assert read_output("text").rows == ["text"] and read_output("text").whole
    assert read_output({"a": 1, "b": [1, 2]}).rows == [{"a": 1, "b": [1, 2]}]
    with pytest.raises(RequestFailed, match="JSON cannot carry"):
        read_output(object())


def test_sameness_allows_rounding_of_floats_only():
    assert same(Answer([], [1.0], ()), Answer([], [1.0 + 1e-12], ()))
    assert not same(Answer([], [1.0], ()), Answer([], [1.0 + 1e-6], ()))
    assert same(Answer([], [math.nan], ()), Answer([], [math.nan], ()))
    assert not same(Answer([], [1], ()), Answer([], [1.0], ()))
    assert not same(Answer([], ["a"], None), Answer([], ["b"], None))


def v2(inputs, reader=READER):
    return read_inference(orjson.dumps({"id": "7", "inputs": inputs}), reader, None)


def test_v2_round_trip():
    inference = v2([{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [[1, 2], [3, 4]]}])
    out = orjson.loads(render_inference(inference, Answer([], [1.5, 2.5], ()), "m", "3", "a"))
    assert out["id"] == "7" and out["model_name"] == "m" and out["model_version"] == "3"
    assert out["outputs"] == [{"name": "predict", "shape": [2], "datatype": "FP64", "data": [1.5, 2.5]}]
    named = orjson.loads(render_inference(inference, Answer(["x", "w"], [[1, "a"], [2, "b"]], None), "m", "3", "a"))
    assert named["outputs"] == [
        {"name": "x", "shape": [2], "datatype": "INT64", "data": [1, 2]},
        {"name": "w", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
    ]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"shape": [1], "datatype": "FP64", "data": [1]}, "inputs[0].name: must be a text"),
        ({"name": "a", "shape": "x", "datatype": "FP64", "data": [1]}, "inputs[0].shape: must be a list"),
        ({"name": "a", "shape": [2], "datatype": "FP64", "data": [1]}, "inputs[0].data: holds 1 values"),
        ({"name": "a", "shape": [1], "datatype": "FP65", "data": [1]}, "inputs[0].datatype: 'FP65' is not one of"),
        ({"name": "a", "shape": [1], "datatype": "FP64", "data": ["x"]}, 'inputs[0].data: "x" is not a FP64'),
        ({"name": "a", "shape": [1], "datatype": "INT8", "data": [300]}, "inputs[0].data: 300 is not a INT8"),
        ({"name": "a", "shape": [2], "datatype": "FP64", "data": [[1, 2], 3]}, "inputs[0].data: [1, 2] is not a FP64"),
        ({"name": "a", "shape": [1], "datatype": "BOOL", "data": [2]}, "inputs[0].data: 2 is not a BOOL"),
        ({"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}, 'inputs: column "b" is missing'),
    ],
)
def test_v2_inputs_that_do_not_fit(item, words):
    with pytest.raises(InvalidPayload) as caught:
        v2([item])
    assert words in str(caught.value)


def test_v2_content_type_decides_for_a_model_that_declares_nothing():
    item = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    array = v2([item], FreeReader(False)).part
    assert isinstance(array.layout.assemble([array.payload]).data, np.ndarray)
    table = v2([{**item, "parameters": {"content_type": "pd"}}], FreeReader(False)).part
    assert isinstance(table.layout.assemble([table.payload]).data, pd.DataFrame)
