"""Arrays for tensor signatures and for models that declare nothing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from services.errors import InvalidPayload
from services.runtime.model_server.freeform import FreeReader
from services.runtime.model_server.parts import NamedArray
from services.runtime.model_server.tensors import TensorReader
from services.schema import Signature, TensorSpec

IMAGES = TensorReader(Signature(tensors=(TensorSpec("float32", (-1, 2, 3)),)))
WHOLE = TensorReader(Signature(tensors=(TensorSpec("int64", (-1, 2)),)))
PAIR = TensorReader(Signature(tensors=(TensorSpec("float64", (-1, 2), "left"), TensorSpec("float64", (-1,), "right"))))


def value(part):
    return part.layout.assemble([part.payload]).data


def refusal(call, *args) -> str:
    with pytest.raises(InvalidPayload) as caught:
        call(*args)
    return str(caught.value)


def test_nested_lists_and_flat_tensors_become_the_declared_array():
    nested = value(IMAGES.from_rows([[[1, 2, 3], [4, 5, 6]]], (), "data.ndarray"))
    flat = value(IMAGES.from_tensor([1, 2, 3], [1, 2, 3, 4, 5, 6], (), "data.tensor"))
    assert nested.dtype == np.float32 and nested.shape == (1, 2, 3)
    assert np.array_equal(nested, flat)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[[1, 2], [3, 4]]], "has the shape [1, 2, 2], but this model takes [-1, 2, 3]"),
        ([[[1, 2, 3], [4, 5]]], "differ in length"),
        ([[[1, 2, 3], [4, 5, "x"]]], 'data.ndarray[0][1][2]: "x" is not a number'),
        ([[[1, 2, 3], [4, 5, 1e300]]], "too large for float32"),
        ([[[1, 2, 3], [4, 5, True]]], "it holds numbers and true or false"),
        ([], "has no rows"),
        (5, "must be a list"),
    ],
)
def test_arrays_that_do_not_fit(rows, words):
    assert words in refusal(IMAGES.from_rows, rows, (), "data.ndarray")


def test_null_is_nan_for_floats_and_refused_for_whole_numbers():
    assert math.isnan(value(IMAGES.from_rows([[[None, 2, 3], [4, 5, 6]]], (), "f"))[0, 0, 0])
    assert value(WHOLE.from_rows([[7.0, 2]], (), "f")).tolist() == [[7, 2]]
    assert "not whole" in refusal(WHOLE.from_rows, [[7.5, 2]], (), "f")
    assert "null" in refusal(WHOLE.from_rows, [[None, 2]], (), "f")


def test_named_tensors_come_as_json_or_v2():
    sent = PAIR.from_json({"right": [1, 2], "left": [[1, 2], [3, 4]]}, "jsonData")
    assert {k: v.shape for k, v in value(sent).items()} == {"left": (2, 2), "right": (2,)}
    arrays = [NamedArray("right", (2,), [1, 2], "inputs[0]"), NamedArray("left", (2, 2), [1, 2, 3, 4], "inputs[1]")]
    assert value(PAIR.from_arrays(arrays, "", "inputs"))["left"].tolist() == [[1, 2], [3, 4]]
    assert 'tensor "right" is missing' in refusal(PAIR.from_json, {"left": [[1, 2]]}, "jsonData")
    assert "several tensors" in refusal(PAIR.from_rows, [[1, 2]], (), "data.ndarray")
    assert "number of rows" in refusal(PAIR.from_json, {"left": [[1, 2]], "right": [1, 2]}, "jsonData")


def test_without_signature_rows_are_an_array_as_in_seldon():
    assert value(FreeReader(False).from_rows([[1, 2.5]], ["a", "b"], "f")).tolist() == [[1, 2.5]]
    mixed = value(FreeReader(False).from_rows([[1, "x"]], (), "f"))
    assert mixed.tolist() == [[1, "x"]]
    assert "differ in length" in refusal(FreeReader(False).from_rows, [[1, 2], [1]], (), "data.ndarray")
    assert "has no rows" in refusal(FreeReader(False).from_rows, [], (), "data.ndarray")


def test_without_signature_a_table_if_asked_for():
    built = value(FreeReader(True).from_rows([[1, "x"]], ["a", "b"], "f"))
    assert isinstance(built, pd.DataFrame) and built.to_dict("records") == [{"a": 1, "b": "x"}]
    assert "has 1 values where 2" in refusal(FreeReader(True).from_rows, [[1, 2], [1]], (), "f")


def test_arrays_of_other_types_are_not_merged():
    free = FreeReader(False)
    whole, floats = free.from_rows([[1, 2]], (), "f"), free.from_rows([[1, 2.5]], (), "f")
    assert whole.layout != floats.layout
    assert whole.layout == free.from_rows([[3, 4], [5, 6]], (), "f").layout
    assert free.from_text("a", "strData").layout.mergeable is False
