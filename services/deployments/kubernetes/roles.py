"""What each container in one of Seldon's pods is there for: the download, the model, Seldon's own, or others'.

A native side-car is an init container that goes on running (restartPolicy Always), such as Istio's proxy on newer
clusters: it fetches nothing, and is as much a side-car as one among the ordinary containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.deployments.kubernetes.templates import initializer_name, is_initializer

Object = Mapping[str, Any]

ORCHESTRATOR = "seldon-container-engine"
"""Seldon's own container in each pod."""
_SIDE_CARS = ("istio-proxy", "linkerd-proxy")
"""Side-cars to know by name, where nothing in a pod tells which container is the model's."""
_UNIT = ("PREDICTIVE_UNIT_ID", "PREDICTIVE_UNIT_PARAMETERS")
"""Variables that Seldon's operator gives to the containers of the graph."""


class Role(StrEnum):
    """What a container does for its predictor."""

    DOWNLOAD = "download"  # Seldon's model initialiser
    MODEL = "model"
    SELDON = "seldon"  # Seldon's own, which takes the requests
    OTHER = "other"  # side-cars, native ones too, and init containers of others


@dataclass(frozen=True, slots=True)
class Part:
    """One container with its status. `before`: the containers that serve start only once it has ended."""

    name: str
    role: Role
    before: bool
    status: Object

    @property
    def kind(self) -> str:
        return "init container" if self.before else "container"

    @property
    def own(self) -> bool:
        """Whether it is the model's: what Decant writes reaches these containers alone."""
        return self.role in (Role.DOWNLOAD, Role.MODEL)

    @property
    def ended_well(self) -> bool:
        ended = (self.status.get("state") or {}).get("terminated")
        return ended is not None and not ended.get("exitCode")

    @property
    def begun(self) -> bool:
        return "waiting" not in (self.status.get("state") or {}) or bool(self.status.get("lastState"))


def parts_of(pod: Object) -> list[Part]:
    """The containers that have a status, in the order in which they start."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    inits, mains = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    restarted = {c.get("name") for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"}
    models = _models(spec, inits, mains)
    found = []
    for one in inits:
        name = str(one.get("name", ""))
        # An init container is ready once it has ended: one that runs and is ready goes on running.
        native = name in restarted or bool(one.get("ready") and "running" in (one.get("state") or {}))
        fetches = is_initializer(name, models)
        found.append(Part(name, Role.DOWNLOAD if fetches else Role.OTHER, not native, one))
    for one in mains:
        name = str(one.get("name", ""))
        role = Role.SELDON if name == ORCHESTRATOR else Role.MODEL if name in models else Role.OTHER
        found.append(Part(name, role, False, one))
    return found


def model_container(pod: Object) -> str:
    """The container that serves the model, the first where there are several; empty where there is none yet."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return next(
        iter(_models(spec, status.get("initContainerStatuses") or [], status.get("containerStatuses") or [])), ""
    )


def _models(spec: Object, inits: list[Object], mains: list[Object]) -> list[str]:
    """Names of the model's containers: those that an initialiser is named after, or that are units of the graph."""
    listed: list[Object] = [*(spec.get("containers") or []), *mains]
    names = list(dict.fromkeys(str(c.get("name", "")) for c in listed if c.get("name") != ORCHESTRATOR))
    before = {str(c.get("name", "")) for c in (*(spec.get("initContainers") or []), *inits)}
    units = {c.get("name") for c in listed if any(e.get("name") in _UNIT for e in c.get("env") or [])}
    found = [name for name in names if name in units or initializer_name(name) in before]
    return found or [name for name in names if name not in _SIDE_CARS]
