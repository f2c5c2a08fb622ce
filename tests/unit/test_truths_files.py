"""CSV files of late truths: what is read, and what is said of lines that cannot be."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from services.errors import InvalidInput, NotFound
from services.evidence.late import LateTruth
from services.truths.files import BadLine, open_truths, read_header, read_truths, read_value


def read(text: str) -> list[LateTruth | BadLine]:
    return list(read_truths(io.StringIO(text)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6", 6), ("-6", -6), ("6.0", 6.0), (".5", 0.5), ("1e3", 1000.0), ("red", "red"), ("True", True),
        ("007", "007"), ("1_000", "1_000"), ("1,5", "1,5"), ("0", 0), ("[1]", "[1]"), ("infinity", "infinity"),
    ],
)  # fmt: skip
def test_a_truth_is_a_number_where_it_reads_as_one(text: str, value: object) -> None:
    assert read_value(text) == value and type(read_value(text)) is type(value)


def test_truths_and_rewards_with_their_lines() -> None:
    assert read("puid,truth\np1,6\n\np2, red \n") == [LateTruth("p1", 6, None, 2), LateTruth("p2", "red", None, 4)]
    assert read("\ufeffReward;PUID\n0.5;p1\n") == [LateTruth("p1", None, 0.5, 2)]
    assert read("puid\ttruth\treward\np1\t6\t0\np2\t\t1\n") == [
        LateTruth("p1", 6, 0.0, 2),
        LateTruth("p2", None, 1.0, 3),
    ]
    assert read('puid,truth\n"p,1","a ""b"""\n') == [LateTruth("p,1", 'a "b"', None, 2)]


def test_bad_lines_are_told_and_the_rest_is_read() -> None:
    text = "puid,truth,reward\n,6,\np1,,\np2,6,much\np3,6,inf\np4,6,0.5\np4,7,\np5\np6,NaN,nan\n"
    assert read(text) == [
        BadLine(2, "the puid is missing"),
        BadLine(3, "there is no truth or reward"),
        BadLine(4, "the reward “much” is not a finite number"),
        BadLine(5, "the reward “inf” is not a finite number"),
        LateTruth("p4", 6, 0.5, 6),
        BadLine(7, "puid p4 stands on line 6 already"),
        BadLine(8, "there is no truth or reward"),
        BadLine(9, "there is no truth or reward"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("puid\np1\n", "neither a column “truth” nor a column “reward”"),
        ("id,truth\np1,6\n", "no column “puid”"),
        ("puid,truth,truth\np1,6,6\n", "2 columns “truth”"),
        ("PK\0\0,x", "not CSV"),
    ],
)
def test_files_that_are_something_else_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        read(text)
    assert "puid" in caught.value.hint


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for content, words in (
        ("puid\ttruth\np1\t6\n".encode("utf-16"), "is text in UTF-16, .* save it as “CSV UTF-8”"),
        (b"puid,truth\np1,\xff\n", "is not text in UTF-8.* save it as “CSV UTF-8”"),
    ):
        (tmp_path / "x.csv").write_bytes(content)
        with open_truths(tmp_path / "x.csv") as lines, pytest.raises(InvalidInput, match=words):
            list(read_truths(lines))
    with pytest.raises(NotFound):
        open_truths(tmp_path / "none.csv")


def test_other_columns_are_named() -> None:
    assert read_header("when,puid,truth\n").ignored == ("when",)


def test_where_semicolons_separate_commas_are_decimal() -> None:
    assert read("puid;truth;reward\np1;0,27;-1,5e3\np2;12;,5\np3;red;\np4;0.5;\n") == [
        LateTruth("p1", 0.27, -1500.0, 2),
        LateTruth("p2", 12, 0.5, 3),
        LateTruth("p3", "red", None, 4),
        LateTruth("p4", 0.5, None, 5),
    ]
    assert read('puid,truth\np1,"0,27"\n') == [LateTruth("p1", "0,27", None, 2)]
    assert read("puid;truth\np1;1.234\n") == [LateTruth("p1", 1.234, None, 2)]


def test_points_for_thousands_are_refused_beside_commas() -> None:
    assert read("puid;truth\np1;1.234,5\np2;0,5\np3;1.234\n") == [
        BadLine(2, "“1.234,5” groups its thousands with points"),
        LateTruth("p2", 0.5, None, 3),
        BadLine(4, "“1.234” stands beside decimal commas, so it may be a fraction or 1234"),
    ]
    (_, bad) = read("puid;truth\np1;1.234\np2;0,5\n")
    assert bad == BadLine(3, "“0,5” has a decimal comma, and “1.234” before it a point")
