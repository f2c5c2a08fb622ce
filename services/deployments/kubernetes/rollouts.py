"""How far the pods of a predictor are replaced, by the figures and conditions of its Deployments. Pure.

Kubernetes counts in each Deployment what Seldon's operator does not copy: which generation its figures are of, how many
pods are of the newest template, and why it makes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.deployments.containers import DEADLINE, USUAL_DEADLINE_S
from services.deployments.kubernetes.templates import has_container, holds, other_model, template_of
from services.domain import Predictor

Object = Mapping[str, Any]

CONTROLLER = "waiting for the cluster to look at its Deployment"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The Deployments of one predictor, taken together: the slowest counts.

    Attributes:
        same_model: their templates fetch the wanted model.
        same_template: they hold all else that is wanted, too.
        scaled: they ask for as many pods as are wanted.
        observed: the figures are of the Deployments as they are.
        total, updated, available: pods; of the newest template; that answer, of any template.
        refused: why pods cannot be made; empty: they can.
        stuck: why it is given up for now; empty: it is not.
    """

    same_model: bool
    same_template: bool
    scaled: bool
    observed: bool
    total: int
    updated: int
    available: int
    refused: str = ""
    stuck: str = ""

    def believed(self) -> Rollout:
        """As if the operator had written all of the wish: some of it may stand there in another form than Decant's."""
        return replace(self, same_template=True, scaled=True)

    @property
    def carried(self) -> bool:
        """Whether the operator has written the newest wish into them."""
        return self.same_model and self.same_template and self.scaled

    @property
    def new_ready(self) -> int:
        """Pods of the newest template that answer, at least: pods of before are taken to be among those that do."""
        return max(0, self.available - max(0, self.total - self.updated)) if self.current else 0

    @property
    def old_ready(self) -> int:
        """Pods of before that answer, at most."""
        return self.available - self.new_ready

    @property
    def current(self) -> bool:
        """Whether the figures are of pods that are made as is wanted now."""
        return self.same_model and self.same_template and self.observed

    def complete(self, replicas: int) -> bool:
        """Whether `replicas` pods of the newest template answer and no others are left."""
        return self.observed and self.updated >= replicas and self.total == self.updated and self.available >= replicas


def rollout_of(deployments: Sequence[Object], wanted: Predictor) -> Rollout | None:
    """What a predictor's Deployments say; None without any, or where nobody may see them."""
    named = [one for one in deployments if has_container(template_of(one), wanted.node_name)]
    found = [one for one in named or deployments if not (one.get("metadata") or {}).get("deletionTimestamp")]
    if not found:
        return None
    figures = [one.get("status") or {} for one in found]
    return Rollout(
        same_model=not any(other_model(template_of(one), wanted) for one in found),
        same_template=all(holds(template_of(one), wanted) for one in found),
        scaled=all(_count(one.get("spec") or {}, "replicas", 1) == wanted.replicas for one in found),
        observed=all(observed(one) for one in found),
        total=max(_count(one, "replicas") for one in figures),
        updated=min(_count(one, "updatedReplicas") for one in figures),
        available=min(_count(one, "availableReplicas") for one in figures),
        refused=next((said for one in found if (said := _refused(one))), ""),
        stuck=next((said for one in found if (said := _stuck(one))), ""),
    )


def observed(deployment: Object) -> bool:
    """Whether the figures of a Deployment are of its newest generation."""
    generation = (deployment.get("metadata") or {}).get("generation") or 0
    return _count(deployment.get("status") or {}, "observedGeneration") >= generation


def updated(deployment: Object) -> int | None:
    """How many pods a Deployment has of its newest template; None before anybody has counted."""
    status = deployment.get("status") or {}
    return _count(status, "updatedReplicas") if status and observed(deployment) else None


def progress(replicas: int, ready: int, old: int) -> str:
    """How far the pods are replaced, in words; empty where there is nothing to replace or to wait for.

    Args:
        replicas: pods that are wanted.
        ready: of them, those that answer.
        old: pods of before that still answer.
    """
    if not old and (ready >= replicas or replicas < 2):
        return ""
    words = f"{ready} of {replicas} new pods ready" if replicas != 1 else f"{ready} of 1 new pod ready"
    if not old:
        return words
    return f"{words}, {old} old {'one still answers' if old == 1 else 'ones still answer'}"


def _refused(deployment: Object) -> str:
    """ReplicaFailure: what quota, a webhook or a missing account says to a pod; there are no pods that could tell."""
    found = _condition(deployment, "ReplicaFailure")
    if found.get("status") != "True":
        return ""
    return str(found.get("message") or found.get("reason") or "the cluster does not say why")


def _stuck(deployment: Object) -> str:
    found = _condition(deployment, "Progressing")
    if found.get("status") != "False":
        return ""
    if found.get("reason") != "ProgressDeadlineExceeded":
        return str(found.get("message") or found.get("reason") or "its pods are not replaced any further")
    return f"no progress for {_count(deployment.get('spec') or {}, DEADLINE, USUAL_DEADLINE_S)} s"


def _condition(deployment: Object, kind: str) -> Object:
    listed = (deployment.get("status") or {}).get("conditions") or []
    return next((one for one in listed if one.get("type") == kind), {})


def _count(figures: Object, name: str, default: int = 0) -> int:
    found = figures.get(name, default)
    return found if isinstance(found, int) else default
