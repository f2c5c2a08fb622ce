"""What decides a test, fixed before it starts: arms, metric, error level, smallest effect that matters, guardrails."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.domain import LATENCY_EDGES_MS as LATENCY_EDGES_MS  # the ledger's, for who reads a rule
from services.errors import InvalidInput
from services.traffic.rewards import Reward, RewardKind


class Source(StrEnum):
    """Where evidence comes from: the same rows sent to both arms, or traffic that the split divided."""

    PAIRED = "paired"
    LIVE = "live"


class Decides(StrEnum):
    """Which source names the winner of a test. The other one is shown, and can object."""

    PAIRED = "paired"
    LIVE = "live"
    EITHER = "either"


class LiveFrom(StrEnum):
    """Where the evidence of live traffic is read. Never both: each has the whole error level of the source."""

    COUNTERS = "counters"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Guardrails:
    """How much worse B may get before its reward does not matter any more.

    Attributes:
        error_increase: most by which B's share of failed predictions may exceed A's, as a share of 1.
        slow_ms: a prediction that takes longer than this counts as slow; one of LATENCY_EDGES_MS.
        slow_increase: most by which B's share of slow predictions may exceed A's, as a share of 1.
    """

    error_increase: float = 0.01
    slow_ms: float = 100
    slow_increase: float = 0.05


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of one test. Changing it starts a new test.

    Attributes:
        champion: name of arm A, the one in charge.
        challenger: name of arm B, the one that wants the job.
        reward: the primary metric is the mean of this reward.
        alpha: chance of ever naming a difference that is not there, over all looks together.
        minimum_effect: smallest difference of the mean reward worth shipping, in units of the reward; 0: any.
        planned_pairs: rows of paired replay at which the interval is tightest (N* of its sequence).
        planned_live: feedbacks from live traffic, both arms together, at which the interval is tightest.
        guardrails: see there.
        decides: the source that names the winner. A test that took whichever says so first would have two chances to
            err, so where either may decide, each has half of alpha.
        live_from: where live traffic is read; None, until the test begins, for the usual place.
    """

    champion: str = "a"
    challenger: str = "b"
    reward: Reward = field(default_factory=lambda: Reward(RewardKind.BOUNDED))
    alpha: float = 0.05
    minimum_effect: float = 0.0
    planned_pairs: int = 500
    planned_live: int = 5000
    guardrails: Guardrails = field(default_factory=Guardrails)
    decides: Decides = Decides.PAIRED
    live_from: LiveFrom | None = None

    @property
    def live_source(self) -> LiveFrom:
        """Where live traffic is read: what was fixed, else what is usual for the reward."""
        return self.live_from or usual_live_from(self.reward)

    def decided_by(self, source: Source) -> bool:
        """Whether this source may name the winner."""
        return self.decides == Decides.EITHER or self.decides.value == source.value

    @property
    def alpha_each(self) -> float:
        """The error level of each source's interval for the reward; two halves add up to alpha (Bonferroni)."""
        return self.alpha / 2 if self.decides is Decides.EITHER else self.alpha

    def planned_of(self, source: Source) -> int:
        """How many pairs or feedbacks are planned of a source."""
        return self.planned_pairs if source is Source.PAIRED else self.planned_live

    def validated(self) -> Rule:
        """Return self, or raise InvalidInput for the first thing that cannot be."""
        if self.champion == self.challenger or not self.champion or not self.challenger:
            raise InvalidInput("A test compares two different arms.")
        if not 0.001 <= self.alpha <= 0.2:
            raise InvalidInput(f"Alpha must be within 0.001 to 0.2, not {self.alpha:g}.")
        if not (math.isfinite(self.minimum_effect) and self.minimum_effect >= 0):
            raise InvalidInput(f"The minimum effect must be 0 or more, not {self.minimum_effect:g}.")
        if min(self.planned_pairs, self.planned_live) < 100:
            raise InvalidInput("Plan at least 100 rows of replay and 100 feedbacks of live traffic.")
        if self.live_from is LiveFrom.COUNTERS and not self.reward.counted:
            raise InvalidInput(
                "Live traffic cannot be read from the counters: the reward can be negative, and counters only grow.",
                "Read it from the ledger, or use another reward.",
            )
        rails = self.guardrails
        if not (0 <= rails.error_increase <= 1 and 0 <= rails.slow_increase <= 1):
            raise InvalidInput("A guardrail is a share within 0 to 1.")
        if rails.slow_ms not in LATENCY_EDGES_MS:
            edges = ", ".join(str(edge) for edge in LATENCY_EDGES_MS)
            raise InvalidInput(f"The latency objective must be one of {edges} ms, not {rails.slow_ms:g}.")
        return self

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reward": self.reward.to_json()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Rule:
        """The rule of `to_json`, however old; `assumed` says what an older one did not say."""
        reward, rails = Reward.from_json(stored["reward"]), Guardrails(**stored["guardrails"])
        decides = Decides(stored.get("decides", Decides.EITHER))
        said = stored.get("live_from")
        live_from = LiveFrom(said) if said else usual_live_from(reward)
        return cls(**{**stored, "reward": reward, "guardrails": rails, "decides": decides, "live_from": live_from})


def usual_live_from(reward: Reward, protocol: str = "seldon") -> LiveFrom:
    """The counters, which see the feedback of every client, unless rewards never reach them.

    They do not if they can be negative, nor on servers of the V2 protocol, which has no feedback.
    """
    return LiveFrom.COUNTERS if reward.counted and protocol != "v2" else LiveFrom.LEDGER


def assumed(stored: dict[str, Any]) -> tuple[str, ...]:
    """What a rule from an earlier version of Decant left open, and how it is read now, in sentences."""
    said = []
    if "decides" not in stored:
        said.append(
            "This rule was fixed before Decant knew deciding sources; it is read as decided by either source, each at "
            "half of alpha, so its call can differ from the one that was shown then."
        )
    if not stored.get("live_from"):
        usual = usual_live_from(Reward.from_json(stored["reward"]))
        said.append(
            "It was fixed before rules said where live traffic is read; it is read from the "
            f"{'arms’ counters' if usual is LiveFrom.COUNTERS else 'ledger'}, and from nothing else."
        )
    return tuple(said)


@dataclass(frozen=True, slots=True)
class ABTest:
    """One test of a deployment: its rule, the two models it compares, and its time.

    A test ends when it is decided, when another is started, or when one of its models is replaced. `ended_why` is
    empty while it runs. `read_as` says how a rule of an earlier version of Decant is read; empty for others.
    """

    id: int
    namespace: str
    deployment: str
    rule: Rule
    model_a: str  # model URI of the champion when the test began
    model_b: str
    who: str
    started_at: datetime
    why: str = ""
    ended_at: datetime | None = None
    ended_why: str = ""
    read_as: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        return self.ended_at is None
