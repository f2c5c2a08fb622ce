"""How far one predictor is, while its pods are replaced too: what the operator counts, checked against its pods. Pure.

Of each Deployment Seldon's operator copies `replicas` and `availableReplicas` alone, and it never says which wish it
has seen. While a new model comes up the pods of the one before keep that count whole, and just after a write all of its
status is that of before. So the pods decide where they can be seen: which model each fetched, which template it is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.deployments.kubernetes import pods as pod_reading
from services.domain import Phase, Predictor, PredictorStatus

Object = Mapping[str, Any]

AWAITED = "waiting for Seldon's operator"
_WORST = (Phase.FAILED, Phase.PENDING, Phase.LOADING, Phase.READY)
_INITIALIZER = "-model-initializer"
_TEMPLATE, _WORKLOAD = "pod-template-hash", "app"
_MAX_NAME = 63


@dataclass(frozen=True, slots=True)
class Word:
    """What the operator says of the whole deployment. `current`: of the newest wish, as far as it tells."""

    state: str = ""
    description: str = ""
    current: bool = False


@dataclass(frozen=True, slots=True)
class Divided:
    """A predictor's pods: those made for the newest wish, and those of what was wanted before. Either may be empty."""

    fresh: tuple[Object, ...] = ()
    before: tuple[Object, ...] = ()


def divided(pods: Sequence[Object], wanted: Predictor) -> Divided:
    """Tell the pods apart. Those that are being deleted are in neither part.

    Of before is a pod whose init container fetched another model than the wanted one; or one of another template than
    the newest pod of the same Deployment; or, where no template is named, one that answers and is older than a pod that
    does not, if there are enough without that pod.
    """
    live = [pod for pod in pods if not _metadata(pod).get("deletionTimestamp")]
    before = [pod for pod in live if _other_model(pod, wanted)]
    rest = [pod for pod in live if pod not in before]
    for workload in {_label(pod, _WORKLOAD) for pod in rest}:
        group = [pod for pod in rest if _label(pod, _WORKLOAD) == workload]
        latest = _label(max(group, key=_made), _TEMPLATE)
        before += [pod for pod in group if _label(pod, _TEMPLATE) != latest]
        unnamed = [pod for pod in group if not _label(pod, _TEMPLATE)]
        ready = [pod for pod in unnamed if _is_ready(pod)]
        coming = max((_made(pod) for pod in unnamed if not _is_ready(pod)), default=None)
        if coming is not None and len(ready) >= wanted.replicas:
            before += [pod for pod in ready if _made(pod) <= coming and pod not in before]
    return Divided(tuple(pod for pod in rest if pod not in before), tuple(before))


def predictor_status(
    wanted: Predictor, counts: Sequence[Object], pods: Sequence[Object], word: Word
) -> PredictorStatus:
    """One predictor, as far as its own counts and pods tell.

    Args:
        counts: the operator's figures of the predictor's Deployments.
        pods: the predictor's pods; empty where there are none or nobody may look.
    """
    parts = divided(pods, wanted)
    views = [pod_reading.view(pod) for pod in parts.fresh]
    available = min((int(c.get("availableReplicas") or 0) for c in counts), default=0)
    enough = bool(counts) and available >= wanted.replicas
    seen = bool(parts.fresh or parts.before)
    up = min(available, sum(v.phase is Phase.READY for v in views)) if seen else available
    old_answers = any(_is_ready(pod) for pod in parts.before)
    worst = min(views, key=lambda v: _WORST.index(v.phase), default=None)

    def at(phase: Phase, reason: str = "", *, updating: bool = old_answers) -> PredictorStatus:
        return PredictorStatus(wanted.name, phase, min(up, wanted.replicas), wanted.replicas, reason, updating=updating)

    if enough and up >= wanted.replicas and word.state != "Failed" and (seen or word.state == "Available"):
        if word.current:
            return at(Phase.READY, "the pods of the model before end" if old_answers else "")
        return at(Phase.READY, AWAITED, updating=True)
    if worst is not None and worst.phase is not Phase.READY:
        return at(worst.phase, f"{worst.name}: {worst.reason}")
    if word.state == "Failed":
        return at(Phase.FAILED, word.description or "Seldon's operator gave up", updating=available > 0)
    if not word.current or (enough and not views):
        phase = Phase.LOADING if enough and word.current and not seen else Phase.PENDING
        return at(phase, AWAITED, updating=old_answers or (available > 0 and not seen))
    phase = Phase.LOADING if views or counts else Phase.PENDING
    return at(phase, "its pods become ready" if views else "waiting for its pods")


def confirmed(found: Sequence[PredictorStatus], word: Word) -> tuple[PredictorStatus, ...]:
    """All predictors: where each seems ready and the operator does not call the deployment available, none is sure.

    An arm without replicas keeps the operator from ever saying so: then the arms stand for themselves.
    """
    sure = word.state == "Available" or any(p.desired == 0 for p in found)
    if sure or not all(p.phase is Phase.READY and not p.updating for p in found):
        return tuple(found)
    return tuple(replace(p, reason=AWAITED, updating=True) for p in found)


def _other_model(pod: Object, wanted: Predictor) -> bool:
    """Whether the pod says that it fetched something else. Seldon's init container has the place as its argument."""
    name = f"{wanted.node_name}{_INITIALIZER}"[:_MAX_NAME].removesuffix("-")
    for container in (pod.get("spec") or {}).get("initContainers") or []:
        if container.get("name") == name and container.get("args") and wanted.model_uri:
            return str(container["args"][0]).rstrip("/") != _fetched_from(wanted.model_uri).rstrip("/")
    return False


def _fetched_from(uri: str) -> str:
    """A volume claim is mounted, and the model copied from there."""
    if not uri.startswith("pvc://"):
        return uri
    return f"/mnt/pvc/{uri.removeprefix('pvc://').partition('/')[2]}"


def _is_ready(pod: Object) -> bool:
    return pod_reading.view(pod).phase is Phase.READY


def _metadata(pod: Object) -> Object:
    return pod.get("metadata") or {}


def _label(pod: Object, name: str) -> str:
    return str((_metadata(pod).get("labels") or {}).get(name, ""))


def _made(pod: Object) -> str:
    return str(_metadata(pod).get("creationTimestamp") or "")
