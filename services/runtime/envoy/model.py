"""What the gateway needs to know about deployments, as frozen values, and the names it gives them.

Kept apart from `services.domain` because the gateway knows processes (host and port), not models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.domain import Split, check_name
from services.errors import InvalidDeployment

PREDICTOR_HEADER = "x-decant-predictor"
"""Names the arm: in a request it pins the request to that arm, in a response it says who answered."""

Route = Literal["split", "pin"]

# Names are DNS-1123 labels, so this can never be part of one; Prometheus label values take it as it is. A dot would
# not do: Envoy cuts its counters' names at dots.
_SEPARATOR = "|"


@dataclass(frozen=True, slots=True, order=True)
class Upstream:
    """One model server process."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class GatewayPredictor:
    """One arm: its share in percent (of the live traffic, or of the mirror for a shadow) and its processes."""

    name: str
    traffic: int
    shadow: bool = False
    upstreams: tuple[Upstream, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayDeployment:
    """One deployment as the gateway serves it.

    Raises:
        InvalidName, InvalidDeployment: when made from names or shares that Envoy would refuse. One bad deployment
            would make Envoy refuse the whole file, and with it every change to every other deployment.
    """

    namespace: str
    name: str
    predictors: tuple[GatewayPredictor, ...]

    def __post_init__(self) -> None:
        check_name("namespace", self.namespace)
        check_name("deployment", self.name)
        for predictor in self.predictors:
            check_name("predictor", predictor.name)
        names = [p.name for p in self.predictors]
        problems = [] if self.live else ["it has no live predictor"]
        problems += [f"predictor {n} appears twice" for n in dict.fromkeys(names) if names.count(n) > 1]
        problems += [
            f"traffic of the shadow {s.name} is {s.traffic}, not within 0 to 100"
            for s in self.shadows
            if not 0 <= s.traffic <= 100
        ]
        problems += self.split.problems() if self.live else []
        if problems:
            raise InvalidDeployment(self.name, problems)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def prefix(self) -> str:
        """The path under which clients find it, with the closing slash."""
        return f"/seldon/{self.namespace}/{self.name}/"

    @property
    def live(self) -> tuple[GatewayPredictor, ...]:
        return tuple(p for p in self.predictors if not p.shadow)

    @property
    def shadows(self) -> tuple[GatewayPredictor, ...]:
        return tuple(p for p in self.predictors if p.shadow)

    @property
    def split(self) -> Split:
        """Shares that sum to 100: a lone arm takes everything, whether it says 0 or 100, as in Seldon."""
        if len(self.live) == 1 and self.live[0].traffic == 0:
            return Split(((self.live[0].name, 100),))
        return Split.of((p.name, p.traffic) for p in self.live)


def cluster_name(route: Route, namespace: str, deployment: str, predictor: str) -> str:
    """Envoy's name for one way to one arm, such as `split|seldon|mlflow-deployment|a`.

    `split` clusters carry the predictions that the split handed out and nothing else, so their request counters are
    the honest counts of the split. `pin` clusters carry pinned requests, feedback, mirrored requests, and reads.
    """
    return _SEPARATOR.join((route, namespace, deployment, predictor))


def split_route_name(namespace: str, deployment: str) -> str:
    """Name of the route that holds the weights of a deployment."""
    return _SEPARATOR.join(("split", namespace, deployment))


def parse_split_route(name: str) -> str | None:
    """The deployment (`namespace/name`) of a split route, or None if the name is another route's."""
    kind, *rest = name.split(_SEPARATOR)
    return "/".join(rest) if kind == "split" and len(rest) == 2 else None


def predictor_of(cluster: str) -> str:
    """The arm behind a cluster name made by `cluster_name`."""
    return cluster.rsplit(_SEPARATOR, 1)[-1]


def in_order(deployments: Sequence[GatewayDeployment]) -> list[GatewayDeployment]:
    """Sorted by namespace and name, so that the same deployments always make the same bytes.

    Raises InvalidDeployment if one appears twice.
    """
    keys = [d.key for d in deployments]
    for deployment in deployments:
        if keys.count(deployment.key) > 1:
            raise InvalidDeployment(deployment.name, [f"the gateway was given {deployment.key} twice"])
    return sorted(deployments, key=lambda d: (d.namespace, d.name))


def seconds(duration_s: float) -> str:
    """A duration as Envoy reads it: whole milliseconds, never in powers of ten, and never 0, which means no limit."""
    return f"{max(duration_s, 0.001):.3f}s"
