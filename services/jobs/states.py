"""The states of a background job: one closed set for trainings and replays, so that pages draw both alike."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Queued and running are left by themselves, paused only by a person; the other three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (JobState.DONE, JobState.CANCELLED, JobState.FAILED)


LIVE_STATES = (JobState.QUEUED, JobState.RUNNING)
"""Those in which a worker goes on with it."""
