"""A replay as values: what to send, how, and how far it is. `replayer` does the sending.

Nothing here knows the engine or the store: both come in as `ReplayHooks`, called in a thread beside the event loop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from services.domain import Endpoint, Outcome, OutcomeStatus
from services.errors import InvalidInput
from services.traffic.rewards import Reward
from services.traffic.sending import OUTAGE_S, PATIENCE_S

MAX_CONCURRENCY = 256
DEFAULT_CONCURRENCY = 32
MAX_PASSES = 1000

SENDER_BUSY = 0.85
"""Share of a processor core from which the sender counts as the bottleneck: Python uses no more than one at a time."""


class ReplayMode(StrEnum):
    """Through the split as live traffic goes; every row to champion and challenger; or everything to one arm."""

    LIVE = "live"
    PAIRED = "paired"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """What to send and how.

    Attributes:
        dataset: name of a bundled dataset, or the path of a file.
        predictor: the arm of a pinned replay.
        arms: champion and challenger of a paired replay.
        rows: how many, from `start` on; None: all.
        sample_seed: None takes the rows as they stand in the file, a number takes them at random from all of it.
        shuffle_seed: None keeps the order of the file; a number shuffles the rows taken, each pass in its own way.
        passes: how often the rows are sent.
        rate: most rows per second; None: as fast as it goes. A row that goes to both arms counts once.
        concurrency: most requests under way.
        label: what people call the dataset, where that is not its file name.
        columns: what each arm is sent of the dataset's columns, "" for those that are not named; empty: all columns.
    """

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
    arms: tuple[str, ...] = ()
    sample_seed: int | None = None
    passes: int = 1
    label: str = ""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def feedback(self) -> bool:
        """Whether its rewards go to the arms' counters; see `ReplayPlan.feedback`."""
        return self.mode == ReplayMode.LIVE and self.reward.counted

    @property
    def name(self) -> str:
        """What people call the dataset."""
        return self.label or self.dataset.rpartition("/")[2]

    def sent_of(self, features: Sequence[str]) -> tuple[str, ...]:
        """Those of `features` that any arm is sent."""
        known = {name for names in self.columns.values() for name in names}
        return tuple(name for name in features if name in known) if known else tuple(features)

    def validated(self) -> ReplaySpec:
        """Return self, or raise InvalidInput for the first thing that cannot be."""
        if self.mode not in tuple(ReplayMode):
            raise InvalidInput(f"“{self.mode}” is not a mode of replay.", "Use live, paired or pinned.")
        if (self.mode == ReplayMode.PINNED) != bool(self.predictor):
            raise InvalidInput("A pinned replay names its predictor, and no other does.")
        if (self.mode == ReplayMode.PAIRED) != (len(set(self.arms)) == len(self.arms) == 2):
            raise InvalidInput("A paired replay names two different arms, champion and challenger, and no other does.")
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise InvalidInput(f"Concurrency must be within 1 to {MAX_CONCURRENCY}, not {self.concurrency}.")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise InvalidInput(f"The rate must be a positive number of rows per second, not {self.rate}.")
        if self.start < 0 or (self.rows is not None and self.rows < 1):
            raise InvalidInput("A replay needs at least one row, counted from row 0 or later.")
        if not 1 <= self.passes <= MAX_PASSES:
            raise InvalidInput(f"Passes must be within 1 to {MAX_PASSES}, not {self.passes}.")
        if min(self.sample_seed or 0, self.shuffle_seed or 0) < 0:
            raise InvalidInput("A seed is a whole number from 0 on.")
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
    pass_: int = 0


@dataclass(frozen=True)
class ReplayPlan:
    """Everything about a run of a replay that does not change while it runs.

    With `arms` each row goes to both of them, with `predictor` to that one, else through the split. A row that alone
    has no answer fails after `patience_s`; where an arm answers nobody, its rows wait for up to `outage_s`.
    `columns`: those of `names` that an arm is sent, where that is not all of them; "" for arms that are not named.
    """

    replay: int
    namespace: str
    deployment: str
    names: tuple[str, ...]
    rows: Iterable[ReplayRow] = field(repr=False)
    reward: Reward
    predictor: str | None = None
    arms: tuple[str, ...] = ()
    rate: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    digest: str = ""
    timeout_s: float = 30.0
    patience_s: float = PATIENCE_S
    outage_s: float = OUTAGE_S
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def routed(self) -> bool:
        """Whether the split chooses the arm of each row."""
        return not self.arms and not self.predictor

    @property
    def feedback(self) -> bool:
        """Whether rewards are sent to the arms: of rows that the split divides, which is what the counters are for.

        Rewards that can be negative are not, since no counter takes them.
        """
        return self.routed and self.reward.counted


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is, counting what earlier runs of it recorded.

    `done` counts rows (a pair is one), `rows_per_s` those of the last few seconds, and `busy` is the share of one
    processor core that the sending process used in them. `waiting` says which arm the rows wait for; empty if for none.
    Of several `senders`, `busy` is that of the busiest; `sent_by` says who they are where it is worth saying.
    """

    done: int
    arms: tuple[ArmCounters, ...]
    rows_per_s: float
    errors: tuple[str, ...]
    busy: float = 0.0
    waiting: str = ""
    senders: int = 1
    sent_by: str = ""


class ReplayHooks(Protocol):
    """What a replay asks of the rest of Decant. Called from a thread, one call at a time per method."""

    def endpoint(self, predictor: str | None) -> Endpoint:
        """Where to send: through the split, or to one arm."""
        ...

    def segment(self) -> str:
        """The split in force right now, as the ledger writes it."""
        ...

    def down(self, arm: str) -> bool:
        """Whether an arm ("": all of them) can answer nothing now, or nobody can tell."""
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

    def wait(self, timeout_s: float) -> None:
        """Return when it is requested, or after `timeout_s`."""
        self._event.wait(timeout_s)
