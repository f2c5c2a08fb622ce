"""One pass of the controller: look at what is desired and what runs, take the next step, write down what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from services.domain import Deployment, Phase, Predictor, PredictorStatus
from services.runtime import prometheus
from services.runtime.controller.fleet import ArmKey, Fleet, Probes, Processes, runs
from services.runtime.controller.gateway import GatewayHand
from services.runtime.controller.journal import Journal, Wanted
from services.runtime.controller.observe import PROBE_THREADS, probe_all
from services.runtime.controller.plan import ArmPlan, Observed, plan_arm
from services.runtime.controller.replicas import Replica, revision_of
from services.runtime.controller.routing import Force
from services.runtime.sockets import socket_path
from services.runtime.supervisor.client import SupervisorClient
from services.settings import Settings

GATEWAY_PROGRAM = "envoy"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One predictor in one pass."""

    predictor: Predictor
    plan: ArmPlan
    status: PredictorStatus


class Controller:
    """Makes what runs equal to what is desired. Holds no state that matters: it may be killed at any point."""

    def __init__(self, settings: Settings, read_desired: Callable[[], list[Wanted]]) -> None:
        self._paths = settings.paths
        self._read_desired = read_desired
        self._supervisor = SupervisorClient(socket_path(settings.paths.supervisor_socket))
        self._gateway = GatewayHand(settings)
        self._fleet = Fleet(settings, self._supervisor)
        self._journal = Journal(settings.paths)
        self._pool = ThreadPoolExecutor(PROBE_THREADS)

    def step(self) -> bool:
        """Take one step. Returns True when nothing is left to do until something changes."""
        wanted = {w.deployment.key: w for w in self._read_desired()}
        deployments = {key: w.deployment for key, w in wanted.items()}
        processes = self._supervisor.processes()
        force = self._gateway.look(runs(processes, GATEWAY_PROGRAM))
        # First of all, because a moved split needs nothing but this.
        waiting = self._gateway.move_routes(deployments, force)

        replicas = self._fleet.replicas()
        self._fleet.start_missing(replicas, processes)
        probes = probe_all(self._pool, replicas)
        self._fleet.tend(replicas, probes, processes, _budgets_s(deployments.values()))

        arms = self._arms(deployments, replicas, probes, processes, force)
        orphans = self._orphans(arms, replicas, force)
        missing = {key: (arm.predictor, arm.plan.create) for key, arm in arms.items()}
        created = self._fleet.create(missing, replicas)
        changed = self._gateway.move_clusters(deployments, {key: arm.plan.ports for key, arm in arms.items()}, force)
        retired = self._fleet.retire([*orphans, *(r for arm in arms.values() for r in arm.plan.retire)])

        remaining = self._fleet.replicas()
        prometheus.write_targets(self._paths, remaining)
        statuses = {
            key: tuple(arms[d.namespace, d.name, p.name].status for p in d.predictors) for key, d in deployments.items()
        }
        self._journal.write(wanted, statuses, waiting)
        self._journal.close(wanted, remaining, force.splits)

        if created or changed or retired or not self._gateway.routes_in_force(force):
            return False
        # Who waits for an arm that failed will wait long: no need to look twenty times a second.
        stuck = {"/".join(key[:2]) for key, arm in arms.items() if arm.status.phase is Phase.FAILED}
        still = all(arm.status.phase in {Phase.READY, Phase.FAILED} for arm in arms.values())
        switching = any(arm.plan.switching and arm.status.phase is Phase.READY for arm in arms.values())
        return still and not switching and not orphans and set(waiting) <= stuck

    def _arms(
        self,
        deployments: Mapping[str, Deployment],
        replicas: Iterable[Replica],
        probes: Probes,
        processes: Processes,
        force: Force,
    ) -> dict[ArmKey, _Arm]:
        arms = {}
        for deployment in deployments.values():
            for predictor in deployment.predictors:
                key = (deployment.namespace, deployment.name, predictor.name)
                mine = [r for r in replicas if (r.namespace, r.deployment, r.predictor) == key]
                arms[key] = self._arm(key, predictor, mine, probes, processes, force)
        return arms

    def _arm(
        self,
        key: ArmKey,
        predictor: Predictor,
        mine: Iterable[Replica],
        probes: Probes,
        processes: Processes,
        force: Force,
    ) -> _Arm:
        observed = [Observed(r, probes[r.program].ready, r.program in self._fleet.failures) for r in mine]
        view = self._gateway.view(force, *key)
        plan = plan_arm(revision_of(predictor), predictor.replicas, observed, view)
        # Loaded is not enough: a client is served only once the gateway has found the replica healthy.
        served = sum(o.ready and (not force.answers or o.replica.port in view.healthy) for o in plan.current)
        status = self._status(predictor, plan, served, probes, processes)
        if plan.create and key in self._fleet.homeless:
            status = replace(status, phase=Phase.FAILED, reason=self._fleet.homeless[key])
        return _Arm(predictor, plan, status)

    def _status(
        self, predictor: Predictor, plan: ArmPlan, ready: int, probes: Probes, processes: Processes
    ) -> PredictorStatus:
        reason, tail = "", tuple[str, ...]()
        failed = next((o for o in plan.current if o.failed), None)
        if ready == predictor.replicas:
            phase = Phase.READY
        elif failed is not None:
            phase = Phase.FAILED
            reason, tail = self._fleet.failures[failed.replica.program]
        elif any(runs(processes, o.replica.program) for o in plan.current):
            phase = Phase.LOADING
            loading = next((o for o in plan.current if not o.ready), None)
            if loading is None:
                reason = "its model is loaded; the gateway is about to find it healthy"
            else:
                reason = probes[loading.replica.program].detail or "its model server is starting"
        else:
            phase, reason = Phase.PENDING, "its model server is about to start"
        return PredictorStatus(predictor.name, phase, ready, predictor.replicas, reason, tail, plan.switching)

    def _orphans(self, arms: Mapping[ArmKey, _Arm], replicas: Iterable[Replica], force: Force) -> list[Replica]:
        """Replicas of predictors that nobody wants any more and that the gateway has let go of."""
        may_end: list[Replica] = []
        for replica in replicas:
            if (replica.namespace, replica.deployment, replica.predictor) not in arms:
                view = self._gateway.view(force, replica.namespace, replica.deployment, replica.predictor)
                may_end += plan_arm("", 0, [Observed(replica, True)], view).retire
        return may_end


def _budgets_s(deployments: Iterable[Deployment]) -> dict[ArmKey, int]:
    return {
        (deployment.namespace, deployment.name, predictor.name): predictor.start_budget_s
        for deployment in deployments
        for predictor in deployment.predictors
        if predictor.start_budget_s is not None
    }
