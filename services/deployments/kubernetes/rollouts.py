"""How far the pods of a predictor are replaced, by the figures and conditions of its Deployments. Pure.

Kubernetes counts in each Deployment what Seldon's operator does not copy: which generation its figures are of, how many
pods are of the newest template, and why it makes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.deployments.containers import DEADLINE, USUAL_DEADLINE_S
from services.deployments.kubernetes.templates import has_container, missing, other_model, template_of
from services.deployments.kubernetes.times import read_time
from services.deployments.kubernetes.wishes import Wish

Object = Mapping[str, Any]

AWAITED = "waiting for Seldon's operator"
CONTROLLER = "waiting for the cluster to look at its Deployment"
SKEW = timedelta(seconds=10)
"""How far Decant's clock may be ahead of the API server's."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The Deployments of one predictor, taken together: the slowest counts.

    Attributes:
        same_model: their templates fetch the wanted model.
        missing: what else their templates do not hold of what is wanted, in words.
        scaled: they ask for as many pods as are wanted, or something else than the predictor decides how many.
        asked: how many they ask for.
        overdue: what is wanted must have been written into them by now.
        observed: the figures are of the Deployments as they are.
        total, updated, available: pods; of the newest template; that answer, of any template.
        refused: why pods cannot be made; empty: they can.
        stuck: why it is given up for now; empty: it is not.
    """

    same_model: bool
    missing: tuple[str, ...]
    scaled: bool
    asked: int
    overdue: bool
    observed: bool
    total: int
    updated: int
    available: int
    refused: str = ""
    stuck: str = ""

    @property
    def carried(self) -> bool:
        """Whether the operator has written the newest wish into them."""
        return self.same_model and not self.missing and self.scaled

    @property
    def awaited(self) -> str:
        """What it is waited for while it is not carried: in the end what is not done, as the operator may be down."""
        lacks = [] if self.same_model else ["the model"]
        lacks += [*self.missing, *([] if self.scaled else ["the number of replicas"])]
        if not self.overdue or not lacks:
            return AWAITED
        listed = " and ".join(part for part in (", ".join(lacks[:-1]), lacks[-1]) if part)
        verb = "was" if len(lacks) == 1 and not lacks[0].endswith("parameters") else "were"
        return f"the Deployment does not hold {listed} that {verb} asked for; does Seldon's operator run?"

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
        """Whether the figures are of pods as they are wanted now; those that will stay for want of better count too."""
        return self.same_model and self.observed and (self.overdue or not self.missing)

    @property
    def concerned(self) -> bool:
        """Whether its complaints are about what is wanted now."""
        return self.current and (self.overdue or self.scaled)

    def complete(self, replicas: int) -> bool:
        """Whether `replicas` pods of the newest template answer and no others are left."""
        return self.observed and self.updated >= replicas and self.total == self.updated and self.available >= replicas


def rollout_of(apps_deployments: Sequence[Object], wish: Wish) -> Rollout | None:
    """What a predictor's Deployments say; None without any, or where nobody may see them.

    What the templates lack counts as there, in another form than Decant compares, once the operator has written them
    since it was asked for; and after a while where nobody knows when that was.
    """
    wanted = wish.predictor
    named = [one for one in apps_deployments if has_container(template_of(one), wanted.node_name)]
    found = [one for one in named or apps_deployments if not (one.get("metadata") or {}).get("deletionTimestamp")]
    if not found:
        return None
    figures = [one.get("status") or {} for one in found]
    asked = [_count(one.get("spec") or {}, "replicas", 1) for one in found]
    lacks = [words for one in found for words in missing(template_of(one), wanted)] if wish.compared else []
    if wish.overdue and (not wish.certain or all(written_since(one, wish.since) for one in found)):
        lacks = []
    return Rollout(
        same_model=not any(other_model(template_of(one), wanted) for one in found),
        missing=tuple(dict.fromkeys(lacks)),
        scaled=not wish.scaled_here or all(one == wanted.replicas for one in asked),
        asked=min(asked),
        overdue=wish.overdue,
        observed=all(observed(one) for one in found),
        total=max(_count(one, "replicas") for one in figures),
        updated=min(_count(one, "updatedReplicas") for one in figures),
        available=min(_count(one, "availableReplicas") for one in figures),
        refused=next((said for one in found if (said := _refused(one))), ""),
        stuck=next((said for one in found if (said := _stuck(one))), ""),
    )


def written_since(deployment: Object, since: datetime | None) -> bool:
    """Whether the operator has written a Deployment since then, for whatever reason: it brings all of it up to date.

    Nobody else writes templates but who restarts pods by hand, with kubectl.
    """
    times = [
        read_time(entry.get("time"))
        for entry in (deployment.get("metadata") or {}).get("managedFields") or []
        if not entry.get("subresource")
        and not str(entry.get("manager", "")).startswith("kubectl")
        and "f:template" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return since is None or any(time >= since - SKEW for time in times if time is not None)


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
