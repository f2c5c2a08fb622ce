"""The controller's hand on the gateway: in which order clusters and routes may change so that no request falls between.

A cluster must exist before a route leads to it and may go only when none does. The steps are taken from what is in
force now, so it does not matter where an earlier pass was interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from services.domain import Deployment, Split
from services.errors import Unavailable
from services.runtime.controller.plan import GatewayView
from services.runtime.controller.routing import ROUTES, Force, plan_routes
from services.runtime.envoy.admin import EnvoyAdmin
from services.runtime.envoy.bootstrap import admin_socket
from services.runtime.envoy.files import EnvoyFiles
from services.runtime.envoy.model import GatewayDeployment, GatewayPredictor, Upstream, cluster_name
from services.settings import Settings

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
Ports = Mapping[tuple[str, str, str], tuple[int, ...]]
"""Ports by (namespace, deployment, predictor)."""


class GatewayHand:
    """Reads what is in force and moves it towards what is wanted."""

    def __init__(self, settings: Settings) -> None:
        self._files = EnvoyFiles(settings)
        self._admin = EnvoyAdmin(admin_socket(settings))

    def look(self, runs: bool) -> Force:
        """`runs` is the supervisor's word on the process."""
        if runs:
            try:
                version = self._admin.routes_version()
                return Force(True, True, self._admin.splits(), self._admin.upstreams(), version)
            except Unavailable as error:
                log.info("the gateway cannot be asked yet: %s", error)
        return Force(runs, False, {}, {}, "")

    def view(self, force: Force, namespace: str, deployment: str, predictor: str) -> GatewayView:
        """What the gateway holds for one predictor: the clusters of both routes count, since both may send requests."""
        names = [cluster_name(route, namespace, deployment, predictor) for route in ROUTES]
        written = self._written(names)
        if not force.runs:
            return GatewayView(written)
        if not force.answers:
            return GatewayView(written, None)
        present = [force.upstreams[name] for name in names if name in force.upstreams]
        known = frozenset(u.port for hosts in present for u in hosts)
        sick = {u.port for hosts in present for u, healthy in hosts.items() if not healthy}
        everywhere = [frozenset(u.port for u in hosts) for hosts in present]
        healthy = frozenset.intersection(*everywhere) - sick if everywhere else frozenset()
        return GatewayView(written, known, frozenset(healthy))

    def move_routes(self, deployments: Mapping[str, Deployment], force: Force) -> Mapping[str, str]:
        """Put the wanted splits in force, as far as they can be; for each other deployment, what it waits for.

        While Envoy is down the order does not matter: it reads both files before it serves.
        """
        if force.runs and not force.answers:
            return dict.fromkeys(deployments, "The gateway does not answer.")
        plan = plan_routes(deployments, force)
        self._files.write_routes(plan.deployments)
        return plan.waiting

    def routes_in_force(self, force: Force) -> bool:
        """Whether the routes on file are the ones Envoy uses."""
        return force.answers and force.routes_version == self._files.routes_version

    def move_clusters(self, deployments: Mapping[str, Deployment], ports: Ports, force: Force) -> bool:
        """Give the gateway these processes. Clusters that a route in force still uses are kept with what they have."""
        wanted = {key: _gateway_deployment(d, ports) for key, d in deployments.items()}
        for key, split in force.splits.items():
            wanted[key] = self._keep(wanted.get(key), key, split)
        return self._files.write_clusters(list(wanted.values()))

    def _keep(self, wanted: GatewayDeployment | None, key: str, split: Split) -> GatewayDeployment:
        """`wanted` plus the live arms that the split in force still needs."""
        namespace, _, deployment = key.partition("/")
        have = {p.name for p in wanted.live} if wanted else set()
        extra = []
        for name, share in split.shares:
            if name not in have:
                old = self._written([cluster_name("split", namespace, deployment, name)])
                upstreams = tuple(Upstream(HOST, port) for port in sorted(old))
                extra.append(GatewayPredictor(name, 0 if wanted else share, False, upstreams))
        if wanted is None:
            return GatewayDeployment(namespace, deployment, tuple(extra))
        # A live arm that is about to become the shadow keeps the clusters of a live one, which a shadow can use too.
        kept = tuple(p for p in wanted.predictors if p.name not in {e.name for e in extra})
        return replace(wanted, predictors=(*kept, *extra)) if extra else wanted

    def _written(self, names: list[str]) -> frozenset[int]:
        written = self._files.written_upstreams()
        return frozenset(u.port for name in names for u in written.get(name, ()))


def _gateway_deployment(deployment: Deployment, ports: Ports) -> GatewayDeployment:
    return GatewayDeployment(
        deployment.namespace,
        deployment.name,
        tuple(
            GatewayPredictor(
                p.name,
                p.traffic,
                p.shadow,
                tuple(Upstream(HOST, port) for port in ports.get((deployment.namespace, deployment.name, p.name), ())),
            )
            for p in deployment.predictors
        ),
    )
