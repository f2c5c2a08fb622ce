"""The charts of the Monitor page as a Grafana dashboard, from the same queries. Pure.

Against Seldon's own dashboard: errors by the label that exists (`code`), windows that always hold four scrapes
(`$__rate_interval`), one deployment at a time, arms told apart by `predictor_name` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.metrics import queries
from services.metrics.model import QUANTILES
from services.metrics.queries import REQUESTS, Labels, Selection, served

UID, TITLE = "decant-ab-test", "Decant: A/B test"
WINDOW = "$__rate_interval"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HALF = 24, 12

Panel = dict[str, Any]


def dashboard(labels: Labels) -> dict[str, Any]:
    """The dashboard as Grafana imports it; namespace and deployment are variables."""
    one = Selection("$namespace", "$deployment", labels)
    return {
        "uid": UID,
        "title": TITLE,
        "tags": ["decant", "seldon"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "graphTooltip": 1,
        "templating": {"list": _variables(labels)},
        "panels": _placed([_tiles(one), _charts(one)[:2], _charts(one)[2:]]),
    }


def expressions(labels: Labels) -> list[str]:
    """Every query of the dashboard, as Grafana holds it."""
    return [target["expr"] for panel in dashboard(labels)["panels"] for target in panel.get("targets", ())]


def _variables(labels: Labels) -> list[dict[str, Any]]:
    counter = f"{REQUESTS}_count{labels.braces()}"
    within = queries.request_counter(Selection("$namespace", None, labels))
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        _variable("namespace", "Namespace", f"label_values({counter}, {labels.namespace})"),
        _variable("deployment", "Deployment", f"label_values({within}, deployment_name)"),
    ]


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "sort": 1,
    }


def _tiles(one: Selection) -> list[Panel]:
    everything, failed_4, failed_5 = (f"sum({served(one, WINDOW, digits)})" for digits in ("", "4", "5"))
    return [
        _stat("Requests per second", everything, "reqps"),
        _stat("Success", f"1 - (sum({served(one, WINDOW, '45')}) or vector(0)) / {everything}", "percentunit"),
        _stat("Client errors 4xx", f"{failed_4} or vector(0)", "reqps"),
        _stat("Server errors 5xx", f"{failed_5} or vector(0)", "reqps"),
    ]


def _charts(one: Selection) -> list[Panel]:
    quantiles = [(queries.latency_ms(one, WINDOW, q), f"{{{{predictor_name}}}} p{q * 100:g}") for q in QUANTILES]
    return [
        _chart("Requests per second", "reqps", [(queries.rps(one, WINDOW), "{{predictor_name}}")]),
        _chart("Mean reward", "short", [(queries.reward(one, WINDOW), "{{predictor_name}}")]),
        _chart("Latency", "ms", quantiles),
        _chart("Errors per second", "reqps", [(queries.served_errors(one, WINDOW), "{{predictor_name}} {{class}}")]),
    ]


def _stat(title: str, expression: str, unit: str) -> Panel:
    return {
        "type": "stat",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "color": {"mode": "fixed", "fixedColor": "text"}}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area"},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": expression}],
    }


def _chart(title: str, unit: str, lines: Sequence[tuple[str, str]]) -> Panel:
    return {
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"spanNulls": False}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for i, (expression, legend) in enumerate(lines)
        ],
    }


def _placed(rows: Sequence[Sequence[Panel]]) -> list[Panel]:
    """Rows of panels that share the width; tiles are low, charts high."""
    placed: list[Panel] = []
    y = 0
    for row in rows:
        height, width = (4 if row[0]["type"] == "stat" else 9), WIDTH // len(row)
        for i, panel in enumerate(row):
            where = {"x": i * width, "y": y, "w": width, "h": height}
            placed.append({"id": len(placed) + 1, **panel, "gridPos": where})
        y += height
    return placed
