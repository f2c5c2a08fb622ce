"""The Monitor page from the real entry point: full (with a real Prometheus), empty, broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import theme
from services.domain import Split
from services.metrics.model import Chart
from services.metrics.prometheus import MetricsReader
from tests.apptest.conftest import NOTE, Dashboard, texts
from tests.support.prometheus import NAMESPACE, SCRAPE_S, SeldonExporter, running_prometheus
from tests.support.waiting import free_ports, wait_until


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has seen 30 predictions of a, 10 of b (one failed), with rewards, of seldon/wine."""
    ports = free_ports(2)
    exporters = [SeldonExporter(port, arm).start() for port, arm in zip(ports, "ab", strict=True)]
    a, b = exporters
    labels = {"namespace": NAMESPACE, "deployment_name": "wine"}
    targets = {p: {**labels, "predictor_name": arm} for p, arm in zip(ports, "ab", strict=True)}
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(folder, targets) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S)
        a.predict(29)
        b.predict(8)
        b.predict(1, code=500)
        a.reward(*[0.5] * 29)
        b.reward(*[1.0] * 8)
        wait_until(lambda: reader.tiles(NAMESPACE, "wine", 60).n == 38, what="the first scrape")
        a.predict(1)
        b.predict(1)
        a.reward(0.5)
        b.reward(1.0)
        wait_until(lambda: reader.tiles(NAMESPACE, "wine", 60).n == 40, what="the second scrape")
        wait_until(lambda: _lines(reader) >= {"a", "b"}, what="points on the chart of the default window")
        yield prometheus.url
    for exporter in exporters:
        exporter.stop()


def _lines(reader: MetricsReader) -> set[str]:
    end = datetime.now(UTC)
    rewards = reader.chart(Chart.REWARD, NAMESPACE, "wine", end - timedelta(minutes=15), end)
    return {series.label for series in rewards.series if not series.empty}


@pytest.fixture
def watched(dashboard: Dashboard, prometheus_url: str) -> Dashboard:
    dashboard.use(metrics=MetricsReader(prometheus_url, SCRAPE_S))
    dashboard.deploy("wine", {"a": 80, "b": 20})
    return dashboard


def test_what_is_wrong_with_the_metrics_stands_above_the_numbers(dashboard: Dashboard, prometheus_url: str):
    dashboard.use(metrics=MetricsReader(prometheus_url, SCRAPE_S))
    dashboard.deploy("wine", {"a": 60, "b": 20, "c": 20})
    app = dashboard.open("monitor", deployment="seldon/wine", window="5m")
    check = next(e for e in app.expander if e.label.startswith("Check of the metrics"))
    assert check.label.endswith("1 finding")
    assert "predictor c" in check.markdown[0].value
    assert not app.warning  # an arm that is missing makes no other number wrong


def _figures(app) -> list[dict]:
    found = app.get("bidi_component")
    return [json.loads(element.proto.json)["figure"] for element in found]


def test_empty_it_points_to_the_deploy_page(dashboard: Dashboard):
    app = dashboard.open("monitor")
    assert app.title[0].value == "Monitor"
    assert "Nothing is deployed yet" in texts(app)


def test_full_tiles_charts_totals(watched: Dashboard):
    app = watched.open("monitor", deployment="seldon/wine", window="5m")
    said = texts(app)
    assert [m.label for m in app.metric] == ["Requests now", "Success", "Client errors 4xx", "Server errors 5xx"]
    assert "n 40" in said
    assert "1 of 40" in said
    assert not app.error
    for title in ("Requests per second", "Mean reward", "Latency", "Errors per second"):
        assert title in said
    totals = app.dataframe[0].value
    assert list(totals["Predictor"]) == ["a", "b"]
    assert list(totals["Requests"]) == ["30", "10"]
    assert list(totals["Mean reward"]) == ["0.5", "1.0"]
    assert list(totals["Share in this window"].str.replace("\u202f", " ")) == ["75 %", "25 %"]


