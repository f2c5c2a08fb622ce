"""A deployment as it is: phases, what the gateway has in force, what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.domain.deployment import Deployment, Split
from services.errors import NotFound


class Phase(StrEnum):
    """Where a predictor is on its way up."""

    PENDING = "pending"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PredictorStatus:
    """What runs for one predictor.

    Attributes:
        updating: what ran before still answers, or is not known to be replaced yet.
        progress: how far its replicas are replaced, in words; empty where nothing is, or where the engine has no count.
    """

    name: str
    phase: Phase
    ready: int
    desired: int
    reason: str = ""
    log_tail: tuple[str, ...] = ()
    updating: bool = False
    progress: str = ""

    @property
    def said(self) -> str:
        """How far its replicas are and what keeps it, in a line; "" where there is nothing to say."""
        return "; ".join(part for part in (self.progress, self.reason) if part)


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """A deployment as the engine knows it. `version` is opaque; hand it back to change exactly what you read."""

    deployment: Deployment
    version: str
    predictors: tuple[PredictorStatus, ...]
    in_force: Split | None  # read back from the gateway; None when it cannot be read
    changed_by: str = ""
    changed_at: datetime | None = None
    deleting: bool = False
    message: str = ""
    managed_by: str = ""  # another tool that owns it (kubectl, a Git operator); changing it needs a word that one knows
    unwritable: str = ""  # what it holds that Decant does not write: its traffic can be moved, the rest only be shown

    @property
    def requested(self) -> Split:
        return self.deployment.split

    @property
    def beginning(self) -> bool:
        """Whether no live arm answers yet, and nothing keeps the rest from being read: no route is to be expected."""
        live = [p.name for p in self.deployment.live]
        return self.in_force is None and not self.message and not any(self.predictor(name).ready for name in live)

    @property
    def settled(self) -> bool:
        """True when every predictor is ready, nothing is being replaced and the gateway does what was asked."""
        ready = all(p.phase is Phase.READY and not p.updating and p.ready == p.desired for p in self.predictors)
        return ready and self.in_force is not None and self.in_force.as_dict() == self.requested.as_dict()

    @property
    def waiting(self) -> str:
        """What keeps it from being settled, in a line; "" where nothing does."""
        if self.settled:
            return ""
        open_ = [p for p in self.predictors if p.phase is not Phase.READY or p.updating or p.ready != p.desired]
        arms = "; ".join(f"{p.name} {p.phase}: {p.said}" if p.said else f"{p.name} {p.phase}" for p in open_)
        return arms or "waiting for the split to be in force"

    def predictor(self, name: str) -> PredictorStatus:
        for status in self.predictors:
            if status.name == name:
                return status
        raise NotFound("predictor", name, [p.name for p in self.predictors])


@dataclass(frozen=True, slots=True)
class Event:
    """Something the engine did or noticed."""

    at: datetime
    kind: str  # Normal or Warning, as in Kubernetes
    message: str
    predictor: str = ""
