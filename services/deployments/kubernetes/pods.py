"""A pod in one line: how far it is and what keeps it, from its conditions and container states. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.domain import Phase

ORCHESTRATOR = "seldon-container-engine"
"""Seldon's own container in each pod; the others are the model's."""
_HOPELESS = {
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
RESTARTS_SHOWN = 1


@dataclass(frozen=True, slots=True)
class PodView:
    """What a person wants to know of a pod. `crashed` names the container whose previous log tells why."""

    name: str
    phase: Phase
    reason: str = ""
    crashed: str = ""


def view(pod: Mapping[str, Any]) -> PodView:
    """Read one pod object."""
    name = str((pod.get("metadata") or {}).get("name", ""))
    status = pod.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodView(name, Phase.PENDING, f"cannot be scheduled: {scheduled.get('message', '')}".rstrip(": "))
    failed = status.get("phase") == "Failed"
    if failed and (said := status.get("message") or status.get("reason")):
        return PodView(name, Phase.FAILED, str(said))
    for kind, states in (("init container", "initContainerStatuses"), ("container", "containerStatuses")):
        for container in status.get(states) or []:
            if found := _trouble(kind, container):
                return PodView(name, *found)
    if failed:
        return PodView(name, Phase.FAILED, "it ended")
    if conditions.get("Ready", {}).get("status") == "True":
        return PodView(name, Phase.READY)
    return PodView(name, *_progress(status))


def _trouble(kind: str, container: Mapping[str, Any]) -> tuple[Phase, str, str] | None:
    """Phase, reason and the container to read the previous log of, if this container keeps the pod from its work."""
    name, state = str(container.get("name", "")), container.get("state") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    why = str(waiting.get("reason", ""))
    if why == "CrashLoopBackOff":
        return Phase.FAILED, f"{kind} {name} keeps ending: {_ending(last)}", name
    if why in _HOPELESS:
        said = f": {waiting['message']}" if waiting.get("message") else ""
        return Phase.FAILED, f"{kind} {name}: {why}{said}", ""
    if ended and ended.get("exitCode"):
        return Phase.FAILED, f"{kind} {name} ended: {_ending(ended)}", name
    restarts = int(container.get("restartCount", 0))
    if restarts >= RESTARTS_SHOWN and not container.get("ready"):
        times = "once" if restarts == 1 else f"{restarts} times"
        return Phase.LOADING, f"{kind} {name} was restarted {times}, last after {_ending(last)}", name
    return None


def _ending(terminated: Mapping[str, Any]) -> str:
    reason, code = str(terminated.get("reason") or ""), terminated.get("exitCode")
    if reason == "OOMKilled":
        return "out of memory (OOMKilled)"
    how = " with ".join(part for part in (reason, "" if code is None else f"exit code {code}") if part) or "unknown"
    said = str(terminated.get("message") or "").strip().splitlines()
    return f"{how}: {said[-1]}" if said else how


def _progress(status: Mapping[str, Any]) -> tuple[Phase, str]:
    for container in status.get("initContainerStatuses") or []:
        if not ((container.get("state") or {}).get("terminated")):
            return Phase.LOADING, f"init container {container.get('name')} fetches the model"
    states: Sequence[Mapping[str, Any]] = status.get("containerStatuses") or []
    starting = [str(c.get("name")) for c in states if not c.get("ready") and c.get("name") != ORCHESTRATOR]
    if starting:
        return Phase.LOADING, f"{', '.join(starting)} starts: environment, then model"
    return Phase.PENDING, "waiting for its containers"
