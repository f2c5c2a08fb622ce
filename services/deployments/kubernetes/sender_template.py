"""The Job that shares a replay, made after the worker's own pod: the same image, settings and limits. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from services.errors import StartFailed

WORKER = "worker"
"""The container of the worker's pod that senders are made like."""
CONTAINER = "sender"
LABELS = {"app.kubernetes.io/name": "decant", "app.kubernetes.io/component": "replay"}
INSTANCE = "app.kubernetes.io/instance"
KEPT_S = 3600
"""How long an ended Job stays to be looked at."""
RESTARTS_PER_SENDER = 3
GRACE_S = 30

_ACCOUNT = "serviceAccountName"
_OF_POD = (
    _ACCOUNT,
    "automountServiceAccountToken",
    "securityContext",
    "nodeSelector",
    "affinity",
    "tolerations",
    "imagePullSecrets",
    "priorityClassName",
    "runtimeClassName",
    "dnsPolicy",
    "dnsConfig",
    "hostAliases",
    "enableServiceLinks",
)
# No probes (they ask for the worker's sign of life) and no ports.
_OF_CONTAINER = ("image", "imagePullPolicy", "command", "workingDir", "env", "envFrom", "resources", "securityContext")
# Whether a service mesh puts a sidecar beside it, as annotation or label.
_OF_METADATA = ("sidecar.istio.io/inject", "linkerd.io/inject")
_INJECTED = "kube-api-access-"
_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"

Object = dict[str, Any]


def job_name(replay: int) -> str:
    return f"decant-replay-{replay}"


def job_of(pod: Mapping[str, Any], replay: int, shares: int, account: str = "") -> Object:
    """The Job for `shares` senders. What was injected into the pod is left out: new pods get it anew.

    `account` is the service account of its pods; empty: that of `pod`.

    Raises StartFailed if the pod has no container `worker`.
    """
    name, spec = job_name(replay), pod.get("spec") or {}
    worker = next((one for one in spec.get("containers") or [] if one.get("name") == WORKER), None)
    if worker is None:
        own = (pod.get("metadata") or {}).get("name", "")
        raise StartFailed(
            f"The Job {name}",
            f"the worker's pod {own} has no container “{WORKER}” to make senders like",
            hint="Call it so in the worker's Deployment, or set DECANT_REPLAY_JOB_ROWS=0.",
        )
    mounts = [
        mount
        for mount in worker.get("volumeMounts") or []
        if not mount["name"].startswith(_INJECTED) and mount["mountPath"] != _TOKENS
    ]
    mounted = {mount["name"] for mount in mounts}
    labels = {**LABELS, INSTANCE: name}
    container = {
        "name": CONTAINER,
        **_parts(worker, _OF_CONTAINER),
        "args": ["part", "replay-share", str(replay), "--of", str(shares)],
        "volumeMounts": mounts,
    }
    template = {
        **_parts(spec, _OF_POD),
        **({_ACCOUNT: account} if account else {}),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": spec.get("terminationGracePeriodSeconds", GRACE_S),
        # Each sender uses up to one processor core: rather on different nodes than side by side.
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ],
        "containers": [container],
        "volumes": [copy.deepcopy(one) for one in spec.get("volumes") or [] if one["name"] in mounted],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": shares,
            "parallelism": shares,
            "backoffLimit": RESTARTS_PER_SENDER * shares,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {"metadata": _metadata(pod, labels), "spec": template},
        },
    }


def _metadata(pod: Mapping[str, Any], labels: Mapping[str, str]) -> Object:
    found = pod.get("metadata") or {}
    made = {kind: _parts(found.get(kind) or {}, _OF_METADATA) for kind in ("labels", "annotations")}
    return {"labels": {**made["labels"], **labels}, "annotations": made["annotations"]}


def _parts(found: Mapping[str, Any], names: tuple[str, ...]) -> Object:
    return {name: copy.deepcopy(found[name]) for name in names if name in found}
