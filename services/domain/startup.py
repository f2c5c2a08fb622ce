"""A predictor on its way up: five steps with their times, and what is known of why it does not get there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Step(StrEnum):
    """What has to happen before a predictor answers. Engines give them in the order in which theirs come."""

    SCHEDULED = "scheduled"  # a place to run: a node, or a process with a port
    DOWNLOAD = "download"  # the model's files
    ENVIRONMENT = "environment"  # Python and the libraries
    LOAD = "load"  # the model itself
    READY = "ready"  # it answers, and its traffic reaches it


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StartupStep:
    """One step. `took_s` is None until it is over, or where nobody saw when it began; `note` adds what is worth it."""

    step: Step
    state: StepState
    began: datetime | None = None
    took_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A failure that is known.

    Attributes:
        key: its name in the catalogue, such as `image-pull`.
        what: what happened, one sentence.
        remedy: what to do about it.
        evidence: the line of a log, a state or an event that gave it away.
        budget_s: a start budget that would be enough, seconds, where more time is the remedy.
    """

    key: str
    what: str
    remedy: str
    evidence: str = ""
    budget_s: int | None = None


@dataclass(frozen=True, slots=True)
class Startup:
    """One predictor's way up. `diagnosis` is None while nothing is wrong, or nothing that is known."""

    predictor: str
    steps: tuple[StartupStep, ...]
    diagnosis: Diagnosis | None = None
    log_tail: tuple[str, ...] = ()
    budget_s: float | None = None  # seconds that it may take now; None where the engine does not know

    @property
    def ready(self) -> bool:
        return bool(self.steps) and all(s.state is StepState.DONE for s in self.steps)

    def step(self, wanted: Step) -> StartupStep | None:
        return next((s for s in self.steps if s.step is wanted), None)
