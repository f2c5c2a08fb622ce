"""What is wanted of each predictor, since when, and what of it its Deployments must show. Pure.

A move of the split changes no pod. So Decant writes beside the time of the last change another for each predictor, in
one annotation: since when that which its pods are made from has been wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.deployments.kubernetes.ownership import foreign_manager
from services.deployments.kubernetes.times import read_time
from services.deployments.manifest import CHANGED_AT, PODS_CHANGED_AT
from services.domain import Deployment, Predictor, Provenance

Object = Mapping[str, Any]

CARRIED_S = 60.0
"""How long after a change it is waited for to stand in the templates, before it is asked why it does not."""
_AUTOSCALED = ("hpaSpec", "kedaSpec", "replicas")
"""What of a component takes the number of its pods out of the predictor's hands."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One predictor as it is wanted.

    Attributes:
        compared: Decant has read all that its pods are made from, so that a template can be held against it.
        scaled_here: the number of its pods is the predictor's `replicas`, not an autoscaler's or a component's.
        since: when what its pods are made from was changed, or last may have been; None if nobody knows.
        certain: `since` is the time of such a change, and not of one that may have been of the split alone.
        overdue: it has been wanted for so long that the operator must have carried it out.
    """

    predictor: Predictor
    compared: bool = True
    scaled_here: bool = True
    since: datetime | None = None
    certain: bool = False
    overdue: bool = False


def wishes_of(found: Object, deployment: Deployment, changed_at: datetime | None, *, writable: bool) -> list[Wish]:
    """One for each predictor of `deployment`, which `found` was read as.

    Args:
        changed_at: the last change of any kind.
        writable: Decant has read all of it.
    """
    spec = found.get("spec") or {}
    raw = {p.get("name"): p for p in spec.get("predictors") or [] if isinstance(p, Mapping)}
    noted = noted_in(found)
    wishes = []
    for one in deployment.predictors:
        since = noted.get(one.name, changed_at)
        wishes.append(
            Wish(
                one,
                compared=writable,
                scaled_here=_scaled_here(raw.get(one.name) or {}, spec),
                since=since,
                certain=one.name in noted,
                overdue=past(since, CARRIED_S),
            )
        )
    return wishes


def noted_in(found: Object) -> dict[str, datetime]:
    """Since when each predictor's pods are wanted as they are, where Decant has written it and nobody else anything
    since."""
    if foreign_manager(found):
        return {}
    text = str(((found.get("metadata") or {}).get("annotations") or {}).get(PODS_CHANGED_AT, ""))
    read = ((name, read_time(time)) for name, _, time in (entry.partition("=") for entry in text.split()))
    return {name: time for name, time in read if time is not None and time.tzinfo is not None}


def with_times(
    notes: Mapping[str, str],
    wanted: Deployment,
    present: Object | None,
    before: Deployment | None,
    changed_at: datetime | None,
) -> dict[str, str]:
    """The annotations `notes` of a write that makes `before`, read from `present`, into `wanted`, and the times.

    Where no time is known of a predictor that stays as it is, its last change is one that was carried out long ago; one
    of the last minute (`changed_at`) may not have been, and no time is written then.
    """
    known = noted_in(present) if present else {}
    old = _made_from(before) if before else {}
    created = str(((present or {}).get("metadata") or {}).get("creationTimestamp") or "")
    times: dict[str, str] = {}
    for name, pods in _made_from(wanted).items():
        if old.get(name) != pods:
            times[name] = notes[CHANGED_AT]
        elif name in known:
            times[name] = known[name].isoformat()
        elif created and past(changed_at, CARRIED_S):
            times[name] = created
    listed = " ".join(f"{name}={time}" for name, time in times.items())
    return {**notes, PODS_CHANGED_AT: listed}


def past(at: datetime | None, lag_s: float) -> bool:
    """Whether it was that long ago, or nobody knows when."""
    return at is None or at.tzinfo is None or (datetime.now(UTC) - at).total_seconds() >= lag_s


def _made_from(deployment: Deployment) -> dict[str, tuple[str, Predictor]]:
    """Of each predictor what its pods are made from."""
    plain = (replace(p, traffic=0, shadow=False, provenance=Provenance()) for p in deployment.predictors)
    return {p.name: (deployment.protocol, p) for p in plain}


def _scaled_here(predictor: Object, spec: Object) -> bool:
    components = [one for one in predictor.get("componentSpecs") or [] if isinstance(one, Mapping)]
    if any(one.get(key) is not None for one in components for key in _AUTOSCALED):
        return False
    return predictor.get("replicas") is not None or spec.get("replicas") is None