def test_each_chart_shows_its_query(watched: Dashboard):
    app = watched.open("monitor")
    queries = [code.value for code in app.code]
    assert len(queries) == 4
    assert all('deployment_name="wine"' in query for query in queries)


def test_charts_are_drawn_per_arm_in_its_colour_with_the_changes_marked(watched: Dashboard):
    watched.services.operations.set_traffic("seldon", "wine", Split.of({"a": 70, "b": 30}), note=NOTE)
    app = watched.open("monitor")
    rps = _figures(app)[0]
    lines = {trace["name"]: trace for trace in rps["data"]}
    assert lines["a"]["line"]["color"] == theme.BURGUNDY
    assert lines["b"]["line"]["color"] == theme.GOLD
    assert any("a test" in text for text in lines["change"]["text"])
    assert "traffic a 80" in "".join(app.dataframe[1].value["What"]).replace("\u202f", " ")


def test_a_page_that_was_opened_before_the_split_moved_shows_what_is_asked_now(watched: Dashboard, monkeypatch):
    """Only the live part is drawn again by itself; what the page knew of the arms is as old as the page."""
    before = watched.engine.list()
    watched.services.operations.set_traffic("seldon", "wine", Split.of({"a": 55, "b": 45}), note=NOTE)
    monkeypatch.setattr(watched.engine, "list", lambda namespace=None: before)
    app = watched.open("monitor", deployment="seldon/wine", window="5m")
    assert list(app.dataframe[0].value["Asked now"].str.replace("\u202f", " ")) == ["55 %", "45 %"]


def test_the_quantiles_can_be_chosen(watched: Dashboard):
    app = watched.open("monitor")
    assert {t["name"] for t in _figures(app)[2]["data"] if t["name"] != "change"} == {
        "a p50",
        "a p95",
        "b p50",
        "b p95",
    }
    app.pills(key="quantiles").set_value(["p99"]).run()
    assert not app.exception
    assert {t["name"] for t in _figures(app)[2]["data"] if t["name"] != "change"} == {"a p99", "b p99"}


def test_the_deployment_and_the_window_live_in_the_url(watched: Dashboard):
    watched.deploy("credit", {"only": 100})
    app = watched.open("monitor", deployment="seldon/wine", window="1h")
    assert app.selectbox[0].value == "seldon/wine"
    assert "last 1 h" in texts(app).replace("\u202f", " ")
    app.selectbox[0].set_value("seldon/credit").run()
    assert app.query_params["deployment"] == "seldon/credit"
    assert app.query_params["window"] == "1h"
    assert "No traffic in this window" in str(_figures(app)[0]["layout"]["annotations"])


def test_a_link_to_a_deployment_that_is_gone_says_so(watched: Dashboard):
    app = watched.open("monitor", deployment="seldon/gone")
    assert "no deployment “seldon/gone”" in texts(app)
    assert app.selectbox[0].value == "seldon/wine"


def test_prometheus_down_is_said_once_and_the_history_stays(dashboard: Dashboard):
    dashboard.deploy("wine")
    app = dashboard.open("monitor")
    assert len(app.error) == 1
    assert "Prometheus does not answer" in app.error[0].value
    assert list(app.dataframe[0].value["What"]) == ["deployed it"]


def test_engine_down_the_charts_of_the_linked_deployment_stay(watched: Dashboard):
    watched.engine.down = "The engine"
    app = watched.open("monitor", deployment="seldon/wine")
    assert "The engine does not answer" in texts(app)
    assert "n 40" in texts(app)
    assert {t["name"] for t in _figures(app)[0]["data"]} >= {"a", "b"}


def test_the_page_says_when_it_read_its_numbers(watched: Dashboard):
    app = watched.open("monitor")
    assert f"Read at {datetime.now(UTC):%H}" in texts(app)
