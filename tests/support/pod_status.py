"""The status of a pod of Seldon's as a kubelet writes it: one init container that fetches, one that serves."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Object = dict[str, Any]


class Stage(StrEnum):
    """How far a pod is."""

    FETCHING = "fetching"
    NO_MODEL = "no-model"
    RUNNING = "running"


def pod_status(node: str, stage: Stage, host: str, *, failed: str, ready: bool) -> Object:
    """`failed`: what the init container ended with, in words; empty: nothing went wrong."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fetched = stage is Stage.RUNNING
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    crash = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
    init: Object = {"name": f"{node}-model-initializer", "ready": fetched, "restartCount": 0}
    init["state"] = ended if fetched else {"running": {"startedAt": now}}
    if failed:
        last = {"exitCode": 1, "reason": "Error", "message": failed, "finishedAt": now}
        init |= {"state": crash, "restartCount": 2, "lastState": {"terminated": last}}
    main: Object = {"name": node, "ready": ready, "restartCount": 0, "image": "seldonio/mlflowserver:1.19.0"}
    main["state"] = {"running": {"startedAt": now}} if fetched else {"waiting": {"reason": "PodInitializing"}}
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
        {"type": "Initialized", "status": str(fetched), "lastTransitionTime": now},
        {"type": "Ready", "status": str(ready), "lastTransitionTime": now},
    ]
    return {
        "phase": "Running" if fetched else "Pending",
        "podIP": host,
        "podIPs": [{"ip": host}],
        "conditions": conditions,
        "initContainerStatuses": [init],
        "containerStatuses": [main],
    }
