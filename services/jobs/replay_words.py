"""What the worker says of the senders that share a replay. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from services.deployments.senders import SendersJob


def senders_text(job: SendersJob) -> str:
    """Who sends: “4 senders (Job decant-replay-12)”."""
    return f"{job.shares} sender{'s' * (job.shares != 1)} (Job {job.name})"


def held_text(job: SendersJob) -> str:
    """How many run and what keeps the others; empty if nothing does."""
    if not job.others:
        return ""
    parts = [f"{job.running or 'None'} of {job.shares} senders run{'s' * (job.running < 2)}"]
    if job.done:
        parts.append("1 is done" if job.done == 1 else f"{job.done} are done")
    parts += [f"{count} {words}" for words, count in Counter(job.others).items()]
    return f"{'; '.join(parts).rstrip('.')}."


def leaving_text(job: SendersJob) -> str:
    """That the senders of before are still there."""
    return f"The senders of before must be gone before new ones start: Job {job.name} was deleted, its pods are not."


def merged(errors: Sequence[Sequence[str]], most: int) -> tuple[str, ...]:
    """The last few errors of all senders, as many of each as there is room for, oldest first."""
    newest = zip_longest(*(reversed(some) for some in errors))
    return tuple(reversed([error for turn in newest for error in turn if error is not None][:most]))
