"""What to do next for one predictor. Pure: from what is wanted and what was observed to the next small step.

Level-triggered: the plan depends only on the present, never on how it came about, so the controller may be killed
between any two steps and the next pass goes on. Following the plan always ends in the wanted state:

    wanted revision missing  -> start it, beside the old one
    not all of it ready      -> the old one keeps the traffic
    all of it ready          -> the gateway gets both, until it finds the new one healthy
    gateway finds it healthy -> the gateway gets the new one alone
    gateway forgot the old   -> the old one may end
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.runtime.controller.replicas import Replica


@dataclass(frozen=True, slots=True)
class Observed:
    """One replica on record: whether its process runs and whether it answers that its model is loaded."""

    replica: Replica
    ready: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class GatewayView:
    """What the gateway holds for one predictor, by loopback port.

    Attributes:
        written: ports in the endpoint file, that is what the gateway serves or will serve when it starts.
        known: ports the gateway has now; None if it runs but cannot be asked, empty if it does not run.
        healthy: those of `known` that pass its health checks.
    """

    written: frozenset[int] = frozenset()
    known: frozenset[int] | None = frozenset()
    healthy: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """The next step: replica indices to start, ports the gateway shall have, replicas that may end."""

    create: tuple[int, ...]
    ports: tuple[int, ...]
    retire: tuple[Replica, ...]
    current: tuple[Observed, ...]
    switching: bool


def plan_arm(revision: str, replicas: int, observed: Iterable[Observed], gateway: GatewayView) -> ArmPlan:
    """Plan one predictor of which `replicas` processes of `revision` are wanted (0 and "" to remove it)."""
    everyone = sorted(observed, key=lambda o: (o.replica.revision, o.replica.index))
    current = [o for o in everyone if o.replica.revision == revision and o.replica.index < replicas]
    others = [o.replica for o in everyone if o not in current]
    present = {o.replica.index for o in current}
    create = tuple(index for index in range(replicas) if index not in present)
    new_ports = [o.replica.port for o in current]
    serving = [r.port for r in others if r.port in gateway.written]

    complete = not create and all(o.ready for o in current)
    # A scaled-up predictor keeps its own older replicas in service: they are already the right model.
    right_model = [o.replica.port for o in current if o.replica.port in gateway.written]
    if not serving:
        ports = new_ports
    elif not complete:
        ports = right_model + serving
    elif gateway.known == frozenset() or set(new_ports) <= gateway.healthy:
        ports = new_ports
    else:
        ports = new_ports + serving

    in_use = gateway.written | set(ports)
    retire = tuple(
        r for r in others if gateway.known is not None and r.port not in in_use and r.port not in gateway.known
    )
    return ArmPlan(
        create=create,
        ports=tuple(ports),
        retire=retire,
        current=tuple(current),
        switching=bool(others),
    )
