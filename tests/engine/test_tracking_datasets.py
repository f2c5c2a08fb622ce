"""Datasets as `mlflow.log_input` leaves them: which can be read back as a file, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.pandas_dataset import from_pandas

from services.errors import InvalidInput, NotFound, Unavailable
from services.tracking.datasets import DatasetCatalogue, LoggedDataset, read_dataset
from tests.support.tracking import tracking_at

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow, on whole numbers and on its own sources

ROWS = pd.DataFrame({"alcohol": [8.8, 9.5, 10.1], "quality": [5, 6, 6]})


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[DatasetCatalogue]:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with tracking_at(uri):
        yield DatasetCatalogue(uri)


def logged(catalogue: DatasetCatalogue, source: object, context: str | None = "test") -> LoggedDataset:
    with mlflow.start_run() as run:
        mlflow.log_input(from_pandas(ROWS, source=source, targets="quality", name="wine"), context=context)
    (found,) = catalogue.of_run(run.info.run_id)
    return found


def test_a_local_file_is_read_back(catalogue: DatasetCatalogue, tmp_path: Path) -> None:
    file = tmp_path / "the wine.csv"
    ROWS.to_csv(file, index=False)
    found = logged(catalogue, str(file))
    assert (found.name, found.context, found.rows, found.path, found.trouble) == ("wine", "test", 3, file, "")
    assert len(found.digest) == 8
    assert read_dataset(found, 1) == file.read_bytes()
    assert logged(catalogue, file.as_uri(), context=None).path == file
    with pytest.raises(InvalidInput, match="the limit is 0"):
        read_dataset(found, 0)
    file.unlink()
    with pytest.raises(Unavailable):
        read_dataset(found, 1)


def test_a_folder_with_one_table_is_that_table(catalogue: DatasetCatalogue, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert "0 CSV or Parquet files" in logged(catalogue, str(folder)).trouble
    ROWS.to_parquet(folder / "wine.parquet")
    assert logged(catalogue, str(folder)).path == folder / "wine.parquet"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (CodeDatasetSource({"mlflow.user": "ann"}), "keeps no copy of its rows"),
        (HTTPDatasetSource("http://127.0.0.1/wine.csv"), "upload it here"),
        ("/no/such/wine.csv", "there is no /no/such/wine.csv on this machine"),
        ("wine.csv", "relative to wherever the run was started"),
        ("/etc/hostname", "neither CSV nor Parquet"),
    ],
)
def test_what_cannot_be_loaded_says_why(catalogue: DatasetCatalogue, source: object, words: str) -> None:
    found = logged(catalogue, source)
    assert found.path is None and words in found.trouble
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        read_dataset(found, 1)


def test_a_run_without_datasets_and_no_run(catalogue: DatasetCatalogue) -> None:
    with mlflow.start_run() as run:
        pass
    assert catalogue.of_run(run.info.run_id) == []
    with pytest.raises(NotFound):
        catalogue.of_run("0" * 32)
