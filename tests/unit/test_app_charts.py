"""The figures of the Monitor page as data; Plotly itself checks that every property exists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest

from app import theme
from app.components.charts import figure
from app.components.guide import Progress, challenger, steps
from app.components.history import describe
from services.deployments.history_text import manifest_text
from services.domain import Change, Deployment, Predictor, Resources
from services.metrics.model import Chart, ChartData, Series

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMES = tuple(START + timedelta(seconds=5 * i) for i in range(4))


def data(chart: Chart = Chart.RPS, **lines: tuple[float | None, ...]) -> ChartData:
    series = []
    for label, values in lines.items():
        predictor, _, detail = label.partition("_")
        series.append(Series(f"{predictor} {detail}".strip(), predictor, TIMES, values, detail))
    return ChartData(chart, tuple(series), "sum(x)", 8, 5, "requests/s", TIMES[0], TIMES[-1])


def change(**more: object) -> Change:
    values = {"at": TIMES[1], "who": "ann", "what": "split", "before": "a=100,b=0", "after": "a=80,b=20", "why": "go"}
    return Change(**{**values, "namespace": "seldon", "deployment": "wine", **more})


def test_plotly_accepts_the_figure():
    made = figure(data(Chart.LATENCY, a_p50=(1, 2, 3, 4), a_p99=(5, 6, 7, 8)), ["a"], [change()])
    go.Figure(made)  # raises on any property that does not exist


def test_colours_follow_the_deployments_order_not_the_datas():
    made = figure(data(b=(1, 1, 1, 1), a=(2, 2, 2, 2)), ["a", "b"])
    assert [(t["name"], t["line"]["color"]) for t in made["data"]] == [("a", theme.BURGUNDY), ("b", theme.GOLD)]
    assert [t["meta"]["dark"] for t in made["data"]] == list(theme.DARK[:2])


def test_an_arm_that_is_gone_takes_no_living_arms_colour():
    made = figure(data(old=(1, 1, 1, 1), b=(1, 1, 1, 1)), ["a", "b"])
    colors = {t["name"]: t["line"]["color"] for t in made["data"]}
    assert colors["old"] not in (theme.BURGUNDY, theme.GOLD)


def test_gaps_stay_open():
    made = figure(data(a=(1, None, None, 2)), ["a"])
    assert made["data"][0]["y"] == [1, None, None, 2]
    assert made["data"][0]["connectgaps"] is False


def test_the_axis_moves_only_when_the_data_outgrow_it():
    tops = {figure(data(a=(v, v, v, v)), ["a"])["layout"]["yaxis"]["range"][1] for v in (41, 43, 45, 47)}
    assert tops == {50}


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ((0.61, 0.66, 0.63, None), (0.6, 0.7)),
        ((0.2, 0.95, 0.4, 0.5), (0, 1)),
        ((-0.3, -0.1, 0.0, 0.2), (-0.5, 0.5)),
        ((0.5, 0.5, 0.5, 0.5), (0.45, 0.55)),
        ((0.0, 0.0, 0.0, 0.0), (0, 1e-6)),
        ((None, None, None, None), (0, 1)),
    ],
)
def test_the_axis_of_rewards_fits_them(values, bounds):
    low, high = figure(data(Chart.REWARD, a=values), ["a"])["layout"]["yaxis"]["range"]
    assert (low, high) == pytest.approx(bounds)
    assert all(low <= v <= high for v in values if v is not None)


def test_the_axis_of_rewards_stays_while_they_wobble():
    ranges = {
        tuple(figure(data(Chart.REWARD, a=(0.61, v, 0.66, 0.65)), ["a"])["layout"]["yaxis"]["range"])
        for v in (0.615, 0.63, 0.655)
    }
    assert len(ranges) == 1


def test_the_same_view_has_the_same_revision_so_that_zoom_stays():
    one = figure(data(a=(1, 2, 3, 4)), ["a"])["layout"]["uirevision"]
    assert one == figure(data(a=(9, 9, 9, 9)), ["a"])["layout"]["uirevision"]


def test_times_are_drawn_in_the_persons_zone():
    made = figure(data(a=(1, 2, 3, 4)), ["a"], zone=ZoneInfo("Asia/Kolkata"))
    assert made["data"][0]["x"][0] == "2026-03-01 17:30:00"


def test_a_mark_tells_who_what_and_why():
    made = figure(data(a=(1, 2, 3, 4)), ["a", "b"], [change(why="<b>now</b>"), change(at=START - timedelta(days=1))])
    mark = made["data"][-1]
    assert mark["x"] == ["2026-03-01 12:00:05", "2026-03-01 12:00:05", None]  # the older one is outside
    assert mark["text"][0].startswith("ann: traffic a 100\u202f% / b 0\u202f% → a 80\u202f% / b 20\u202f%")
    assert "&lt;b&gt;now" in mark["text"][0]
    assert mark["yaxis"] == "y2"


def test_marks_in_an_empty_chart_leave_room_for_its_words():
    assert figure(data(a=(1, 1, 1, 1)), ["a"], [change()])["data"][-1]["y"] == [0, 1, None]
    (marks,) = figure(data(), ["a"], [change()])["data"]
    assert all(low == high for low, high in zip(marks["x"][::3], marks["x"][1::3], strict=True))
    assert not [y for y in marks["y"] if y is not None and 0.3 < y < 0.7]
    assert list(zip(marks["y"][::3], marks["y"][1::3], strict=True)) == [(0, 0.3), (0.7, 1)]


def test_naive_times_from_the_store_are_utc():
    made = figure(data(a=(1, 2, 3, 4)), ["a"], [change(at=TIMES[1].replace(tzinfo=None))])
    assert made["data"][-1]["x"][0] == "2026-03-01 12:00:05"


def test_an_empty_chart_says_what_to_do_and_keeps_its_height():
    empty = figure(data(), ["a"])["layout"]
    assert "Send some on the Traffic page" in empty["annotations"][0]["text"]
    assert empty["height"] == figure(data(a=(1, 2, 3, 4)), ["a"])["layout"]["height"]


def test_an_empty_chart_owns_up_to_what_the_counters_saw():
    rewards = data(Chart.REWARD)
    assert "No feedback in this window" in figure(rewards, ["a"])["layout"]["annotations"][0]["text"]
    burst = figure(rewards, ["a"], counted=1000)["layout"]["annotations"][0]["text"]
    assert "1,000 rewards" in burst and "No feedback" not in burst


def test_an_empty_chart_says_since_when_nothing_was_measured():
    day_before = figure(data(), ["a"], since=START - timedelta(days=1))["layout"]["annotations"][0]["text"]
    assert day_before == "No data since 28 Feb 12:00"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"what": "undo"}, "undid: traffic"),
        ({"what": "apply", "before": "", "after": "kind: x"}, "deployed it"),
        ({"what": "apply", "before": "kind: x", "after": "kind: y"}, "applied a new version"),
        ({"what": "delete", "before": "kind: x", "after": ""}, "deleted it"),
        ({"what": "undo", "before": "kind: x", "after": ""}, "undid the deployment"),
    ],
)
def test_changes_in_words(more, words):
    assert describe(change(**more)).startswith(words)


def test_an_apply_says_which_arms_it_changed():
    one = Deployment("seldon", "wine", (Predictor("a", "models:/m-1"),))
    two = Deployment(
        "seldon",
        "wine",
        (Predictor("a", "models:/m-2", replicas=2, traffic=80), Predictor("b", "models:/m-3", traffic=20)),
    )
    before, after = manifest_text(one), manifest_text(two)
    words = "added b; a: another model, 1 → 2 replicas, 100 → 80\u202f% of the traffic"
    assert describe(change(what="apply", before=before, after=after)) == words
    assert describe(change(what="undo", before=before, after=after)) == f"undid: {words}"
    assert describe(change(what="apply", before=after, after=before)).startswith("removed b; a: another model")


def test_an_apply_says_what_else_an_arm_was_given():
    arm = Predictor("a", "models:/m-1")
    before = manifest_text(Deployment("seldon", "wine", (arm,)))
    given = replace(arm, start_budget_s=1200, env_secret="store", resources=Resources("500m"))
    after = manifest_text(Deployment("seldon", "wine", (given,)))
    words = "a: start budget the usual → 20\u202fmin, secret none → store, other resources"
    assert describe(change(what="apply", before=before, after=after)) == words


def test_the_guide_follows_what_is_there():
    def done(**progress: int) -> list[bool]:
        return [step.done for step in steps(Progress(**{"trained": 0, **progress}))]

    assert done() == [False] * 6
    assert done(trained=2, live_arms=1) == [True, True, False, False, False, False]
    assert done(trained=2, live_arms=2, predictions=1) == [True, True, True, True, False, False]
    assert all(done(trained=2, live_arms=2, predictions=9, challenger_percent=20, replays=1))
    assert (challenger([]), challenger([100]), challenger([80, 20])) == (0, 0, 20)
