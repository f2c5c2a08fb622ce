"""V2 bodies: rows to tensors as MLServer's MLflow runtime takes them, and its answers back to rows."""

from __future__ import annotations

from typing import Any

import pytest

from services.domain import V2, Endpoint
from services.errors import InvalidPayload
from services.traffic.inference import Inputs, Tensor, infer_values, read_metadata
from services.traffic.protocol import error_words, read_prediction

X = Tensor("x", "FP64", (-1, 1), "np")
COLOUR = Tensor("colour", "BYTES", (-1, 1), "str")
PIXELS = Tensor("input-0", "FP32", (-1, 2, 2))


def column(name: str, datatype: str, *data: object, content_type: str = "") -> dict[str, Any]:
    parameters = {"parameters": {"content_type": content_type}} if content_type else {}
    return {"name": name, "shape": [len(data), 1], "datatype": datatype, **parameters, "data": list(data)}


def test_named_columns_become_a_tensor_each_in_the_datatype_that_the_model_declares() -> None:
    body = Inputs(("colour", "x"), (X, COLOUR)).body([["red", 7], ["white", None]], "p1")
    assert body == {
        "id": "p1",
        "parameters": {"content_type": "pd"},
        "inputs": [
            column("colour", "BYTES", "red", "white", content_type="str"),
            column("x", "FP64", 7, None, content_type="np"),
        ],
    }


def test_a_row_without_names_is_in_the_order_of_the_models_columns() -> None:
    assert Inputs((), (X, COLOUR)).body([[7, "red"]]) == Inputs(("x", "colour"), (X, COLOUR)).body([[7, "red"]])


def test_an_array_goes_as_one_tensor_whatever_its_columns_are_called() -> None:
    for names in ((), ("a", "b")):
        body = Inputs(names, (PIXELS,)).body([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
        assert body["parameters"] == {"content_type": "np"}
        assert body["inputs"] == [
            {"name": "input-0", "shape": [2, 2, 2], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6, 7, 8]}
        ]


def test_one_input_of_one_value_a_row_is_left_to_the_models_own_content_type() -> None:
    assert "parameters" not in Inputs(("text",), (Tensor("text", "BYTES", (-1, 1), "str"),)).body([["hello"]])


@pytest.mark.parametrize(
    ("values", "datatype"),
    [
        ((1, 2), "INT32"),  # which MLflow widens to long and to double; INT64 it takes for long alone
        ((1, 2**40), "INT64"),
        ((1, 2.5), "FP64"),
        ((1, None), "FP64"),
        ((None, None), "FP64"),
        ((True, False), "BOOL"),
        (("red", None), "BYTES"),
    ],
)
def test_the_datatype_is_guessed_where_the_model_declares_none(values: tuple[object, ...], datatype: str) -> None:
    (found,) = Inputs(("x",)).body([[value] for value in values])["inputs"]
    assert (found["name"], found["datatype"], found["data"]) == ("x", datatype, list(values))


def test_values_that_are_objects_travel_as_text_where_the_model_wants_json() -> None:
    tags = Tensor("tags", "BYTES", (-1, 1), "pd_json")
    found = Inputs(("x", "tags"), (X, tags)).body([[1.0, ["a", "b"]]])["inputs"][1]
    assert found["data"] == ['["a","b"]']


@pytest.mark.parametrize(
    ("inputs", "rows", "words"),
    [
        (Inputs(("x", "colour"), (X, COLOUR)), [[7]], "row 1: has 1 values, but there are 2 columns"),
        (
            Inputs(("x", "colour"), (X, COLOUR)),
            [["seven", "red"]],
            "x: “seven” is not a number, and the model wants FP64",
        ),
        (Inputs((), (PIXELS,)), [[1, 2]], r"rows: have the shape \[1, 2\], but this model takes \[-1, 2, 2\]"),
        (Inputs(()), [[1, 2], [3]], "rows: differ in length"),
        (Inputs(("x",)), [[1], ["red"]], "x: mixes text, numbers"),
    ],
)
def test_rows_that_do_not_fit_are_refused_before_they_are_sent(inputs: Inputs, rows: Any, words: str) -> None:
    with pytest.raises(InvalidPayload, match=words):
        inputs.body(rows)


def test_a_model_of_several_larger_tensors_is_refused_by_name() -> None:
    with pytest.raises(InvalidPayload, match=r"several tensors \(input-0, x\)"):
        Inputs((), (PIXELS, X))


@pytest.mark.parametrize("body", [None, {}, {"inputs": None}, {"inputs": [{"name": "x"}]}, {"inputs": ["x"]}])
def test_metadata_that_says_nothing_is_no_metadata(body: object) -> None:
    assert read_metadata(body) == ()


def test_metadata_is_read_as_mlserver_writes_it() -> None:
    said = {"name": "x", "datatype": "FP64", "shape": [-1, 1], "parameters": {"content_type": "np"}}
    assert read_metadata({"name": "m", "inputs": [said]}) == (X,)
    assert read_metadata({"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1]}]}) == (
        Tensor("x", "FP64", (-1,)),
    )


def output(shape: list[int], data: list[Any], name: str = "output-1") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": "FP64", "data": data}


@pytest.mark.parametrize(
    ("outputs", "rows"),
    [
        ([output([2], [1.0, 2.0])], [1.0, 2.0]),
        ([output([2, 1], [1.0, 2.0])], [1.0, 2.0]),
        ([output([2, 1], [[1.0], [2.0]])], [1.0, 2.0]),
        ([output([2, 2], [1, 2, 3, 4])], [[1, 2], [3, 4]]),
        ([output([1, 2, 2], [1, 2, 3, 4])], [[[1, 2], [3, 4]]]),
        ([output([2, 1], [1, 2]), output([2, 1], ["a", "b"])], [[1, "a"], [2, "b"]]),
    ],
)
def test_an_answer_is_one_entry_per_row(outputs: list[Any], rows: list[Any]) -> None:
    assert infer_values({"outputs": outputs}) == rows


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"outputs": []},
        {"outputs": [{"shape": [1]}]},
        {"outputs": [{"data": [1]}]},
        {"outputs": [output([3], [1])]},
        {"outputs": [output([1], [1]), output([2], [1, 2])]},
    ],
)
def test_an_answer_that_holds_no_predictions_is_refused(body: object) -> None:
    with pytest.raises(InvalidPayload):
        infer_values(body)


def test_a_v2_prediction_has_the_id_of_its_request() -> None:
    endpoint = Endpoint("http://h", protocol=V2, model="a-model", predictor="a")
    found = read_prediction({"id": "p1", "outputs": [output([1, 1], [5.5])]}, {"Seldon-Puid": "other"}, endpoint, 2.0)
    assert (found.puid, found.predictor, found.values) == ("p1", "a", (5.5,))
    assert error_words({"error": "Model x not found"}, "") == "Model x not found"
