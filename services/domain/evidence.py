"""What was done and what came of it: changes, predictions, outcomes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

LATENCY_EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Upper edges of the ledger's latency buckets; a latency objective is one of them, so that its share is exact."""

PAIRED = "paired"
"""The segment of rows that went to both arms: no split divided them."""

PINNED = "pinned:"
"""How the segment of rows begins that went to one arm of choice, which follows."""


_MARK = re.compile(r"\s*\[(?:undo of )?decision (\d+)\b[^\n]*\]$")


def plain_reason(why: str) -> str:
    """`why` without the mark that ties a change to a decision, such as `[undo of decision 3: promote]`."""
    return _MARK.sub("", why)


@dataclass(frozen=True, slots=True)
class ChangeNote:
    """Who changes something, and why: travels with every command that changes the world.

    `take_over` says that the author knows that the thing is managed by another tool, and changes it all the same.
    """

    who: str
    why: str = ""
    take_over: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the audit trail. `before` and `after` are manifests (YAML) or short texts; enough to undo."""

    at: datetime
    who: str
    what: str  # apply, split, delete, undo, ...
    namespace: str
    deployment: str
    before: str
    after: str
    why: str = ""
    id: int | None = None

    @property
    def reason(self) -> str:
        """`why` without the mark that ties the entry to a decision."""
        return plain_reason(self.why)

    @property
    def decision(self) -> int | None:
        """The decision that this entry carries out or takes back."""
        found = _MARK.search(self.why)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answered request."""

    puid: str
    predictor: str
    values: tuple[object, ...]  # one entry per row sent
    latency_ms: float
    status: int = 200


class OutcomeStatus(StrEnum):
    """How one row of a replay (or one test request) ended."""

    OK = "ok"
    PREDICTION_FAILED = "prediction_failed"
    FEEDBACK_FAILED = "feedback_failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction joined with its truth and reward: a row of the ledger.

    A row of a replay counts once per pass, whichever arm answered; with `paired` it counts once per arm, because it was
    sent to both. `digest` is that of the replayed dataset: equal digests mean equal rows. `routed` says that the split
    chose the arm, so that the reward is for the arm's counter; what was sent to an arm of choice, or to both, is not.
    """

    puid: str
    namespace: str
    deployment: str
    predictor: str
    segment: str  # the split in force when it was sent, e.g. "a=80,b=20"; PAIRED or PINNED and the arm past the split
    replay: int | None
    row: int | None
    prediction: object
    truth: object
    reward: float | None
    latency_ms: float
    status: OutcomeStatus
    at: datetime
    pass_: int = 0
    error: str = ""
    digest: str = ""
    paired: bool = False
    routed: bool = True
