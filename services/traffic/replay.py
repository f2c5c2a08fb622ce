"""A replay as values: what to send, how, and how far it is. `replayer` does the sending.

Nothing here knows the engine or the store: both come in as `ReplayHooks`, called in a thread beside the event loop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from services.domain import Endpoint, Outcome, OutcomeStatus
from services.errors import InvalidInput
from services.traffic.rewards import Reward
from services.traffic.sending import PATIENCE_S

MAX_CONCURRENCY = 256
DEFAULT_CONCURRENCY = 32


class ReplayMode(StrEnum):
    """Through the split as live traffic goes, or everything to one arm."""

    LIVE = "live"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """What to send and how. `rows` is how many from `start` on (None: all); `rate` is rows per second (None: as fast
    as it goes); `shuffle_seed` None keeps the order of the file."""

    namespace: str
    deployment: str
    dataset: str
    target: str
    reward: Reward
    mode: ReplayMode = ReplayMode.LIVE
    predictor: str | None = None
    rows: int | None = None
    start: int = 0
    rate: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    shuffle_seed: int | None = None

    def validated(self) -> ReplaySpec:
        """Return self, or raise InvalidInput for the first thing that cannot be."""
        if self.mode not in tuple(ReplayMode):
            raise InvalidInput(f"“{self.mode}” is not a mode of replay.", "Use live or pinned.")
        if (self.mode == ReplayMode.PINNED) != bool(self.predictor):
            raise InvalidInput("A pinned replay names its predictor, and a live one names none.")
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise InvalidInput(f"Concurrency must be within 1 to {MAX_CONCURRENCY}, not {self.concurrency}.")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise InvalidInput(f"The rate must be a positive number of rows per second, not {self.rate}.")
        if self.start < 0 or (self.rows is not None and self.rows < 1):
            raise InvalidInput("A replay needs at least one row, counted from row 0 or later.")
        return self


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """What one arm has done in a replay. Rows that nobody answered count under the predictor "".

    `sent` counts answered and failed rows alike; `latency_ms_sum` covers the answered ones.
    """

    predictor: str
    sent: int = 0
    failed: int = 0
    feedback_failed: int = 0
    reward_sum: float = 0.0
    reward_n: int = 0
    latency_ms_sum: float = 0.0

    @property
    def mean_reward(self) -> float | None:
        return self.reward_sum / self.reward_n if self.reward_n else None

    @property
    def mean_latency_ms(self) -> float | None:
        answered = self.sent - self.failed
        return self.latency_ms_sum / answered if answered else None

    def plus(self, outcome: Outcome) -> ArmCounters:
        """These counters with one more outcome."""
        answered = outcome.status is not OutcomeStatus.PREDICTION_FAILED
        return ArmCounters(
            self.predictor,
            self.sent + 1,
            self.failed + (not answered),
            self.feedback_failed + (outcome.status is OutcomeStatus.FEEDBACK_FAILED),
            self.reward_sum + (outcome.reward or 0.0),
            self.reward_n + (outcome.reward is not None),
            self.latency_ms_sum + (outcome.latency_ms if answered else 0.0),
        )


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One row to send: its index in the dataset, its values in the order of the names, and the truth if known."""

    index: int
    values: Sequence[object]
    truth: object


@dataclass(frozen=True)
class ReplayPlan:
    """Everything about a run of a replay that does not change while it runs."""

    replay: int
    namespace: str
    deployment: str
    names: tuple[str, ...]
    rows: Sequence[ReplayRow] = field(repr=False)
    reward: Reward
    predictor: str | None = None
    rate: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    pass_: int = 0
    timeout_s: float = 30.0
    patience_s: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is, counting what earlier runs of it recorded. `rows_per_s` is of the last few seconds."""

    done: int
    arms: tuple[ArmCounters, ...]
    rows_per_s: float
    errors: tuple[str, ...]


class ReplayHooks(Protocol):
    """What a replay asks of the rest of Decant. Called from a thread, one call at a time per method."""

    def endpoint(self, predictor: str | None) -> Endpoint:
        """Where to send: through the split, or to one arm."""
        ...

    def segment(self) -> str:
        """The split in force right now, as the ledger writes it."""
        ...

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        """Record outcomes and progress. Raises Unavailable to be asked again with the same outcomes."""
        ...


class StopSignal:
    """Asks a replay to stop, from any thread. Rows under way get `grace_s` seconds to finish."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.grace_s = 0.0

    def request(self, grace_s: float = 0.5) -> None:
        self.grace_s = grace_s
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()
