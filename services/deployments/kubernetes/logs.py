"""The last lines of a predictor's containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.pods import view
from services.deployments.kubernetes.roles import ORCHESTRATOR, model_container, parts_of
from services.deployments.kubernetes.seldon import core
from services.deployments.kubernetes.stamped import Stamped, stamped

Object = Mapping[str, Any]


def tail_of(cluster: Cluster, pods: Iterable[Object], tail: int) -> list[str]:
    """The last `tail` lines of each model container of a predictor's pods, newest last.

    Of a container that keeps ending the log of its last life is read: the present one has hardly begun.
    """
    sources = [(pod, container) for pod in pods for container in _containers(pod)]
    lines: list[str] = []
    for pod, container in sources:
        found = _lines(cluster, pod, container, tail)
        label = f"[{_name(pod)}/{container}] " if len(sources) > 1 else ""
        lines += [label + line for line in found]
    return lines


def log_of(cluster: Cluster, pod: Object, tail: int) -> list[Stamped]:
    """The last lines, with their times, of the container that the pod waits for or that fails."""
    container = _telling(pod)
    lines = _lines(cluster, pod, container, tail, timestamps="true") if container else []
    if not lines and container and view(pod).crashed == container:
        lines = _lines(cluster, pod, container, tail, previous="false", timestamps="true")
    return stamped(lines)


def _telling(pod: Object) -> str:
    if crashed := view(pod).crashed:
        return crashed
    first = next((part.name for part in parts_of(pod) if part.before and not part.ended_well), "")
    return first or model_container(pod)


def _containers(pod: Object) -> list[str]:
    spec = pod.get("spec") or {}
    named = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return [str(c["name"]) for c in named if c.get("name") != ORCHESTRATOR]


def _lines(cluster: Cluster, pod: Object, container: str, tail: int, **more: str) -> list[str]:
    metadata = pod["metadata"]
    path = f"{core(metadata['namespace'], 'pods')}/{metadata['name']}/log"
    query = {"container": container, "tailLines": str(tail)}
    if view(pod).crashed == container:
        query["previous"] = "true"
    query |= more
    try:
        return cluster.text(path, query).splitlines()
    except ApiRefused as refused:
        if refused.status not in (400, 404):
            raise
        return []  # not started yet, or gone since: there is nothing to read


def _name(pod: Object) -> str:
    return str((pod.get("metadata") or {}).get("name", ""))
