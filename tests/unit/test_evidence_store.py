"""The evidence store: what goes in comes out, each row of a replay counts once, times keep their zone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import StatementError

from services.domain import Change, Outcome, OutcomeStatus
from services.errors import InvalidInput, NotFound, Unavailable
from services.evidence.database import open_database
from services.evidence.door import plain
from services.evidence.store import EvidenceStore

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


def outcome(row: int, predictor: str = "a", replay: int | None = 1, **values: Any) -> Outcome:
    standard: dict[str, Any] = {
        "prediction": 5.5,
        "truth": 6,
        "reward": 0.8,
        "latency_ms": 2.0,
        "status": OutcomeStatus.OK,
        "at": AT + timedelta(seconds=row),
    }
    return Outcome(f"r1-0-{row}", "seldon", "wine", predictor, "a=80,b=20", replay, row, **(standard | values))


def new_replay(store: EvidenceStore) -> int:
    return store.replays.add("seldon", "wine", {"dataset": "wine-quality"}, 10, "queued", "ann").id


def test_outcomes_come_back_as_they_went_in_newest_first(store: EvidenceStore) -> None:
    assert new_replay(store) == 1
    failed = outcome(
        2, "", status=OutcomeStatus.PREDICTION_FAILED, reward=None, prediction=None, error="no such column"
    )
    assert store.record_outcomes([outcome(1), failed]) == 2
    assert store.outcomes("seldon", "wine") == [failed, outcome(1)]
    assert store.outcomes("seldon", "beer") == []


def test_a_row_of_a_replay_counts_once(store: EvidenceStore) -> None:
    new_replay(store)
    assert store.record_outcomes([outcome(1), outcome(2)]) == 2
    assert store.record_outcomes([outcome(2, "b", reward=0.1), outcome(3)]) == 1
    assert store.record_outcomes([outcome(2, pass_=1)]) == 1
    assert {(o.row, o.pass_, o.predictor) for o in store.outcomes("seldon", "wine")} == {
        (1, 0, "a"),
        (2, 0, "a"),
        (3, 0, "a"),
        (2, 1, "a"),
    }
    assert store.recorded_rows(1) == {(0, 1), (0, 2), (0, 3), (1, 2)}


def test_single_requests_have_no_row_and_never_collide(store: EvidenceStore) -> None:
    lone = outcome(1, replay=None)
    assert store.record_outcomes([lone, lone]) == 2


def test_numpy_values_times_and_odd_floats_are_stored_as_plain_ones(store: EvidenceStore) -> None:
    new_replay(store)
    store.record_outcomes(
        [
            outcome(1, prediction=np.float64(5.5), truth=np.int64(6), reward=np.float32(0.5)),
            outcome(2, prediction=np.array([1.0, 2.0]), truth=np.str_("white"), reward=float("nan")),
            outcome(3, prediction=float("nan"), truth=np.bool_(True)),
        ]
    )
    third, second, first = store.outcomes("seldon", "wine")
    assert (first.prediction, first.truth, first.reward) == (5.5, 6, 0.5)
    assert (second.prediction, second.truth, second.reward) == ([1.0, 2.0], "white", None)
    assert math.isnan(float(str(third.prediction))) and third.truth is True


def test_plain_reaches_into_containers() -> None:
    made = plain({"a": (np.int32(1), {np.float64("inf")}), 2: AT})
    assert made == {"a": [1, ["inf"]], "2": "2026-03-01T12:00:00.123456+00:00"}


def test_rewards_are_summed_per_predictor(store: EvidenceStore) -> None:
    new_replay(store)
    unfed = {"status": OutcomeStatus.FEEDBACK_FAILED, "reward": 0.0}
    lost = {"status": OutcomeStatus.PREDICTION_FAILED, "reward": None}
    store.record_outcomes([outcome(1, reward=1.0), outcome(2, **unfed), outcome(3, "b", **lost), outcome(4, "b")])
    arms = {arm.predictor: arm for arm in store.arm_ledger(1)}
    assert (arms["a"].answered, arms["a"].feedback_failed, arms["a"].reward_n, arms["a"].reward_sum) == (2, 1, 2, 1.0)
    assert (arms["b"].answered, arms["b"].prediction_failed, arms["b"].latency_ms_sum) == (1, 1, 2.0)


def test_changes_keep_their_zone_and_come_newest_first(store: EvidenceStore) -> None:
    paris = timezone(timedelta(hours=1))
    old = store.record_change(Change(AT.astimezone(paris), "ann", "split", "seldon", "wine", "a=80,b=20", "a=1,b=99"))
    new = store.record_change(Change(AT + timedelta(minutes=1), "bob", "delete", "seldon", "beer", "x", ""))
    assert old.id is not None and store.changes() == [new, old]
    assert store.changes()[1].at == AT and store.changes()[1].at.tzinfo is UTC
    assert store.changes("seldon", "wine") == [old]
    assert store.changes(since=AT + timedelta(seconds=1)) == [new]
    assert store.changes(limit=1) == [new]


def test_a_time_without_a_zone_is_refused(store: EvidenceStore) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        store.record_change(Change(datetime(2026, 1, 1), "ann", "x", "n", "d", "", ""))  # noqa: DTZ001


def test_a_replay_moves_between_states_only_from_the_ones_expected(store: EvidenceStore) -> None:
    number = new_replay(store)
    assert store.replays.move(number, ["queued"], state="running", started_at=AT)
    assert not store.replays.move(number, ["queued"], state="running")
    assert not store.replays.progress(number, 3, {"rows_per_s": np.float64(10)}, "going")
    assert store.replays.move(number, ["running"], cancel_requested=True)
    assert store.replays.progress(number, 4, {"rows_per_s": 10})
    record = store.replays.get(number)
    assert (record.state, record.cursor, record.counters, record.started_at) == ("running", 4, {"rows_per_s": 10}, AT)
    assert store.replays.in_state(["running"]) == store.replays.recent("seldon", "wine", 5) == [record]
    with pytest.raises(NotFound):
        store.replays.get(99)


def test_a_store_that_is_gone_says_so(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store = EvidenceStore(database)
    store.ping()
    with database.begin() as connection:
        connection.execute(sa.text("DROP TABLE outcomes"))
    with pytest.raises(Unavailable, match="The evidence store"):
        store.record_outcomes([outcome(1)])
    database.dispose()


@pytest.mark.parametrize(
    "url", ["foo://ann:secret@bar", "mysql://ann:secret@bar/x", "nonsense", "sqlite+no://", "postgresql://h:port/x"]
)
def test_an_address_that_is_no_supported_database_is_refused_in_words(url: str):
    with pytest.raises(InvalidInput, match="DECANT_DATABASE_URL") as caught:
        open_database(url)
    assert "sqlite:///<path> or postgresql" in caught.value.hint
    assert "secret" not in str(caught.value)
