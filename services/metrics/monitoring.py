"""The monitoring manifests as files: what scrapes Seldon's pods, the rules, the dashboard. Pure.

`manifests/monitoring` holds them for a Prometheus without peculiarities; `python -m app monitoring` writes them with
the namespace label and the matchers of the settings.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from services.metrics.grafana import dashboard
from services.metrics.queries import Labels
from services.metrics.rules import JOB, rule_groups

METRICS_PATH, METRICS_PORT = "/prometheus", "metrics"
"""Both the executor (8000) and the wrapper (6000) of a Seldon pod have a port of this name."""

MANAGED = {"app.kubernetes.io/managed-by": "seldon-core"}
NAME = "decant-seldon"
ONLY_IF = "# Only where pods cannot be watched: it sees the executors, not the counters of rewards.\n"
MADE = "# Made by `python -m app monitoring`; see README.md.\n"


def files(labels: Labels) -> dict[str, str]:
    """Text by file name."""
    rules = rule_groups(labels)
    executor = {**_scrape(), "port": "http"}
    return {
        "podmonitor.yaml": _yaml(_monitor("PodMonitor", {"podMetricsEndpoints": [_scrape()]})),
        "servicemonitor.yaml": ONLY_IF + _yaml(_monitor("ServiceMonitor", {"endpoints": [executor]})),
        "rules.yaml": MADE + _yaml(rules),
        "prometheusrule.yaml": MADE + _yaml(_object("PrometheusRule", rules)),
        "grafana-dashboard.json": json.dumps(dashboard(labels), indent=1) + "\n",
        "kustomization.yaml": _yaml(_kustomization()),
    }


def _monitor(kind: str, endpoints: dict[str, Any]) -> dict[str, Any]:
    return _object(kind, {"namespaceSelector": {"any": True}, "selector": {"matchLabels": MANAGED}, **endpoints})


def _scrape() -> dict[str, Any]:
    # One job for all, so that alerts can name it; the pod's namespace stays in the label `namespace`.
    return {
        "port": METRICS_PORT,
        "path": METRICS_PATH,
        "interval": "15s",
        "relabelings": [{"targetLabel": "job", "replacement": JOB}],
    }


def _object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/part-of": "decant"}},
        "spec": spec,
    }


def _kustomization() -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["podmonitor.yaml", "prometheusrule.yaml"],
        "configMapGenerator": [
            {
                "name": "decant-grafana-dashboard",
                "files": ["grafana-dashboard.json"],
                "options": {"labels": {"grafana_dashboard": "1"}, "disableNameSuffixHash": True},
            }
        ],
    }


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
