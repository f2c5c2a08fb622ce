"""Whether a dataset fits a model: what is said of columns and cells, and where in the file a cell is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from services.schema import Column, ColumnType, Signature, TensorSpec
from services.traffic.columns import Fit, check_columns
from services.traffic.datasets import load_dataset

SIGNATURE = Signature(
    columns=(
        Column("alcohol", ColumnType.DOUBLE),
        Column("year", ColumnType.LONG),
        Column("colour", ColumnType.STRING),
        Column("note", ColumnType.STRING, required=False),
    )
)
FRAME = pd.DataFrame({"alcohol": [8.8, 9.1], "year": [2020, 2021], "colour": ["red", "white"], "quality": [5, 6]})


class TestColumnCheck:
    def test_fits(self):
        fit = check_columns(FRAME, "quality", SIGNATURE)
        assert fit.problems == fit.notes == ()

    def test_a_missing_column_is_named_an_optional_one_is_not_missed(self):
        fit = check_columns(FRAME.drop(columns="alcohol"), "quality", SIGNATURE)
        assert fit.problems == ("The data lacks “alcohol”, which the model wants.",)

    def test_an_input_as_target_is_called_by_its_name(self):
        assert "cannot be the target" in check_columns(FRAME, "alcohol", SIGNATURE).problems[0]

    def test_columns_that_the_model_does_not_know_are_noted(self):
        assert check_columns(FRAME.assign(extra=1), "quality", SIGNATURE).notes == (
            "“extra” is not sent: the model does not know it.",
        )

    @pytest.mark.parametrize(
        ("column", "cells", "words"),
        [
            ("alcohol", [8.8, "strong"], "row 2 holds “strong”"),
            ("year", [2020, 2020.5], "whole numbers; row 2 holds 2020.5"),
            ("colour", [1, 2], "must hold text"),
        ],
    )
    def test_types(self, column: str, cells: list[object], words: str):
        assert words in check_columns(FRAME.assign(**{column: cells}), "quality", SIGNATURE).problems[0]

    def test_numbers_written_as_text_are_numbers(self):
        assert check_columns(FRAME.assign(alcohol=["8.8", "9"]), "quality", SIGNATURE).problems == ()

    def test_holes_are_counted(self):
        fit = check_columns(FRAME.assign(alcohol=[8.8, None]), "quality", SIGNATURE)
        assert fit.notes == ("1 row has no value in “alcohol”; the model may refuse that.",)

    def test_a_tensor_wants_its_width(self):
        signature = Signature(tensors=(TensorSpec("float64", (-1, 5)),))
        assert "wants 5 values a row and the data has 3" in check_columns(FRAME, "quality", signature).problems[0]
        assert check_columns(FRAME, "quality", Signature(tensors=(TensorSpec("float64", (-1, 3)),))).problems == ()

    def test_columns_without_names_go_by_their_number(self):
        unnamed = [
            Signature(tuple(Column(f"column {n + 1}", ColumnType.DOUBLE) for n in range(size))) for size in (3, 5)
        ]
        assert check_columns(FRAME, "quality", unnamed[0]) == Fit()
        assert "wants 5 values a row and the data has 3" in check_columns(FRAME, "quality", unnamed[1]).problems[0]

    def test_without_a_signature_nothing_can_be_checked(self):
        assert "cannot be checked" in check_columns(FRAME, "quality", Signature()).notes[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("alcohol,quality\n8.8,5\nstrong,6\n9,7\n", 3),
        ("alcohol;quality\r\n8.8;5\r\n\r\n\r\nstrong;6\r\n", 5),
        ('alcohol,note,quality\n8.8,"two\nlines",5\nstrong,x,6\n', 4),
    ],
)
def test_a_bad_cell_is_named_by_its_line_in_the_file(tmp_path: Path, text: str, line: int):
    file = tmp_path / "wines.csv"
    file.write_bytes(text.encode())
    data = load_dataset(file)
    signature = Signature(columns=(Column("alcohol", ColumnType.DOUBLE),))
    (problem,) = check_columns(data.frame, "quality", signature, data.place).problems
    assert problem == f"“alcohol” must hold numbers; line {line} holds “strong”."


def test_a_table_without_lines_has_rows_counted_from_one(tmp_path: Path):
    file = tmp_path / "wines.parquet"
    FRAME.assign(alcohol=["8.8", "strong"]).to_parquet(file)
    data = load_dataset(file)
    assert "row 2 holds “strong”" in check_columns(data.frame, "quality", SIGNATURE, data.place).problems[0]
