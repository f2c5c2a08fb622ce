"""How far one predictor is, while its pods are replaced too: its Deployments' figures, checked against its pods. Pure.

Of each Deployment Seldon's operator copies `replicas` and `availableReplicas` alone, and it never says which wish it
has seen. While a new model comes up the pods of the one before keep that count whole, and just after a write all of its
status is that of before. So the Deployments themselves decide where they can be seen (`rollouts`), and the pods: which
model each fetched, which template it is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.deployments.kubernetes import pods as pod_reading
from services.deployments.kubernetes.rollouts import AWAITED, CONTROLLER, Rollout, progress, rollout_of, updated
from services.deployments.kubernetes.templates import other_model, surplus, template_of
from services.deployments.kubernetes.wishes import Wish
from services.domain import Phase, Predictor, PredictorStatus

Object = Mapping[str, Any]

_ENDING = "older pods end"
_WORST = (Phase.FAILED, Phase.PENDING, Phase.LOADING, Phase.READY)
_TEMPLATE, _WORKLOAD = "pod-template-hash", "app"


@dataclass(frozen=True, slots=True)
class Word:
    """What the operator says of the whole deployment.

    Attributes:
        current: that it is of the newest wish, as far as it tells.
        about: the predictors that the description names; empty: none, so it is about all.
    """

    state: str = ""
    description: str = ""
    current: bool = False
    about: frozenset[str] = frozenset()

    def failed(self, predictor: str) -> bool:
        return self.state == "Failed" and (not self.about or predictor in self.about)

    def failure(self, predictor: str) -> str:
        """What the operator says of a predictor that it gave up; empty where it gave up none or another."""
        return (self.description or "it gave up, and does not say why") if self.failed(predictor) else ""


@dataclass(frozen=True, slots=True)
class Divided:
    """A predictor's pods: those made for the newest wish, and those of what was wanted before. Either may be empty."""

    fresh: tuple[Object, ...] = ()
    before: tuple[Object, ...] = ()


def divided(pods: Sequence[Object], wanted: Predictor, apps_deployments: Sequence[Object] = ()) -> Divided:
    """Tell the pods apart. Those that are being deleted are in neither part, nor are those that have ended
    and are replaced: what a node has put out stays in the list.

    Of before is a pod whose init container fetched another model than the wanted one; all, where the template of their
    Deployment does not hold what is wanted; or one of another template than the newest of its Deployment. Which that is
    the Deployment tells, or else the newest pod. Where no template is named: one that answers and is older than a pod
    that does not, if there are enough without that pod.
    """
    known = {str(_metadata(one).get("name")): one for one in apps_deployments}
    kept = [pod for pod in pods if not _metadata(pod).get("deletionTimestamp")]
    live = [pod for pod in kept if not (_has_ended(pod) and any(_replaces(other, pod) for other in kept))]
    before = [pod for pod in live if other_model(pod, wanted)]
    rest = [pod for pod in live if pod not in before]
    for workload in {_label(pod, _WORKLOAD) for pod in rest}:
        group = [pod for pod in rest if _label(pod, _WORKLOAD) == workload]
        newest = _of_newest_template(group, known.get(workload))
        before += [pod for pod in group if pod not in newest]
        unnamed = [pod for pod in group if not _label(pod, _TEMPLATE)]
        ready = [pod for pod in unnamed if _is_ready(pod)]
        coming = max((_made(pod) for pod in unnamed if not _is_ready(pod)), default=None)
        if coming is not None and len(ready) >= wanted.replicas:
            before += [pod for pod in ready if _made(pod) <= coming and pod not in before]
    return Divided(tuple(pod for pod in rest if pod not in before), tuple(before))


def _of_newest_template(group: Sequence[Object], apps_deployment: Object | None) -> Sequence[Object]:
    """The pods of one Deployment that are made from its newest template; empty where none is yet."""
    by_template: dict[str, list[Object]] = {}
    for pod in group:
        by_template.setdefault(_label(pod, _TEMPLATE), []).append(pod)
    if apps_deployment is not None:
        made = updated(apps_deployment)
        if made == 0:
            return ()
        for certain in (
            _closest(by_template.values(), template_of(apps_deployment)),
            [pods for pods in by_template.values() if len(pods) == made],
        ):
            if len(certain) == 1:
                return certain[0]
    return by_template[_label(max(group, key=_made), _TEMPLATE)]


def _closest(groups: Iterable[list[Object]], template: Object) -> list[list[Object]]:
    """The groups of pods that can be made from the template and have the least that it has not."""
    extra = [(most, pods) for pods in groups if (most := _most_surplus(pods, template)) is not None]
    least = min((most for most, _ in extra), default=0)
    return [pods for most, pods in extra if most == least]


def _most_surplus(pods: Sequence[Object], template: Object) -> int | None:
    found = [surplus(pod, template) for pod in pods]
    return max((one for one in found if one is not None), default=None) if None not in found else None


def rollout_and_pods(
    wish: Wish, pods: Sequence[Object], apps_deployments: Sequence[Object]
) -> tuple[Rollout | None, Divided]:
    """What a predictor's Deployments and pods say together.

    As long as the operator may be about to write the template, no pod is one of those that are wanted.
    """
    rollout = rollout_of(apps_deployments, wish)
    parts = divided(pods, wish.predictor, apps_deployments)
    if rollout and rollout.missing and not rollout.overdue:
        parts = Divided((), (*parts.fresh, *parts.before))
    return rollout, parts


