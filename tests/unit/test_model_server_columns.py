"""Rows for column signatures: names to columns, types, and errors that name the cell."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from services.errors import InvalidPayload
from services.runtime.model_server.columns import ColumnReader
from services.runtime.model_server.parts import NamedArray, Part
from services.schema import Column, ColumnType, Signature

DOUBLES = ColumnReader(Signature(columns=tuple(Column(n, ColumnType.DOUBLE) for n in ("a", "b", "pH"))))


def reader(*columns: Column) -> ColumnReader:
    return ColumnReader(Signature(columns=columns))


def frame(part: Part) -> pd.DataFrame:
    built = part.layout.assemble([part.payload]).data
    assert isinstance(built, pd.DataFrame)
    return built


def refusal(call, *args) -> str:
    with pytest.raises(InvalidPayload) as caught:
        call(*args)
    return str(caught.value)


def test_rows_without_names_are_taken_in_the_signatures_order():
    built = frame(DOUBLES.from_rows([[1, 2.5, 3], [4, 5, 6]], (), "data.ndarray"))
    assert list(built.columns) == ["a", "b", "pH"]
    assert built.dtypes.unique().tolist() == [np.dtype("float64")]
    assert built.to_numpy().tolist() == [[1, 2.5, 3], [4, 5, 6]]


def test_names_put_columns_in_order():
    built = frame(DOUBLES.from_rows([[1, 2, 3]], ["pH", "a", "b"], "data.ndarray"))
    assert built.iloc[0].to_dict() == {"a": 2.0, "b": 3.0, "pH": 1.0}


@pytest.mark.parametrize(
    ("rows", "names", "words"),
    [
        ([[1, 2]], ["a", "b"], 'data.names: column "pH" is missing'),
        ([[1, 2, 3, 4]], ["a", "b", "pH", "x"], 'data.names: column "x" is unknown'),
        ([[1, 2, 3]], ["a", "a", "pH"], 'data.names: column "a" is there twice'),
        ([[1, 2]], [], "data.ndarray[0]: has 2 values, but this model takes 3"),
        ([[1, 2, 3], [1, 2]], [], "data.ndarray[1]: has 2 values"),
        ([1, 2, 3], [], "data.ndarray[0]: must be a list"),
        ([], [], "data.ndarray: has no rows"),
        ("text", [], "data.ndarray: must be a list of rows"),
        ([[1, 2, 3], [1, "x", 3]], [], 'data.ndarray[1][1]: "x" is not a number (column "b")'),
        ([[1, 2, "x"]], ["pH", "a", "b"], 'data.ndarray[0][2]: "x" is not a number (column "b")'),
        ([[1, True, 3]], [], "data.ndarray[0][1]: True is not a number"),
        ([[1, [2], 3]], [], "data.ndarray[0][1]: [2] is not a number"),
    ],
)
def test_what_does_not_fit_is_named(rows, names, words):
    assert words in refusal(DOUBLES.from_rows, rows, names, "data.ndarray")


def test_null_becomes_nan_in_a_float_column():
    assert math.isnan(frame(DOUBLES.from_rows([[None, 2, 3]], (), "f")).iloc[0, 0])


def test_tensor_rows_and_their_errors():
    part = DOUBLES.from_tensor([2, 3], [1, 2, 3, 4, 5, 6], (), "data.tensor")
    assert frame(part).to_numpy().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert "data.tensor.shape: is [6]" in refusal(DOUBLES.from_tensor, [6], [1] * 6, (), "data.tensor")
    message = refusal(DOUBLES.from_tensor, [2, 3], [1, 2, 3, 4, "x", 6], (), "data.tensor")
    assert message.startswith('data.tensor.values[4]: "x" is not a number')


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1, "b": 2, "pH": 3}],
        {"a": [1], "b": [2], "pH": [3]},
        {"pH": 3, "b": 2, "a": 1},
        [[1, 2, 3]],
    ],
)
def test_every_json_shape_means_the_same(value):
    assert frame(DOUBLES.from_json(value, "jsonData")).iloc[0].to_dict() == {"a": 1.0, "b": 2.0, "pH": 3.0}


def test_json_errors_name_the_record():
    assert 'jsonData[1].b: "x"' in refusal(
        DOUBLES.from_json, [{"a": 1, "b": 2, "pH": 3}, {"a": 1, "b": "x", "pH": 3}], "jsonData"
    )
    assert 'jsonData.b[0]: "x"' in refusal(DOUBLES.from_json, {"a": [1], "b": ["x"], "pH": [3]}, "jsonData")
    assert "differ in length" in refusal(DOUBLES.from_json, {"a": [1, 2], "b": [1], "pH": [3]}, "jsonData")
    assert 'column "pH" is missing' in refusal(DOUBLES.from_json, [{"a": 1, "b": 2}], "jsonData")


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (ColumnType.LONG, 7, 7),
        (ColumnType.LONG, 7.0, 7),
        (ColumnType.INTEGER, -3.0, -3),
        (ColumnType.DOUBLE, 7, 7.0),
        (ColumnType.FLOAT, 0.5, 0.5),
        (ColumnType.BOOLEAN, True, True),
        (ColumnType.STRING, "red", "red"),
        (ColumnType.DATETIME, "2026-01-02T03:04:05", np.datetime64("2026-01-02T03:04:05")),
        (ColumnType.BINARY, "aGk=", b"hi"),
    ],
)
def test_values_that_fit_their_column(kind, value, stored):
    assert frame(reader(Column("c", kind)).from_rows([[value]], (), "f"))["c"].to_numpy()[0] == stored


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (ColumnType.LONG, 7.5, "7.5 is not a whole number"),
        (ColumnType.LONG, None, "a whole number is required"),
        (ColumnType.LONG, "7", '"7" is not a number'),
        (ColumnType.LONG, True, "True is not a number"),
        (ColumnType.INTEGER, 2**31, "does not fit into 32 bits"),
        (ColumnType.FLOAT, 1e300, "too large for a 32-bit float"),
        (ColumnType.BOOLEAN, 1, "1 is not true or false"),
        (ColumnType.STRING, 5, "5 is not a text"),
        (ColumnType.STRING, None, "a text is required"),
        (ColumnType.DATETIME, "soon", "is not an ISO date"),
        (ColumnType.BINARY, "%", "is not base64"),
    ],
)
def test_values_that_do_not_fit(kind, value, words):
    message = refusal(reader(Column("c", kind)).from_rows, [[value]], (), "data.ndarray")
    assert message.startswith("data.ndarray[0][0]: ") and words in message


def test_an_optional_column_may_be_left_out_or_null():
    optional = reader(Column("a", ColumnType.DOUBLE), Column("s", ColumnType.STRING, required=False))
    left_out = optional.from_rows([[1.0]], ["a"], "f")
    assert list(frame(left_out).columns) == ["a"]
    given = optional.from_rows([[1.0, "x"]], (), "f")
    null = optional.from_rows([[1.0, None]], (), "f")
    assert left_out.layout != given.layout
    assert not null.layout.mergeable and not null.layout.assemble([null.payload]).exact


def test_unnamed_columns_are_positional():
    unnamed = reader(Column("", ColumnType.DOUBLE), Column("", ColumnType.DOUBLE))
    assert list(frame(unnamed.from_rows([[1, 2]], ["x", "y"], "f")).columns) == [0, 1]
    assert "has 3 names" in refusal(unnamed.from_rows, [[1, 2, 3]], ["x", "y", "z"], "f")


def test_v2_inputs_by_column_or_in_one():
    by_column = [NamedArray(n, (2,), [i, i + 1], f"inputs[{i}]") for i, n in enumerate(("a", "b", "pH"))]
    whole = [NamedArray("input", (2, 3), [0, 1, 2, 1, 2, 3], "inputs[0]")]
    first = frame(DOUBLES.from_arrays(by_column, "pd", "inputs"))
    assert first.equals(frame(DOUBLES.from_arrays(whole, "np", "inputs")))
    uneven = [by_column[0], by_column[1], NamedArray("pH", (3,), [1, 2, 3], "inputs[2]")]
    assert "inputs[2].shape" in refusal(DOUBLES.from_arrays, uneven, "", "inputs")


def test_only_a_text_column_takes_a_text():
    assert frame(reader(Column("t", ColumnType.STRING)).from_text("hello", "strData")).iloc[0, 0] == "hello"
    assert "does not take a text" in refusal(DOUBLES.from_text, "hello", "strData")
