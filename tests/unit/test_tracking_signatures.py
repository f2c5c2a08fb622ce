"""MLmodel texts of every kind become Decant's signatures without MLflow."""

from __future__ import annotations

import json

from services.schema import Column, ColumnType, Signature, TensorSpec
from services.tracking.signatures import read_example, read_signature, with_examples


def test_columns_with_types_and_optional_ones() -> None:
    inputs = [
        {"type": "double", "name": "pH", "required": True},
        {"type": "string", "name": "colour", "required": False},
        {"type": "array", "items": {"type": "long"}, "name": "ids", "required": True},
    ]
    outputs = [{"type": "long", "required": True}]
    signature = read_signature({"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None})
    assert signature.columns == (
        Column("pH", ColumnType.DOUBLE),
        Column("colour", ColumnType.STRING, required=False),
        Column("ids", ColumnType.OTHER),
    )
    assert signature.named
    assert signature.outputs == ("long",)


def test_tensors() -> None:
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}, "name": "image"}]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
    signature = read_signature({"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)})
    assert signature.tensors == (TensorSpec("float32", (-1, 28, 28), "image"),)
    assert not signature.named
    assert signature.outputs == ("int64 (-1)",)


def test_unnamed_columns_go_by_position() -> None:
    signature = read_signature({"inputs": json.dumps([{"type": "double"}, {"type": "double"}])})
    assert signature.names == ["column 1", "column 2"]


def test_none_and_nonsense_are_undeclared() -> None:
    for entry in (None, {}, {"inputs": None}, {"inputs": "not json"}, {"inputs": '{"a": 1}'}):
        assert read_signature(entry) == Signature()


def test_examples_of_every_form() -> None:
    split = json.dumps({"columns": ["b", "a"], "data": [[2, 1], [4, 3]]})
    assert read_example({"type": "dataframe"}, split, ["a", "b"]) == [[1, 2], [3, 4]]
    assert read_example({"type": "dataframe"}, json.dumps({"data": [[1, 2]]}), []) == [[1, 2]]
    assert read_example({"type": "ndarray"}, json.dumps({"inputs": [[[1], [2]]]}), []) == [[[1], [2]]]
    assert read_example({"type": "json_object"}, json.dumps([{"a": 1, "b": 2}]), ["b", "a"]) == [[2, 1]]
    assert read_example({"type": "json_object"}, json.dumps({"a": [1, 2], "b": [3, 4]}), ["a", "b"]) == [[1, 3], [2, 4]]
    assert read_example({"type": "json_object"}, json.dumps({"a": 1, "b": "x"}), ["a", "b"]) == [[1, "x"]]
    assert read_example({"type": "json_object"}, json.dumps("text"), []) is None
    assert read_example({}, "no json", []) is None


def test_examples_reach_the_columns_only_when_they_fit() -> None:
    signature = Signature((Column("a", ColumnType.LONG), Column("b", ColumnType.LONG)))
    assert [c.example for c in with_examples(signature, [[1, 2]]).columns] == [1, 2]
    assert with_examples(signature, [[1, 2, 3]]) == signature
    assert with_examples(signature, None) == signature
