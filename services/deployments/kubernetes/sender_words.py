"""A Job's senders in words: how many run, what keeps the others, how those ended that failed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.deployments.kubernetes.pods import view
from services.deployments.kubernetes.sender_template import CONTAINER
from services.deployments.senders import JobEnd, SendersJob
from services.domain import Phase

INDEX = "batch.kubernetes.io/job-completion-index"
_OWN = re.compile(rf"^container {CONTAINER}:?\s*")

Object = Mapping[str, Any]


def read(name: str, job: Object | None, pods: Sequence[Object]) -> SendersJob | None:
    """The Job and its pods as the cluster has them now; None if nothing of them is left that could send."""
    if job is None:
        live = [pod for pod in pods if _phase(pod) not in ("Succeeded", "Failed")]
        return SendersJob(name, len(live), len(live), leaving=True) if live else None
    spec, status, metadata = job.get("spec") or {}, job.get("status") or {}, job["metadata"]
    own = _newest(pod for pod in pods if _owned(pod, metadata.get("uid")))
    shares, done = int(spec.get("completions") or 1), int(status.get("succeeded") or 0)
    running = sum(_runs(pod) for pod in own)
    held = [_held(pod) for pod in own if not _runs(pod) and _phase(pod) != "Succeeded"]
    without = max(0, shares - done - running - len(held))
    end, said = _end(status)
    return SendersJob(
        name=name,
        shares=shares,
        running=running,
        done=done,
        others=(*held, *["without a pod"] * without),
        end=end,
        why="; ".join(filter(None, [said, *_failures(own)])) if end is JobEnd.FAILED else "",
        leaving="deletionTimestamp" in metadata,
    )


def _owned(pod: Object, uid: object) -> bool:
    return any(owner.get("uid") == uid for owner in pod["metadata"].get("ownerReferences") or [])


def _newest(pods: Iterable[Object]) -> list[Object]:
    """Of each sender the pod that was made last, in the order of their numbers."""
    found: dict[str, Object] = {}
    for pod in sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp", ""))):
        metadata = pod["metadata"]
        found[str((metadata.get("annotations") or {}).get(INDEX, metadata["name"]))] = pod
    return [found[index] for index in sorted(found, key=lambda one: (len(one), one))]


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _runs(pod: Object) -> bool:
    return view(pod).phase is Phase.READY


def _held(pod: Object) -> str:
    """What keeps a pod from its work, to be read after a number of senders."""
    found = view(pod)
    if _phase(pod) == "Failed":
        return f"ended: {_ending(pod)}"
    if found.phase is Phase.FAILED:
        return _OWN.sub("", found.reason)
    return found.reason if found.phase is Phase.PENDING and "scheduled" in found.reason else "starting"


def _ending(pod: Object) -> str:
    """The sender's own last words where it left some, else what the cluster says."""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    ends = [(one.get("state") or {}).get("terminated") or {} for one in containers]
    own = next((str(end["message"]).strip() for end in ends if end.get("message")), "")
    return own or _OWN.sub("", view(pod).reason).removeprefix("ended: ")


def _failures(pods: Sequence[Object]) -> list[str]:
    return [f"{pod['metadata']['name']} ended: {_ending(pod)}" for pod in pods if _phase(pod) == "Failed"]


def _end(status: Object) -> tuple[JobEnd | None, str]:
    for condition in status.get("conditions") or []:
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return JobEnd.COMPLETE, ""
        if condition.get("type") == "Failed":
            return JobEnd.FAILED, str(condition.get("message") or condition.get("reason") or "")
    return None, ""
