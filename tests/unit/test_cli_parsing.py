"""What people type, read; what the services return, written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.monitor import read_window_s
from app.cli.options import deployment_key, parse_split
from app.cli.output import plain, put_json, put_table
from app.cli.predict import read_row, row_problem, rows_from_json
from app.cli.train import read_parameters
from services.errors import InvalidInput, InvalidName, InvalidPayload
from services.schema import Column, ColumnType, Signature


@pytest.mark.parametrize(
    "words",
    [["80/20"], ["80", "20"], ["80:20"], ["80,20"], ["80%/20%"], ["a=80", "b=20"], ["b=20", "a=80"], ["a=80,b=20"]],
)
def test_a_split_can_be_written_as_people_write_it(words: list[str]) -> None:
    assert parse_split(words, ["a", "b"]).shares == (("a", 80), ("b", 20))


@pytest.mark.parametrize(
    "words", [["80"], ["80/10/10"], ["most"], ["a=80"], ["a=80", "c=20"], ["a=80", "a=20"], ["-80/180"], [""], ["a=b"]]
)
def test_a_split_that_does_not_fit_is_refused_with_an_example(words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_split(words, ["a", "b"])
    assert "80/20 or a=80 b=20" in caught.value.hint


@given(st.integers(0, 100))
def test_any_share_is_read_back(share: int) -> None:
    assert parse_split([f"{share}/{100 - share}"], ["a", "b"]).as_dict() == {"a": share, "b": 100 - share}


def test_a_deployment_is_named_with_or_without_its_namespace() -> None:
    assert deployment_key("wine", "seldon") == ("seldon", "wine")
    assert deployment_key("cellar/wine", "seldon") == ("cellar", "wine")
    with pytest.raises(InvalidName):
        deployment_key("../wine", "seldon")


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("7,0.27, -3", [7, 0.27, -3]),
        (".5,1e-3", [0.5, 0.001]),
        ("red,true,null", ["red", True, None]),
        ('"a, b",2', ["a, b", 2]),
        ("2024-01-05,1.2.3", ["2024-01-05", "1.2.3"]),
    ],
)
def test_a_row_is_numbers_where_it_can_be_and_text_elsewhere(text: str, row: list[object]) -> None:
    assert read_row(text) == row


@pytest.mark.parametrize(
    ("text", "rows", "names"),
    [
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]], []),
        ("[1, 2]", [[1, 2]], []),
        ('{"data": {"names": ["x"], "ndarray": [[1]]}}', [[1]], ["x"]),
        ('{"data": {"names": [], "tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}', [[1, 2], [3, 4]], []),
    ],
)
def test_requests_in_seldons_form_are_read(text: str, rows: list[list[object]], names: list[str]) -> None:
    assert rows_from_json(text) == (rows, names)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", "the request"),
        ("[]", "the request"),
        ("7", "data"),
        ("{}", "data"),
        ('{"data": {}}', "data"),
        ('{"data": {"ndarray": 7}}', "data.ndarray"),
        ('{"data": {"tensor": {"shape": [4], "values": [1, 2, 3, 4]}}}', "data"),
        ('{"data": {"tensor": {"shape": [2, 2], "values": [1]}}}', "data.tensor.values"),
    ],
)
def test_a_request_that_does_not_fit_names_the_field(text: str, field: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        rows_from_json(text)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("row", "columns", "words"),
    [
        ([7.0, "red"], [], ""),
        (["red", 7.0], ["colour", "alcohol"], ""),
        (["a", "red"], [], "“alcohol” must be a number, not “a”."),
        ([7.0], [], "The row has 1 of 2 values."),
        (["a", "b"], ["unknown", "colour"], ""),
    ],
)
def test_a_typed_row_is_compared_with_the_columns(row: list[object], columns: list[str], words: str) -> None:
    signature = Signature(columns=(Column("alcohol", ColumnType.DOUBLE), Column("colour", ColumnType.STRING)))
    assert row_problem([row], signature, columns) == words
    assert row_problem([row], Signature(), columns) == ""


def test_parameters_are_pairs() -> None:
    assert read_parameters(("alpha=.5", "url=http://x?a=b", "empty=")) == {
        "alpha": ".5",
        "url": "http://x?a=b",
        "empty": "",
    }
    for bad in ("alpha", "=5"):
        with pytest.raises(InvalidInput, match="name=value"):
            read_parameters((bad,))


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("15m", 900), ("2h", 7200), ("1d", 86400)])
def test_windows_of_time(text: str, seconds: int) -> None:
    assert read_window_s(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "0m", "-1h", "1.5h", "soon"])
def test_what_is_no_window_of_time(text: str) -> None:
    with pytest.raises(InvalidInput, match="15m"):
        read_window_s(text)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Glass:
    colour: Colour
    at: datetime
    parts: tuple[int, ...]


def test_everything_the_services_return_becomes_json(capsys: pytest.CaptureFixture[str]) -> None:
    put_json({Colour.RED: [Glass(Colour.RED, datetime(2026, 1, 5, tzinfo=UTC), (1, 2)), np.float64(0.5), None]})
    assert json.loads(capsys.readouterr().out) == {
        "red": [{"colour": "red", "at": "2026-01-05T00:00:00+00:00", "parts": [1, 2]}, 0.5, None]
    }
    assert plain(np.int64(3)) == 3


def test_tables_line_up_and_leave_nothing_behind_at_the_ends(capsys: pytest.CaptureFixture[str]) -> None:
    put_table(("name", "n"), [("a", 5), ("longer", 1200)], right=(1,))
    assert capsys.readouterr().out.splitlines() == ["name       n", "a          5", "longer  1200"]
