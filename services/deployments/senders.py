"""Who sends a large replay where one process is not enough: the pods of a Job, as the worker sees them.

There is one implementation, `kubernetes/sender_jobs.py`; on one machine there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class JobEnd(StrEnum):
    """How a Job ended: each sender came to its end, or Kubernetes gave up starting them again."""

    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SendersJob:
    """The Job of one replay and how its senders are.

    Attributes:
        shares: how many senders the Job has.
        running: how many of them run.
        done: how many have come to their end.
        others: what keeps each of the rest, such as “cannot be scheduled: 0/3 nodes are available”.
        end: None while it goes on.
        why: of a failed one, how its senders ended.
        leaving: it was deleted, and what is left of it is about to go.
    """

    name: str
    shares: int
    running: int = 0
    done: int = 0
    others: tuple[str, ...] = ()
    end: JobEnd | None = None
    why: str = ""
    leaving: bool = False


class Senders(Protocol):
    """Starts, watches and removes the senders of replays, each replay by its number.

    Every method raises Unavailable when the cluster does not answer, and Forbidden where a right is missing.
    """

    def name(self, replay: int) -> str:
        """What the Job of a replay is called."""
        ...

    def start(self, replay: int, shares: int) -> None:
        """Have `shares` senders for a replay that has none.

        Raises StartFailed where the cluster cannot have such Jobs, Rejected for what else it says against this one.
        """
        ...

    def look(self, replay: int) -> SendersJob | None:
        """How they are; None if there is neither a Job nor a pod of one."""
        ...

    def remove(self, replay: int) -> None:
        """Delete the Job and its pods, which get their time to stop. Nothing happens if there is none."""
        ...
