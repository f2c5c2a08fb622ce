"""Kubernetes Events: the ones that Decant writes about its changes, and all those about a deployment, in order."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.ownership import MANAGER
from services.deployments.kubernetes.seldon import core
from services.deployments.kubernetes.times import read_time
from services.deployments.kubernetes.workloads import Workloads
from services.domain import ChangeNote, Event
from services.errors import DecantError

log = logging.getLogger(__name__)

Object = Mapping[str, Any]

_FIELD = re.compile(r"[cC]ontainers\{([^}]+)\}")


def announce(cluster: Cluster, about: Object, reason: str, what: str, note: ChangeNote) -> None:
    """Write an Event about a change that is done. The change stands even if the cluster does not take the Event."""
    metadata = about["metadata"]
    now = datetime.now(UTC)
    why = f": {note.why}" if note.why else ""
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name'][:40]}.decant-", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about.get("apiVersion"),
            "kind": about.get("kind"),
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
        },
        "type": "Normal",
        "reason": reason,
        "message": f"{note.who} {what}{why}"[:1000],
        "source": {"component": MANAGER},
        "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "action": reason,
        "reportingComponent": "decant.dev/dashboard",
        "reportingInstance": MANAGER,
        "count": 1,
    }
    try:
        cluster.send("POST", core(metadata["namespace"], "events"), event)
    except DecantError as error:
        log.warning("%s of %s is done, but its Event was not taken: %s", reason, metadata["name"], error)


def told(events: Iterable[Object], deployment: str, workloads: Workloads) -> list[Event]:
    """The events about the deployment, its workloads and its pods, oldest first."""
    found = []
    for event in events:
        name = str((event.get("involvedObject") or {}).get("name", ""))
        owner = workloads.of(name)
        if name != deployment and owner is None:
            continue
        at = next(
            (time for key in ("eventTime", "lastTimestamp", "firstTimestamp") if (time := read_time(event.get(key)))),
            None,
        ) or read_time((event.get("metadata") or {}).get("creationTimestamp"))
        if at is not None:
            times = f" ({event['count']} times)" if (event.get("count") or 1) > 1 else ""
            message = f"{event.get('reason', '')}: {_container(event)}{event.get('message', '')}{times}".lstrip(": ")
            found.append(Event(at, str(event.get("type") or "Normal"), message, owner or ""))
    return sorted(found, key=lambda e: e.at)


def _container(event: Object) -> str:
    """The container that a kubelet speaks of, where its message does not say so: which probe failed, say."""
    found = _FIELD.search(str((event.get("involvedObject") or {}).get("fieldPath") or ""))
    return f"{found[1]}: " if found and found[1] not in str(event.get("message", "")) else ""
