"""Datasets: what is read, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from services.errors import InvalidInput, NotFound
from services.settings import Settings
from services.traffic.datasets import load_dataset, save_upload


def written(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_bundled_wines() -> None:
    wines = load_dataset("wine-quality")
    assert (wines.name, wines.rows, len(wines.columns)) == ("wine-quality", 4898, 12)
    assert len(wines.features("quality")) == 11
    first = dict(zip(wines.features("quality"), wines.feature_rows("quality")[0], strict=True))
    assert (first["fixed acidity"], first["alcohol"], wines.truths("quality")[0]) == (7.0, 8.8, 6)
    assert wines.digest == load_dataset("wine-quality").digest


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_any_usual_separator_and_missing_values(tmp_path: Path, separator: str) -> None:
    lines = [["x", "colour", "y"], ["1.5", "red", "3"], ["", "white", "4"]]
    data = load_dataset(written(tmp_path, "\ufeff" + "\n".join(separator.join(line) for line in lines)))
    assert data.columns == ["x", "colour", "y"]
    assert data.feature_rows("y") == [(1.5, "red"), (None, "white")]
    assert data.truths("y") == [3, 4]


def test_parquet_with_times(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pd.DataFrame({"when": pd.to_datetime(["2026-01-02", None]), "y": [1, 2], "ok": [True, False]}).to_parquet(path)
    data = load_dataset(path)
    assert data.feature_rows("y") == [("2026-01-02T00:00:00", True), (None, False)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("a,b,a\n1,2,3\n", "more than one column named “a”"),
        ("a,,c\n1,2,3\n", "column without a name"),
        ("a,b\n1,2,3\n4,5,6\n", "more values than its first line has names"),
        ("a,b\n1,2\n5\n6,7,8,9,10\n", "cannot be read as CSV"),
        (b"PK\x03\x04\x00\x00\x00\x00zip", "is not a CSV file"),
        ("x\ty\n1\t2\n".encode("utf-16"), r"is text in UTF-16, .* save it as “CSV UTF-8”"),
        ("größe;y\n1;2\n".encode("cp1252"), r"is not text in UTF-8\. .* save it as “CSV UTF-8”"),
        ("x;y\n1.234,5;2\n0,5;3\n", r"column “x”: “1\.234,5” groups its thousands with points"),
        ("x;y\n0,5;2\n1.234;3\n", r"column “x”: “1\.234” stands beside decimal commas"),
        ("x;y\n0,5;1.234\n0,7;5\n", r"column “y”: “1\.234” stands .* may be a fraction or 1234"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        load_dataset(written(tmp_path, content))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="wine-quality"):
        load_dataset("beer-quality")
    with pytest.raises(InvalidInput, match="is a folder"):
        load_dataset(tmp_path)
    with pytest.raises(InvalidInput, match="neither CSV nor Parquet"):
        load_dataset(written(tmp_path, "x", "data.xlsx"))
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        load_dataset(written(tmp_path, "a,b\n1,2\n", "data.parquet"))
    with pytest.raises(InvalidInput, match=r"2\.0 MiB; the limit is 1"):
        load_dataset(written(tmp_path, b"a,b\n" + b"1,2\n" * (512 * 1024)), max_mb=1)
    data = load_dataset(written(tmp_path, "a,b\n1,2\n"))
    with pytest.raises(InvalidInput, match=r"no column “c”\. Its columns are a, b"):
        data.features("c")
    with pytest.raises(InvalidInput, match="nothing to predict from"):
        load_dataset(written(tmp_path, "a\n1\n")).features("a")


def test_an_upload_is_kept_under_its_content_and_its_name_reaches_nothing(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, max_upload_mb=1)
    path = save_upload(settings, "../../etc/passwd.CSV", b"a,b\n1,2\n")
    assert path.parent == settings.paths.uploads
    assert path == save_upload(settings, "other.csv", b"a,b\n1,2\n")
    assert load_dataset(path).rows == 1
    for name, content in [
        ("x.exe", b"a,b\n1,2\n"),
        ("x.csv", b"a,a\n1,2\n"),
        ("x.csv", b""),
        ("x.csv", b"1" * 1_048_577),
    ]:
        with pytest.raises(InvalidInput):
            save_upload(settings, name, content)
    assert len(list(settings.paths.uploads.iterdir())) == 1


class TestDecimalCommas:
    def test_where_semicolons_separate_they_are_numbers(self, tmp_path: Path) -> None:
        data = load_dataset(written(tmp_path, "x;y;note;id\n0,27;12;a,b;1,5\n-1,5e3;;3,5;x\n;7,0;;2\n"))
        assert data.frame["x"].tolist()[:2] == [0.27, -1500.0] and data.truths("x")[2] is None
        assert data.truths("y") == [12.0, None, 7.0]
        assert data.truths("note") == ["a,b", "3,5", None] and data.truths("id") == ["1,5", "x", "2"]

    def test_late_ones_make_a_long_column_numbers(self, tmp_path: Path) -> None:
        rows = 200_000
        data = load_dataset(written(tmp_path, "x;y\n" + "1;2\n" * rows + "0,5;2\n"))
        assert data.truths("x")[-1] == 0.5 and data.truths("x")[0] == 1.0 and data.rows == rows + 1

    @pytest.mark.parametrize("text", ['x,y\n"0,27",1\n', "x\ty\n0,27\t1\n"])
    def test_where_others_separate_they_stay_text(self, tmp_path: Path, text: str) -> None:
        assert load_dataset(written(tmp_path, text)).truths("x") == ["0,27"]

    def test_points_beside_semicolons_are_as_they_were(self, tmp_path: Path) -> None:
        data = load_dataset(written(tmp_path, "x;y;z\n0.27;1;1.234\n1.5;2;true\n"))
        assert (data.truths("x"), data.truths("y")) == ([0.27, 1.5], [1, 2])
        mixed = load_dataset(written(tmp_path, "x;y\n0,27;0.5\n1,5;1.25\n"))
        assert (mixed.truths("x"), mixed.truths("y")) == ([0.27, 1.5], [0.5, 1.25])
