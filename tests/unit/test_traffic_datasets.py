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
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        load_dataset(written(tmp_path, content))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="wine-quality"):
        load_dataset("beer-quality")
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
