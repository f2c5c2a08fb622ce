"""The pure parts of the Runs page: columns, cells, comparison."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.components import run_columns as columns
from app.components.run_compare import column_names, parallel_coordinates, side_by_side
from app.components.run_detail import without_user
from services.tracking.runs import Run

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def run(run_id: str = "r1", name: str = "first", **values) -> Run:
    return Run(
        run_id=run_id,
        name=name,
        experiment_id="1",
        status="FINISHED",
        started_at=START,
        ended_at=START + timedelta(seconds=12.34),
        user="ann",
        **values,
    )


ONE = run("r1", "first", params={"alpha": "0.5", "seed": "40"}, metrics={"alpha": 1.0, "rmse": 0.82})
TWO = run("r2", "second", params={"alpha": "0.75", "seed": "40"}, metrics={"rmse": 0.81}, tags={"team": "wine"})


def test_a_parameter_and_a_metric_of_one_name_stay_apart():
    assert {"param:alpha", "metric:alpha"} <= set(columns.available([ONE, TWO]))
    assert columns.value("param:alpha", ONE) == "0.5"
    assert columns.value("metric:alpha", ONE) == 1.0
    assert columns.value("metric:alpha", TWO) is None


def test_differing_parameters_come_first():
    chosen = columns.default([ONE, TWO])
    assert chosen.index("param:alpha") < chosen.index("param:seed")
    assert "tag:team" not in chosen


def test_numbers_sort_as_numbers_and_text_stays_text():
    frame = columns.frame([run(params={"n": "9"}), run(params={"n": "10"})], ["param:n"], UTC)
    assert frame["param:n"].tolist() == [9.0, 10.0]
    frame = columns.frame([run(params={"n": "9"}), run(params={"n": "many"})], ["param:n"], UTC)
    assert frame["param:n"].tolist() == ["9", "many"]


def test_times_are_in_the_persons_zone_and_durations_in_seconds():
    frame = columns.frame([ONE], ["started", "duration"], ZoneInfo("Europe/Vienna"))
    assert frame["started"][0].hour == 13
    assert frame["duration"][0] == 12.3


def test_a_run_that_still_runs_has_no_duration():
    assert columns.seconds(START, None) is None
    frame = columns.frame([Run("r", "", "1", "RUNNING", START, None, "")], ["duration"], UTC)
    assert frame["name"][0] == "r"


@pytest.mark.parametrize("text", [None, "", "not json", "{}", "[]", '"x"'])
def test_an_unreadable_choice_is_no_choice(text):
    assert columns.read_choice(text) is None


def test_a_choice_survives_the_url():
    keys = ["param:α,β", "metric:a b|c"]
    assert columns.read_choice(columns.write_choice(keys)) == keys


def test_side_by_side_marks_and_leaves_out():
    table = side_by_side([ONE, TWO], only_differences=False).set_index(["kind", "name"])
    assert not table.loc[("param", "seed"), "differs"]
    assert table.loc[("metric", "alpha"), "second"] == "—"
    only = side_by_side([ONE, TWO], only_differences=True)
    assert set(only["differs"]) == {True}
    assert "seed" not in only["name"].tolist()


def test_equal_names_are_told_apart_by_id():
    assert column_names([run("aaaaaaaaa", "x"), run("bbbbbbbbb", "x")]) == ["x (aaaaaa)", "x (bbbbbb)"]


def test_parallel_coordinates_need_two_numeric_axes_that_differ():
    assert parallel_coordinates([ONE]) is None
    assert parallel_coordinates([ONE, run("r3", params={"alpha": "0.6"})]) is None  # rmse is missing in one
    figure = parallel_coordinates([ONE, TWO])
    assert [trace.name for trace in figure.data] == ["first", "second"]
    assert list(figure.data[0].y) == [0.0, 1.0]  # smallest alpha, largest rmse
    assert figure.data[0].customdata[1] == "rmse 0.82"


def test_runs_of_one_name_are_told_apart_by_their_ids():
    runs = [run("a" * 32, "same"), run("b" * 32, "same"), run("c" * 32, "other"), run("d" * 32, "")]
    assert columns.names(runs) == ["same · aaaaaaaa", "same · bbbbbbbb", "other", "dddddddd"]


@pytest.mark.parametrize(
    "address", ["http://ann:secret@mlflow:5000/x", "http://ann@mlflow:5000/x", "http://mlflow:5000/x"]
)
def test_a_link_to_mlflow_holds_no_password(address: str):
    assert without_user(address) == "http://mlflow:5000/x"
