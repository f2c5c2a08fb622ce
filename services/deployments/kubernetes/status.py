"""DeploymentStatus from what the cluster holds: the SeldonDeployment, its pods, the routes of the ingress. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.deployments.kubernetes.ownership import foreign_manager
from services.deployments.kubernetes.rolling import Word, confirmed, predictor_status
from services.deployments.kubernetes.times import read_time
from services.deployments.kubernetes.wishes import past, wishes_of
from services.deployments.kubernetes.workloads import Workloads
from services.deployments.kubernetes.zero import leaking
from services.deployments.manifest import CHANGED_AT, CHANGED_BY, NONCE, from_manifest
from services.domain import SELDON, V2, Deployment, DeploymentStatus, Predictor, Split
from services.errors import InvalidDeployment, InvalidInput

Object = Mapping[str, Any]

ROUTES_LAG_S = 10.0
"""How long after a change the ingress may hold the split of before without anything being wrong."""


def version_of(found: Object) -> str:
    """Changes when somebody changes what is wanted, and not when the operator writes what is.

    The generation counts changes of the spec by anybody; the nonce makes two writes of the same spec differ.
    """
    metadata = found.get("metadata") or {}
    parts = (metadata.get("uid"), metadata.get("generation"), (metadata.get("annotations") or {}).get(NONCE))
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:12]


def deployment_of(found: Object) -> tuple[Deployment, str]:
    """The deployment, and why Decant can show but not replace it ("" where it can)."""
    try:
        return from_manifest(found), ""
    except InvalidDeployment as error:
        return _outline(found), f"It holds what Decant does not write: {error.problems[0]}."
    except InvalidInput as error:
        return _outline(found), f"It holds what Decant does not write. {error.sentence}"


def check_writable(found: Object) -> None:
    """Raises InvalidInput for a deployment that Decant could neither write nor bring back."""
    deployment, unwritable = deployment_of(found)
    if unwritable:
        raise InvalidInput(
            f"Deployment “{deployment.key}” can be neither replaced nor deleted here. {unwritable}",
            "Its traffic can be moved; change the rest where it was made.",
        )


def change_of(found: Object) -> tuple[str, datetime | None]:
    """Who changed what is wanted last, and when: from Decant's annotations, else from the field managers."""
    metadata = found.get("metadata") or {}
    if other := foreign_manager(found):
        times = [e.get("time") for e in metadata.get("managedFields") or [] if e.get("manager") == other]
        return other, read_time(max((t for t in times if t), default=metadata.get("creationTimestamp")))
    notes = metadata.get("annotations") or {}
    return str(notes.get(CHANGED_BY, "")), read_time(notes.get(CHANGED_AT) or metadata.get("creationTimestamp"))


def status_of(
    found: Object,
    pods: Sequence[Object],
    routed: Split | None,
    notice: str = "",
    apps_deployments: Sequence[Object] = (),
) -> DeploymentStatus:
    """Put together what is known of one deployment.

    Args:
        pods: Seldon's pods in its namespace; others' are passed over.
        routed: the split that the ingress holds, if it could be read.
        notice: a sentence that concerns the reading itself, such as a watch that is down.
        apps_deployments: the Deployments that Seldon's operator made in its namespace, as `pods`.
    """
    deployment, unwritable = deployment_of(found)
    metadata, status = found.get("metadata") or {}, found.get("status") or {}
    workloads = Workloads(deployment, (*pods, *apps_deployments))
    counts: dict[str, list[Object]] = {p.name: [] for p in deployment.predictors}
    for workload, count in (status.get("deploymentStatus") or {}).items():
        if owner := workloads.of(str(workload)):
            counts[owner].append(count)
    word = word_of(found, workloads)
    who, when = change_of(found)
    done = word.current and status.get("state") == "Available" and _routes_due(status, when)
    leaks = leaking(deployment, routed) if done else ""
    return DeploymentStatus(
        deployment=deployment,
        version=version_of(found),
        predictors=confirmed(
            [
                predictor_status(
                    wish,
                    counts[wish.predictor.name],
                    workloads.of_predictor(wish.predictor.name, pods),
                    word,
                    workloads.of_predictor(wish.predictor.name, apps_deployments),
                )
                for wish in wishes_of(found, deployment, when, writable=not unwritable)
            ],
            word,
        ),
        in_force=_in_force(deployment, status, routed, word.current),
        changed_by=who,
        changed_at=when,
        deleting=bool(metadata.get("deletionTimestamp")),
        message=" ".join(part for part in (leaks, notice, _said(status)) if part),
        unwritable=unwritable,
        managed_by=foreign_manager(found),
    )


def word_of(found: Object, workloads: Workloads) -> Word:
    """What Seldon's operator says of the deployment."""
    status = found.get("status") or {}
    description = str(status.get("description") or "")
    return Word(str(status.get("state") or ""), description, _current(found), workloads.named_in(description))


def _current(found: Object) -> bool:
    """Whether the operator's status is about the newest wish. Seldon's never says so: pods and routes tell."""
    status = found.get("status") or {}
    if not status.get("state"):
        return False
    observed = status.get("observedGeneration")
    return observed is None or observed >= (found.get("metadata") or {}).get("generation", 0)


def _routes_due(status: Object, changed_at: datetime | None) -> bool:
    """Whether the routes must be those of the newest wish by now: an operator that does not say of which wish its
    status is gets some time."""
    return status.get("observedGeneration") is not None or past(changed_at, ROUTES_LAG_S)


def _in_force(deployment: Deployment, status: Object, routed: Split | None, current: bool) -> Split | None:
    if routed is not None:
        return routed
    # Without routes to read, the operator's word is the best there is.
    return deployment.split if current and status.get("state") == "Available" else None


def _said(status: Object) -> str:
    """What the operator complains about."""
    if status.get("state") == "Failed" and status.get("description"):
        return f"Seldon's operator: {status['description']}."
    wrong = [
        str(c.get("message") or c.get("reason") or c.get("type"))
        for c in status.get("conditions") or []
        if c.get("status") == "False" and c.get("message")
    ]
    return f"Seldon's operator: {wrong[0]}." if wrong else ""


def _outline(found: Object) -> Deployment:
    """What can be shown of a deployment that is not one MLflow model per predictor."""
    metadata = found.get("metadata") or {}
    predictors = [p for p in (found.get("spec") or {}).get("predictors") or [] if isinstance(p, Mapping)]
    return Deployment(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        predictors=tuple(
            Predictor(
                name=str(p.get("name", "")),
                model_uri=str((p.get("graph") or {}).get("modelUri") or ""),
                traffic=_whole(p.get("traffic"), 100 if len(predictors) == 1 else 0),
                replicas=_whole(p.get("replicas"), 1),
                shadow=bool(p.get("shadow", False)),
                node=str((p.get("graph") or {}).get("name") or ""),  # what its answers are signed with
            )
            for p in predictors
        ),
        annotations=tuple(sorted((metadata.get("annotations") or {}).items())),
        protocol=V2 if (found.get("spec") or {}).get("protocol") in (V2, "kfserving") else SELDON,
    )


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
