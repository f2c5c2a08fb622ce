"""A pod in one line: how far it is and what keeps it, from its conditions and container states. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.deployments.kubernetes.roles import Part, Role, parts_of
from services.domain import Phase

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
    """What a person wants to know of a pod.

    Attributes:
        crashed: the container whose previous log tells why.
        held_by: the container that keeps the pod from its work; None: nothing does, or it is the pod itself.
    """

    name: str
    phase: Phase
    reason: str = ""
    crashed: str = ""
    held_by: Part | None = None


def view(pod: Mapping[str, Any]) -> PodView:
    """Read one pod object."""
    name = str((pod.get("metadata") or {}).get("name", ""))
    status = pod.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodView(name, Phase.PENDING, f"cannot be scheduled: {scheduled.get('message', '')}".rstrip(": "))
    if is_lost(pod):
        said = status.get("message") or "the cluster does not know how the pod is"
        return PodView(name, Phase.FAILED, f"its node does not answer: {said}")
    failed = status.get("phase") == "Failed"
    if failed and (said := status.get("message") or status.get("reason")):
        return PodView(name, Phase.FAILED, str(said))
    parts = parts_of(pod)
    if found := _trouble(parts):
        return PodView(name, *found)
    if failed:
        return PodView(name, Phase.FAILED, "it ended")
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return PodView(name, Phase.READY)
    if ready.get("status") == "False" and parts and all(part.status.get("ready") for part in parts):
        # Its node's controller has said so, since its own kubelet would take the containers' word; or a readiness gate.
        why = ready.get("message") or "its node may have stopped answering"
        return PodView(name, Phase.LOADING, f"its containers are ready and the pod does not count as ready: {why}")
    return PodView(name, *_progress(parts))


def is_lost(pod: Mapping[str, Any]) -> bool:
    """Whether nobody knows how the pod is, since its node does not answer."""
    status = pod.get("status") or {}
    return status.get("reason") == "NodeLost" or status.get("phase") == "Unknown"


def _trouble(parts: Sequence[Part]) -> tuple[Phase, str, str, Part] | None:
    """What keeps the pod from its work: what has failed before what was restarted, the model's before others'."""
    found = [(*trouble, part) for part in parts if (trouble := _troubled(part))]
    return min(found, key=lambda one: (one[0] is not Phase.FAILED, not one[3].own), default=None)


def _troubled(part: Part) -> tuple[Phase, str, str] | None:
    """Phase, reason and the container to read the previous log of, if this container keeps the pod from its work."""
    kind, name, state = part.kind, part.name, part.status.get("state") or {}
    last = (part.status.get("lastState") or {}).get("terminated") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    why = str(waiting.get("reason", ""))
    if why == "CrashLoopBackOff":
        return Phase.FAILED, f"{kind} {name} keeps ending: {_ending(last)}", name
    if why in _HOPELESS:
        said = f": {waiting['message']}" if waiting.get("message") else ""
        return Phase.FAILED, f"{kind} {name}: {why}{said}", ""
    if ended and ended.get("exitCode"):
        return Phase.FAILED, f"{kind} {name} ended: {_ending(ended)}", name
    restarts = int(part.status.get("restartCount", 0))
    if restarts >= RESTARTS_SHOWN and not part.status.get("ready"):
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


def _progress(parts: Sequence[Part]) -> tuple[Phase, str]:
    if first := next((part for part in parts if part.before and not part.ended_well), None):
        awaited = next(
            (part for part in parts[: parts.index(first)] if not (part.before or part.status.get("ready"))), None
        )
        if awaited and not first.begun:
            return Phase.LOADING, f"{awaited.name} starts before the model is fetched"
        if first.role is Role.DOWNLOAD and not first.begun:
            return Phase.LOADING, f"init container {first.name} is about to fetch the model"
        does = "fetches the model" if first.role is Role.DOWNLOAD else "runs before the model is fetched"
        return Phase.LOADING, f"init container {first.name} {does}"
    models = [part for part in parts if part.role is Role.MODEL]
    if starting := [part.name for part in models if not part.status.get("ready")]:
        return Phase.LOADING, f"{', '.join(starting)} starts: environment, then model"
    if models and (late := [part.name for part in parts if not part.before and not part.status.get("ready")]):
        verb = "is" if len(late) == 1 else "are"
        return Phase.LOADING, f"{' and '.join(late)} {verb} not ready yet; the model is"
    return Phase.PENDING, "waiting for its containers"
