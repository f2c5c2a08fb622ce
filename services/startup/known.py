"""What is known of one failure: the signs that give it away, what it means, what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Where(StrEnum):
    """Where a sign is looked for."""

    LOG = "log"
    STATE = "state"
    EVENT = "event"
    CONDITION = "condition"
    EVENT_OR_CONDITION = "event or condition"


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern in one line of one place. Its named groups may be used in the words."""

    where: Where
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Known:
    """A failure. All its signs must be there.

    Attributes:
        needs_time: a larger start budget is the remedy.
        opens_store: it is this one only where its group `name` is a Secret by which the model is fetched.
    """

    key: str
    signs: tuple[Sign, ...]
    what: str
    remedy: str
    needs_time: bool = False
    opens_store: bool = False


def log(pattern: str) -> Sign:
    """A line of the log; case does not matter."""
    return Sign(Where.LOG, re.compile(pattern, re.IGNORECASE))


def state(pattern: str) -> Sign:
    """The state of a pod, a container or a process."""
    return Sign(Where.STATE, re.compile(pattern, re.IGNORECASE))


def event(pattern: str) -> Sign:
    """The message of an event."""
    return Sign(Where.EVENT, re.compile(pattern, re.IGNORECASE))


def condition(pattern: str) -> Sign:
    """What a Deployment's condition complains about."""
    return Sign(Where.CONDITION, re.compile(pattern, re.IGNORECASE))


def refusal(pattern: str) -> Sign:
    """What is said to a pod that cannot be made: an event tells it for an hour, the condition as long as it is so."""
    return Sign(Where.EVENT_OR_CONDITION, re.compile(pattern, re.IGNORECASE))
