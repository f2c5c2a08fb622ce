"""A deployment as it is wanted: predictors, split, provenance, and the rules that Seldon has for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from services.domain.resources import Resources
from services.errors import InvalidDeployment, InvalidName, NotFound

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SECRET = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
MAX_REPLICAS = 32
PROTOCOLS = ("seldon", "v2")
MAX_SECRET_NAME = 253
MAX_START_BUDGET_S = 86_400


def check_name(kind: str, name: str) -> str:
    """Return `name` if it is a DNS-1123 label (so safe in a path, a label and a query), else raise InvalidName."""
    if not _DNS_LABEL.fullmatch(name):
        raise InvalidName(kind, name)
    return name


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of the live traffic in integer percent, in the order of the predictors. Shadows are not part of it."""

    shares: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, shares: Mapping[str, int] | Iterable[tuple[str, int]]) -> Self:
        pairs = shares.items() if isinstance(shares, Mapping) else shares
        return cls(tuple((name, int(percent)) for name, percent in pairs))

    def __getitem__(self, predictor: str) -> int:
        return dict(self.shares)[predictor]

    def __str__(self) -> str:
        return " / ".join(f"{name} {percent} %" for name, percent in self.shares)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.shares)

    @property
    def text(self) -> str:
        """As the history and the ledger write it: `a=80,b=20`."""
        return ",".join(f"{name}={percent}" for name, percent in self.shares)

    def as_dict(self) -> dict[str, int]:
        return dict(self.shares)

    def problems(self) -> list[str]:
        """Every way in which Seldon's webhook would refuse this split, in words; empty when it is fine."""
        found = [f"traffic of {n} is {p}, not within 0 to 100" for n, p in self.shares if not 0 <= p <= 100]
        total = sum(percent for _, percent in self.shares)
        if len(self.shares) > 1 and total != 100:
            found.append(f"traffic sums to {total}, not 100")
        if len(self.shares) == 1 and total not in (0, 100):
            found.append(f"a single predictor takes 100 % of the traffic, not {total}")
        return found


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a predictor's model came from; travels in `decant.dev/` annotations, never in the spec."""

    run_id: str | None = None
    run_name: str | None = None
    model_id: str | None = None
    registered_name: str | None = None
    registered_version: str | None = None

    @property
    def label(self) -> str:
        """The shortest name a person would recognise: `wine v3`, a run name, or an id."""
        if self.registered_name:
            return (
                f"{self.registered_name} v{self.registered_version}"
                if self.registered_version
                else self.registered_name
            )
        return self.run_name or self.model_id or self.run_id or "model"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A Seldon graph parameter, such as `xtype: DataFrame`."""

    name: str
    value: str
    type: str = "STRING"


@dataclass(frozen=True, slots=True)
class Predictor:
    """One arm: a model, its replicas and its share of the traffic in percent.

    Attributes:
        node: name of the graph node; empty means `<name>-model`, so that no two arms share one.
        env_secret: the Secret that holds what it takes to fetch the model; empty where nothing is needed.
        start_budget_s: seconds that the model may take to start before it is started anew; None is the engine's own.
    """

    name: str
    model_uri: str
    traffic: int = 100
    replicas: int = 1
    shadow: bool = False
    node: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    parameters: tuple[Parameter, ...] = ()
    env_secret: str = ""
    start_budget_s: int | None = None
    resources: Resources = field(default_factory=Resources)

    @property
    def node_name(self) -> str:
        return self.node or f"{self.name}-model"

    def problems(self) -> list[str]:
        """Every reason for which Seldon or Kubernetes would refuse this arm by itself, in words."""
        found = [] if self.model_uri else [f"predictor {self.name} has no model URI"]
        # A line break would end a line of every text file that names the model, and start another.
        if self.model_uri and not self.model_uri.isprintable():
            found.append(f"the model URI of {self.name} holds a line break or another control character")
        if not 0 <= self.replicas <= MAX_REPLICAS:
            found.append(f"replicas of {self.name} is {self.replicas}, not within 0 to {MAX_REPLICAS}")
        if self.env_secret and (len(self.env_secret) > MAX_SECRET_NAME or not _SECRET.fullmatch(self.env_secret)):
            found.append(f"“{self.env_secret}”, the secret of {self.name}, is not a name that a Secret can have")
        budget = self.start_budget_s
        if budget is not None and not 1 <= budget <= MAX_START_BUDGET_S:
            found.append(f"the start budget of {self.name} is {budget} s, not within 1 to {MAX_START_BUDGET_S}")
        return found + self.resources.problems(self.name)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One SeldonDeployment: a name in a namespace with one or more predictors."""

    namespace: str
    name: str
    predictors: tuple[Predictor, ...]
    annotations: tuple[tuple[str, str], ...] = ()  # other people's; Decant's own are made from the fields
    protocol: str = "seldon"  # or "v2": the Open Inference Protocol, which has no feedback

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def split(self) -> Split:
        return Split.of((p.name, p.traffic) for p in self.predictors if not p.shadow)

    @property
    def live(self) -> tuple[Predictor, ...]:
        return tuple(p for p in self.predictors if not p.shadow)

    def predictor(self, name: str) -> Predictor:
        """Raises NotFound, naming the predictors there are."""
        for predictor in self.predictors:
            if predictor.name == name:
                return predictor
        raise NotFound("predictor", name, [p.name for p in self.predictors])

    def with_split(self, split: Split) -> Deployment:
        """The same deployment with other shares. Raises InvalidDeployment if the split names other predictors."""
        live = [p.name for p in self.live]
        if sorted(split.names) != sorted(live):
            raise InvalidDeployment(
                self.name,
                [f"the split names {', '.join(split.names)} but the predictors are {', '.join(live)}"],
            )
        shares = split.as_dict()
        moved = tuple(p if p.shadow else replace(p, traffic=shares[p.name]) for p in self.predictors)
        return replace(self, predictors=moved)

    def validated(self) -> Deployment:
        """Return self if Seldon's own rules hold, else raise InvalidName or InvalidDeployment with every problem."""
        check_name("namespace", self.namespace)
        check_name("deployment", self.name)
        for predictor in self.predictors:
            check_name("predictor", predictor.name)
            check_name("graph node", predictor.node_name)
        problems = self._problems()
        if problems:
            raise InvalidDeployment(self.name, problems)
        return self

    def _problems(self) -> list[str]:
        names = [p.name for p in self.predictors]
        shadows = [p for p in self.predictors if p.shadow]
        found = []
        if self.protocol not in PROTOCOLS:
            found.append(f"protocol “{self.protocol}” is not one of {' and '.join(PROTOCOLS)}")
        if not names:
            found.append("it has no predictor")
        found += [f"predictor {n} appears twice" for n in dict.fromkeys(names) if names.count(n) > 1]
        if len(shadows) > 1:
            found.append("it has more than one shadow")
        if shadows and len(shadows) == len(names):
            found.append("a shadow needs a live predictor beside it")
        found += [
            f"traffic of the shadow {s.name} is {s.traffic}, not within 0 to 100"
            for s in shadows
            if not 0 <= s.traffic <= 100
        ]
        found += [problem for p in self.predictors for problem in p.problems()]
        return found + (self.split.problems() if self.live else [])
