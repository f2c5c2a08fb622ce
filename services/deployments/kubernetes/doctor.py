"""Gathers what the cluster knows of a predictor's start and has it read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.happenings import told
from services.deployments.kubernetes.logs import log_of
from services.deployments.kubernetes.rolling import rollout_and_pods
from services.deployments.kubernetes.starting import Seen, newest, startup_of
from services.deployments.kubernetes.status import word_of
from services.deployments.kubernetes.wishes import wishes_of
from services.deployments.kubernetes.workloads import Workloads
from services.domain import DeploymentStatus, Phase, Startup
from services.errors import Forbidden

LOG_LINES = 200
EVENTS_READ = 60

Object = Mapping[str, Any]


def way_up(
    cluster: Cluster, copies: Copies, found: Mapping[str, Any], status: DeploymentStatus, predictor: str
) -> Startup:
    """The predictor's start; `status` was read from `found`.

    What the account may not see is left out; raises NotFound for an unknown predictor.
    """
    deployment = status.deployment
    wanted = deployment.predictor(predictor)
    pods, apps_deployments = copies.pods(deployment.namespace), copies.apps_deployments(deployment.namespace)
    workloads = Workloads(deployment, (*pods, *apps_deployments))
    wishes = wishes_of(found, deployment, status.changed_at, writable=not status.unwritable)
    rollout, parts = rollout_and_pods(
        next(one for one in wishes if one.predictor.name == predictor),
        workloads.of_predictor(predictor, pods),
        workloads.of_predictor(predictor, apps_deployments),
    )
    pod = newest(parts.fresh)  # while one model replaces another, the one that has to come up
    said = rollout if rollout and rollout.concerned else None  # else of what was wanted before
    seen = Seen(
        pods=[pod] if pod else [],
        events=_events(copies, status, predictor, workloads),
        log=log_of(cluster, pod, LOG_LINES) if pod else (),
        refused=said.refused if said else "",
        stuck=said.stuck if said else "",
        secret=wanted.env_secret,
        given_up=word_of(found, workloads).failure(predictor),
    )
    budget_s = wanted.start_budget_s
    return startup_of(predictor, seen, ready=status.predictor(predictor).phase is Phase.READY, budget_s=budget_s)


def _events(copies: Copies, status: DeploymentStatus, predictor: str, workloads: Workloads) -> list[str]:
    """Messages of events about the predictor since the deployment was changed."""
    deployment, since = status.deployment, status.changed_at
    try:
        found = told(copies.events(deployment.namespace), deployment.name, workloads)
    except Forbidden:
        return []
    return [e.message for e in found if e.predictor == predictor and _after(e.at, since)][-EVENTS_READ:]


def _after(at: datetime, since: datetime | None) -> bool:
    # Kubernetes writes most event times to the second.
    return since is None or at.replace(microsecond=0) >= since.replace(microsecond=0)
