"""The model's container in a predictor's `componentSpecs`: probes and resources that Decant writes, beside others'.

Seldon makes a container for every graph node; one that the manifest names like the node is laid over it. Decant reads
and writes four quantities and the two probes of a start budget, in the one form below; all else is left alone.

The budget delays the liveness probe: until it is over nothing ends a container that is still building its environment;
afterwards one that hangs is ended as quickly as by Seldon's own defaults (60 s of delay, then 3 failures 5 s apart).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from services.domain import Predictor, Resources

Object = dict[str, Any]

DEADLINE = "progressDeadlineSeconds"
USUAL_DEADLINE_S, DEADLINE_MARGIN_S = 600, 60
"""When Kubernetes calls a rollout failed that does not become ready, and how long after the budget Decant does."""
PERIOD_S = 5
FAILURES = 3
READY_DELAY_S = 20
_PATHS: dict[str, tuple[str, str]] = {
    "seldon": ("/health/ping", "/health/ping"),
    "v2": ("/v2/health/live", "/v2/health/ready"),
}
"""Liveness and readiness, on the port that Seldon names `http`."""
DEFAULTS = (("timeoutSeconds", 1), ("successThreshold", 1))
"""What Kubernetes adds to a probe that does not say it."""
_PROBES = ("livenessProbe", "readinessProbe")
_KINDS = {"request": "requests", "limit": "limits"}
_QUANTITIES = tuple((f"{what}_{kind}", plural, what) for what in ("cpu", "memory") for kind, plural in _KINDS.items())


def probes(budget_s: int, protocol: str) -> Object:
    """The two probes that give a model `budget_s` seconds to start."""
    live, ready = _PATHS[protocol]
    return {
        "livenessProbe": _probe(live, budget_s),
        "readinessProbe": _probe(ready, min(READY_DELAY_S, budget_s)),
    }


def deadline_s(budget_s: int | None) -> int | None:
    """When the rollout of a predictor counts as failed, in seconds; None leaves it to Kubernetes."""
    if budget_s is None or budget_s + DEADLINE_MARGIN_S <= USUAL_DEADLINE_S:
        return None
    return budget_s + DEADLINE_MARGIN_S


def container_of(predictor: Predictor, protocol: str) -> Object:
    """What Decant asks of the model's container; empty when that is nothing."""
    body: Object = {}
    if predictor.start_budget_s is not None:
        body |= probes(predictor.start_budget_s, protocol)
    resources: dict[str, dict[str, str]] = {}
    for field, plural, what in _QUANTITIES:
        if text := getattr(predictor.resources, field):
            resources.setdefault(plural, {})[what] = text
    if resources:
        body["resources"] = resources
    return {"name": predictor.node_name, **body} if body else {}


def budget_and_resources(raw: Mapping[str, Any], node: str) -> tuple[int | None, Resources]:
    """What a predictor of a manifest says of the start budget and the resources of its model's container.

    Probes of another shape than Decant's are somebody else's: they give no budget.
    """
    found: Mapping[str, Any] = next((c for c in _containers(raw.get("componentSpecs")) if c.get("name") == node), {})
    return _budget(found), _resources(found)


def laid_over(live: object, live_node: str, predictor: Predictor, protocol: str) -> list[Object]:
    """The live `componentSpecs` with the model's container as `predictor` wants it and all else as it was."""
    listed = live if isinstance(live, list) else []
    specs: list[Object] = [copy.deepcopy(dict(spec)) for spec in listed if isinstance(spec, Mapping)]
    wanted = container_of(predictor, protocol)
    present = next((c for c in _containers(specs) if c.get("name") == live_node), None)
    if present is None:
        return [*specs, {"spec": {"containers": [wanted]}}] if wanted else specs
    kept = _without_ours(present)
    present.clear()
    present |= {**kept, **wanted, "name": predictor.node_name}
    if merged := _resources_over(kept.get("resources"), wanted.get("resources")):
        present["resources"] = merged
    return [spec for spec in specs if spec != {"spec": {"containers": [{"name": predictor.node_name}]}}]


def _containers(specs: object) -> list[Any]:
    """Every container of every component, as it stands in the manifest."""
    found = []
    for spec in specs if isinstance(specs, list) else []:
        pod = spec.get("spec") if isinstance(spec, Mapping) else None
        listed = pod.get("containers") if isinstance(pod, Mapping) else None
        found += [c for c in listed if isinstance(c, Mapping)] if isinstance(listed, list) else []
    return found


def _probe(path: str, delay_s: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "initialDelaySeconds": delay_s,
        "periodSeconds": PERIOD_S,
        "failureThreshold": FAILURES,
    }


def _budget(container: Mapping[str, Any]) -> int | None:
    probe = container.get("livenessProbe")
    delay = probe.get("initialDelaySeconds") if isinstance(probe, Mapping) else None
    if not isinstance(delay, int) or isinstance(delay, bool):
        return None
    written = {key: _plain(container.get(key)) for key in _PROBES}
    return delay if any(written == probes(delay, protocol) for protocol in _PATHS) else None


def _plain(probe: object) -> object:
    """The probe without what Kubernetes adds to one that does not say it."""
    if not isinstance(probe, Mapping):
        return None
    return {key: value for key, value in probe.items() if (key, value) not in DEFAULTS}


def _resources(container: Mapping[str, Any]) -> Resources:
    given = container.get("resources")
    given = given if isinstance(given, Mapping) else {}
    said = {}
    for field, plural, what in _QUANTITIES:
        of_kind = given.get(plural)
        value = of_kind.get(what) if isinstance(of_kind, Mapping) else None
        said[field] = "" if value is None else str(value)
    return Resources(**said)


def _without_ours(container: Mapping[str, Any]) -> Object:
    """The container without what Decant reads into a predictor: what is left is somebody else's."""
    kept = dict(container)
    if _budget(container) is not None:
        for key in _PROBES:
            kept.pop(key)
    resources = kept.pop("resources", None)
    if isinstance(resources, Mapping):
        ours = {(plural, what) for _, plural, what in _QUANTITIES}
        left = {
            kind: {k: v for k, v in listed.items() if (kind, k) not in ours} if isinstance(listed, Mapping) else listed
            for kind, listed in resources.items()
        }
        if left := {kind: listed for kind, listed in left.items() if listed}:
            kept["resources"] = left
    return kept


def _resources_over(kept: object, wanted: object) -> Object:
    base: Object = copy.deepcopy(dict(kept)) if isinstance(kept, Mapping) else {}
    for kind, listed in (wanted if isinstance(wanted, Mapping) else {}).items():
        base[kind] = {**(base.get(kind) or {}), **listed}
    return base
