"""The monitoring manifests: in step with the code, accepted and tested by promtool, and every query of the dashboard
answered by a real Prometheus with what was counted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import cli
from services.metrics.grafana import dashboard, expressions
from services.metrics.monitoring import files
from services.metrics.queries import PLAIN, Labels
from services.settings import ROOT
from tests.support.prometheus import (
    DEPLOYMENT,
    NAMESPACE,
    SeldonExporter,
    prometheus_binary,
    running_prometheus,
)
from tests.support.waiting import free_ports, wait_until

FOLDER = ROOT / "manifests" / "monitoring"
PLACES = {"$namespace": NAMESPACE, "$deployment": DEPLOYMENT, "$__rate_interval": "30s"}


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [prometheus_binary().resolve().with_name("promtool"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_files_are_those_that_the_code_makes() -> None:
    for name, text in files(PLAIN).items():
        assert (FOLDER / name).read_text() == text, f"{name}: run `python -m app monitoring manifests/monitoring`"


def test_promtool_accepts_and_tests_the_rules() -> None:
    for arguments in (("check", "rules", FOLDER / "rules.yaml"), ("test", "rules", FOLDER / "rules.test.yaml")):
        answer = _promtool(*arguments)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "SUCCESS" in answer.stdout


def test_every_alert_has_a_test() -> None:
    tested = (FOLDER / "rules.test.yaml").read_text()
    alerts = [line.split()[-1] for line in files(PLAIN)["rules.yaml"].splitlines() if "alert:" in line]
    assert len(alerts) >= 7
    assert [name for name in alerts if f"alertname: {name}" not in tested] == []


def test_for_a_shared_prometheus_the_rules_hold_too(tmp_path: Path) -> None:
    environment = {
        "DECANT_PROMETHEUS_NAMESPACE_LABEL": "kubernetes_namespace",
        "DECANT_PROMETHEUS_MATCHERS": 'cluster="eu1"',
    }
    result = CliRunner().invoke(cli, ["monitoring", str(tmp_path / "made")], env=environment)
    assert result.exit_code == 0, result.output
    rules = tmp_path / "made" / "rules.yaml"
    assert 'cluster="eu1"' in rules.read_text()
    assert "(namespace" not in rules.read_text()
    answer = _promtool("check", "rules", rules)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that scrapes two arms with traffic, errors and rewards."""
    ports = free_ports(2)
    a, b = (SeldonExporter(port, arm).start() for port, arm in zip(ports, "ab", strict=True))
    targets = {port: {"namespace": NAMESPACE, "predictor_name": arm} for port, arm in zip(ports, "ab", strict=True)}
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), targets) as prometheus:

        def rated() -> bool:
            for exporter in (a, b):
                exporter.predict(3)
                exporter.reward(0.5)
            b.predict(1, code=500)
            return {"a", "b"} <= {row.get("predictor_name") for row in _ask(prometheus.url, _reward())}

        wait_until(rated, what="a rate of rewards of both arms")
        yield prometheus.url
    for exporter in (a, b):
        exporter.stop()


def _reward() -> str:
    (panel,) = [p for p in dashboard(PLAIN)["panels"] if p["title"] == "Mean reward"]
    return str(panel["targets"][0]["expr"])


def _ask(url: str, expression: str) -> list[dict[str, str]]:
    """The labels of the rows of the answer, with the dashboard's variables filled in."""
    for place, value in PLACES.items():
        expression = expression.replace(place, value)
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=5).json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    return [row["metric"] for row in answer["data"]["result"]]


@pytest.mark.parametrize("expression", expressions(PLAIN))
def test_prometheus_answers_every_query_of_the_dashboard(prometheus_url: str, expression: str) -> None:
    assert _ask(prometheus_url, expression)


def test_the_charts_have_a_line_per_arm(prometheus_url: str) -> None:
    charts = [panel for panel in dashboard(PLAIN)["panels"] if panel["type"] == "timeseries"]
    assert [panel["title"] for panel in charts] == [
        "Requests per second",
        "Mean reward",
        "Latency",
        "Errors per second",
    ]
    for panel in charts:
        for target in panel["targets"]:
            assert {row["predictor_name"] for row in _ask(prometheus_url, target["expr"])} == {"a", "b"}


def test_the_variables_of_the_dashboard_find_the_deployment(prometheus_url: str) -> None:
    names = {v["name"]: v["query"] for v in dashboard(PLAIN)["templating"]["list"]}
    within = names["deployment"].removeprefix("label_values(").rpartition(",")[0]
    assert {row["deployment_name"] for row in _ask(prometheus_url, within)} == {DEPLOYMENT}


def test_a_dashboard_for_a_shared_prometheus_asks_for_the_other_label() -> None:
    shared = Labels("kubernetes_namespace", 'cluster="eu1"')
    assert all('kubernetes_namespace="$namespace"' in text and 'cluster="eu1"' in text for text in expressions(shared))
