"""Outcomes as files: what is in them, which are in them, and that a broken export leaves nothing behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from services.errors import InvalidInput, NotFound
from services.evidence import export
from services.evidence.database import open_database
from services.evidence.export import ExportForm
from services.evidence.store import EvidenceStore
from tests.support.outcomes import AT, FAILED, new_replay, outcome, paired, paired_replay


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store = EvidenceStore(database)
    new_replay(store), paired_replay(store)
    store.ledger.record(
        [
            outcome(0, "b", digest="d1"),
            outcome(1, prediction="white", truth="red", reward=0.0),
            outcome(2, prediction=[0.25, 0.75], truth=True, reward=None),
            outcome(3, "", **FAILED),
            *(paired(4, arm, replay=2) for arm in "ab"),
            outcome(5, replay=None, puid="lone, “quoted”"),
        ]
    )
    yield store
    database.dispose()


def frame(store: EvidenceStore, form: ExportForm, **scope: int) -> pd.DataFrame:
    content = io.BytesIO(store.outcomes_as(form, store.export_scope("seldon", "wine", **scope)))
    return pd.read_parquet(content) if form is ExportForm.PARQUET else pd.read_csv(content, parse_dates=["at"])


@pytest.mark.parametrize("form", list(ExportForm))
def test_both_forms_hold_every_column_of_every_outcome(store: EvidenceStore, form: ExportForm) -> None:
    found = frame(store, form)
    assert list(found.puid) == ["r1-0-0", "r1-0-1", "r1-0-2", "r1-0-3", "r2-0-4-a", "r2-0-4-b", "lone, “quoted”"]
    assert found.prediction.fillna(-1).tolist() == [5.5, -1, -1, -1, 5.5, 5.5, 5.5]
    assert found.truth.fillna(-1).tolist() == [6, -1, -1, 6, 6, 6, 6]
    assert found.prediction_text.fillna("").tolist() == ["", "white", "[0.25, 0.75]", "", "", "", ""]
    assert found.truth_text.fillna("").astype(str).tolist() == ["", "red", "true", "", "", "", ""]
    assert found.reward.fillna(-1).tolist() == [0.8, 0.0, -1, -1, 0.8, 0.8, 0.8]
    assert found.replay.fillna(-1).tolist() == [1, 1, 1, 1, 2, 2, -1]
    assert found.digest.fillna("").tolist()[0] == "d1"
    assert found.routed.tolist() == [True] * 4 + [False] * 2 + [True]
    assert found["at"].iloc[1] == AT + timedelta(seconds=1)
    assert found.status.tolist()[3] == "prediction_failed" and found.error.tolist()[3] == "no"


def test_files_are_written_batch_by_batch(
    store: EvidenceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH", 3)
    told: list[int] = []
    scope = store.export_scope("seldon", "wine")
    assert store.export_outcomes(tmp_path / "x.parquet", ExportForm.PARQUET, scope, told.append) == 7
    assert told == [3, 6, 7]
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert (file.metadata.num_row_groups, file.metadata.num_rows) == (3, 7)
    assert store.export_outcomes(tmp_path / "x.csv", ExportForm.CSV, scope) == 7 == store.count_outcomes(scope)
    assert len(pd.read_csv(tmp_path / "x.csv")) == 7


def test_only_one_replay_or_one_test(store: EvidenceStore) -> None:
    assert len(frame(store, ExportForm.PARQUET, replay=2)) == 2
    first = store.tests.start("seldon", "wine", {}, "m:/a", "m:/b", "ann")
    late = first.started_at + timedelta(milliseconds=1)
    store.ledger.record([outcome(9, at=late)])
    assert frame(store, ExportForm.CSV, test=first.id).row.tolist() == [9]
    store.tests.end(first.id, "enough")
    assert store.export_scope(test=first.id).until == store.tests.get(first.id).ended_at
    with pytest.raises(NotFound):
        store.export_scope(test=99)
    with pytest.raises(NotFound):
        store.export_scope(replay=99)


def test_nothing_to_export_is_a_file_with_columns(store: EvidenceStore) -> None:
    found = pd.read_csv(io.BytesIO(store.outcomes_as(ExportForm.CSV, store.export_scope("seldon", "beer"))))
    assert len(found) == 0 and "puid" in found.columns


def test_a_broken_export_leaves_what_was_there(store: EvidenceStore, tmp_path: Path) -> None:
    there = tmp_path / "x.csv"
    there.write_text("precious")

    def full(rows: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InvalidInput, match=r"x\.csv cannot be written: No space left on device"):
        store.export_outcomes(there, ExportForm.CSV, store.export_scope("seldon", "wine"), full)
    assert there.read_text() == "precious"
    assert [path.name for path in tmp_path.glob("x.csv*")] == ["x.csv"]
    with pytest.raises(InvalidInput, match="cannot be written: No such file or directory"):
        store.export_outcomes(tmp_path / "no" / "x.csv", ExportForm.CSV, store.export_scope())
