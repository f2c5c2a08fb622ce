"""Which routes the gateway shall have next. Pure: from the wanted deployments and what is in force.

A route moves when moving it harms nobody. An arm that gets no traffic yet gets its share only once it can serve, so
adding an arm or naming all arms anew is blue/green as a whole: until then the split in force stays. An arm that has
traffic keeps it though it may be down: whether to take it away is for people to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.domain import Deployment, Split
from services.runtime.envoy.model import GatewayDeployment, GatewayPredictor, Route, Upstream, cluster_name

ROUTES: tuple[Route, ...] = ("split", "pin")


@dataclass(frozen=True, slots=True)
class Force:
    """What the gateway has in force. `answers` is False when it runs but cannot be asked."""

    runs: bool
    answers: bool
    splits: Mapping[str, Split]
    upstreams: Mapping[str, Mapping[Upstream, bool]]
    routes_version: str


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """The routes to write, and for each deployment whose wanted split has to wait, what for, in words."""

    deployments: tuple[GatewayDeployment, ...]
    waiting: Mapping[str, str]


def plan_routes(wanted: Mapping[str, Deployment], force: Force) -> RoutePlan:
    """Plan all routes at once; one deployment that has to wait holds up no other."""
    routed: list[GatewayDeployment] = []
    waiting: dict[str, str] = {}
    for key, deployment in wanted.items():
        target = without_upstreams(deployment)
        why = _must_wait(deployment, target, force) if force.runs else ""
        if not why:
            routed.append(target)
            continue
        waiting[key] = why
        if key in force.splits:
            routed.append(_as_in_force(target, force.splits[key], force))
    return RoutePlan(tuple(routed), waiting)


def without_upstreams(deployment: Deployment) -> GatewayDeployment:
    """The deployment as far as routes are concerned."""
    arms = tuple(GatewayPredictor(p.name, p.traffic, p.shadow) for p in deployment.predictors)
    return GatewayDeployment(deployment.namespace, deployment.name, arms)


def clusters_of(deployment: GatewayDeployment) -> Iterator[str]:
    """Names of the clusters that the routes of a deployment lead to."""
    for predictor in deployment.predictors:
        for route in ROUTES[1:] if predictor.shadow else ROUTES:
            yield cluster_name(route, deployment.namespace, deployment.name, predictor.name)


def _must_wait(deployment: Deployment, target: GatewayDeployment, force: Force) -> str:
    if not set(clusters_of(target)) <= set(force.upstreams):
        return "The split waits for the gateway to know every arm."
    in_force = force.splits.get(deployment.key)
    if in_force is None:
        return ""  # a new deployment: there is nothing to keep in service
    before = in_force.as_dict()
    unready = [
        p.name
        for p in deployment.live
        if p.traffic and p.replicas and not before.get(p.name) and not _serves(deployment, p.name, force)
    ]
    if not unready:
        return ""
    names = " and ".join(unready)
    return f"The split {in_force} stays in force until {names} {'is' if len(unready) == 1 else 'are'} ready."


def _serves(deployment: Deployment, predictor: str, force: Force) -> bool:
    hosts = force.upstreams.get(cluster_name("split", deployment.namespace, deployment.name, predictor), {})
    return any(hosts.values())


def _as_in_force(target: GatewayDeployment, split: Split, force: Force) -> GatewayDeployment:
    """The routes that are in force now, together with the wanted shadows that could already be fed."""
    live = [GatewayPredictor(name, share) for name, share in split.shares]
    shadows = [
        p
        for p in target.shadows
        if p.name not in split.names and cluster_name("pin", target.namespace, target.name, p.name) in force.upstreams
    ]
    return GatewayDeployment(target.namespace, target.name, (*live, *shadows))