def predictor_status(
    wish: Wish,
    counts: Sequence[Object],
    pods: Sequence[Object],
    word: Word,
    apps_deployments: Sequence[Object] = (),
) -> PredictorStatus:
    """One predictor, as far as its own counts, Deployments and pods tell.

    Args:
        counts: the operator's figures of the predictor's Deployments.
        pods: the predictor's pods; empty where there are none or nobody may look.
        apps_deployments: its Deployments; likewise.
    """
    rollout, parts = rollout_and_pods(wish, pods, apps_deployments)
    wanted = wish.predictor if wish.scaled_here or not rollout else replace(wish.predictor, replicas=rollout.asked)
    awaited = rollout.awaited if rollout else AWAITED
    views = [pod_reading.view(pod) for pod in parts.fresh]
    available = rollout.available if rollout else min((int(c.get("availableReplicas") or 0) for c in counts), default=0)
    enough = bool(counts or rollout) and available >= wanted.replicas
    seen = bool(parts.fresh or parts.before)
    up, old = _answering(parts, views, available, rollout)
    current = word.current and (rollout is None or rollout.carried)
    worst = min(views, key=lambda v: _WORST.index(v.phase), default=None)

    def at(phase: Phase, reason: str = "", *, updating: bool = bool(old)) -> PredictorStatus:
        ready = min(up, wanted.replicas)
        words = progress(wanted.replicas, ready, old)
        return PredictorStatus(wanted.name, phase, ready, wanted.replicas, reason, updating=updating, progress=words)

    if (
        enough
        and up >= wanted.replicas
        and not word.failed(wanted.name)
        and (seen or rollout or word.state == "Available")
    ):
        if not current:
            return at(Phase.READY, awaited, updating=True)
        if rollout and not rollout.complete(wanted.replicas):
            return at(Phase.READY, _ENDING if rollout.observed else CONTROLLER, updating=True)
        return at(Phase.READY, _ENDING if old else "")
    told = rollout if rollout and rollout.concerned else None
    if told and told.refused:
        return at(Phase.FAILED, f"pods cannot be made: {told.refused}")
    stuck = told.stuck if told else ""
    if worst is not None and worst.phase is not Phase.READY:
        reason = f"{worst.name}: {worst.reason}"
        return at(Phase.FAILED, f"{stuck}: {reason}") if stuck else at(worst.phase, reason)
    if stuck:
        return at(Phase.FAILED, stuck)
    if word.failed(wanted.name):
        return at(Phase.FAILED, word.description or "Seldon's operator gave up", updating=available > 0)
    if word.state == "Failed" and not (seen or rollout):
        return at(Phase.PENDING, f"not made yet: Seldon's operator failed at {' and '.join(sorted(word.about))}")
    if not current or (enough and not views and not rollout):
        phase = Phase.LOADING if enough and word.current and not seen and not rollout else Phase.PENDING
        return at(phase, awaited, updating=bool(old) or (available > 0 and not seen))
    if rollout and not rollout.observed:
        return at(Phase.PENDING, CONTROLLER)
    coming = bool(views or (rollout and rollout.updated))
    phase = Phase.LOADING if coming or counts else Phase.PENDING
    return at(phase, "its pods become ready" if coming else "waiting for its pods")


def _answering(
    parts: Divided, views: Sequence[pod_reading.PodView], available: int, rollout: Rollout | None
) -> tuple[int, int]:
    """How many pods of the wanted template answer, and how many of before."""
    if parts.fresh or parts.before:
        ready = sum(view.phase is Phase.READY for view in views)
        return min(available, ready), sum(_is_ready(pod) for pod in parts.before)
    return (rollout.new_ready, rollout.old_ready) if rollout else (available, 0)


def confirmed(found: Sequence[PredictorStatus], word: Word) -> tuple[PredictorStatus, ...]:
    """All predictors: where each seems ready and the operator does not call the deployment available, none is sure.

    An arm without replicas keeps the operator from ever saying so: then the arms stand for themselves.
    """
    sure = word.state == "Available" or any(p.desired == 0 for p in found)
    if sure or not all(p.phase is Phase.READY and not p.updating for p in found):
        return tuple(found)
    return tuple(replace(p, reason=AWAITED, updating=True) for p in found)


def _is_ready(pod: Object) -> bool:
    return pod_reading.view(pod).phase is Phase.READY


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def _replaces(other: Object, ended: Object) -> bool:
    """Whether a pod was made from the template of one that has ended, after it."""
    same = all(_label(other, name) == _label(ended, name) for name in (_WORKLOAD, _TEMPLATE))
    return same and not _has_ended(other) and _made(other) > _made(ended)


def _metadata(pod: Object) -> Object:
    return pod.get("metadata") or {}


def _label(pod: Object, name: str) -> str:
    return str((_metadata(pod).get("labels") or {}).get(name, ""))


def _made(pod: Object) -> str:
    return str(_metadata(pod).get("creationTimestamp") or "")
