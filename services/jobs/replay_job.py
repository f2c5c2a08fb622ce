"""A large replay, sent by the pods of a Job, as the worker watches it.

The senders write the ledger, each the rows of its share; the worker alone writes the replay's record. What it knows it
reads: how far the replay is from the ledger, how the senders are from the cluster and from what they say of themselves.
So a worker that is killed stops nothing, and the next one watches on.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from services.deployments.senders import JobEnd, Senders, SendersJob
from services.errors import DecantError, Forbidden, NotFound, Rejected, Unavailable
from services.evidence.replay_table import ReplayRecord
from services.evidence.share_table import ShareRecord
from services.evidence.store import EvidenceStore
from services.jobs.replay_hooks import WorkerHooks
from services.jobs.replay_run import ledger_progress
from services.jobs.replay_words import held_text, leaving_text, merged, senders_text
from services.traffic.pacing import RateWindow
from services.traffic.replay import Progress, StopSignal
from services.traffic.replayer import KEPT_ERRORS

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
STOP_S = 3.0
"""Senders that were told to stop have ended by then, or stand still; what they still record is in the ledger anyway."""
TIDY_S = 20.0
"""Once all rows are there, the Job may take this long to end; one that does not (a sidecar that runs on) is removed."""
BUSY = 429
"""Answers of the API server from this number on say nothing about what it was asked."""
SHARE_LEASE = "replay-share:"
"""How the lease of a sender begins; number of the replay and of the share follow."""


def share_lease(replay: int, share: int) -> str:
    return f"{SHARE_LEASE}{replay}:{share}"


class SharedSending:
    """One run of a shared replay. `shares` is how many senders a new Job gets; one that is there keeps its number."""

    def __init__(
        self,
        store: EvidenceStore,
        senders: Senders,
        record: ReplayRecord,
        hooks: WorkerHooks,
        signal: StopSignal,
        shares: int,
        patience_s: float,
    ) -> None:
        self._store, self._senders, self._record = store, senders, record
        self._hooks, self._signal, self._shares = hooks, signal, shares
        self._patience_s = patience_s
        self._pace = RateWindow()
        self._job: SendersJob | None = None
        self._rows_before = 0

    def run(self) -> Progress:
        """Have the senders there and watch them, until all rows are recorded or somebody wants it stopped.

        Raises:
            Forbidden, StartFailed, Rejected: if there can be no Job; then nothing was begun.
            DecantError: if the senders gave up, or somebody removed them. They are stopped.
        """
        while self._began():
            if self._watched():
                break
        return self._hooks.latest

    def tidy(self) -> None:
        """After the last row: leave the Job to Kubernetes, which removes it in time, unless it does not end."""
        deadline = time.monotonic() + TIDY_S
        try:
            while not self._signal.requested and time.monotonic() < deadline:
                job = self._senders.look(self._record.id)
                if job is None or job.end or job.leaving:
                    return
                self._signal.wait(LOOK_EVERY_S)
            if not self._signal.requested:
                log.warning("%s does not end though all rows are there: it is removed", self._job_name)
                self._senders.remove(self._record.id)
        except DecantError as error:
            log.warning("%s is left as it is: %s", self._job_name, error)

    # -- the beginning ---------------------------------------------------------------------------------------------

    def _began(self) -> bool:
        """Whether there are senders to watch, those that run already or new ones; False if told to stop."""
        deadline = time.monotonic() + self._patience_s
        while True:
            waiting = ""
            try:
                job = self._senders.look(self._record.id) or self._started()
                if not job.leaving and job.end is not JobEnd.COMPLETE:  # a failed one too: the watch says why
                    break
                if not job.leaving:
                    self._senders.remove(self._record.id)  # its senders ended at a pause, with rows left
                waiting = leaving_text(job)
                deadline = time.monotonic() + self._patience_s
            except (Unavailable, Rejected) as error:
                refused = isinstance(error, Rejected) and error.status < BUSY
                if refused or time.monotonic() > deadline:
                    raise
                waiting = error.sentence
            if self._noted(self._progress(waiting)):
                return False
            self._signal.wait(LOOK_EVERY_S)
        self._job = job
        self._hooks.senders, self._hooks.sent_by = job.shares, senders_text(job)
        self._rows_before = self._hooks.latest.done
        return True

    def _started(self) -> SendersJob:
        self._store.shares.clear(self._record.id)
        self._senders.start(self._record.id, self._shares)
        job = SendersJob(self._job_name, self._shares, others=("starting",) * self._shares)
        log.info("replay %d: %s", self._record.id, senders_text(job))
        return job

    # -- watching --------------------------------------------------------------------------------------------------

    def _watched(self) -> bool:
        """Watch the Job; False if it came to its end with rows left, so that a new one is to be begun."""
        while True:
            trouble = self._look()  # before the ledger is read: of a Job that has ended, all rows are in it
            progress = self._progress(trouble)
            if self._noted(progress) or progress.done >= self._record.total:
                return True
            failure = self._failure()
            if failure is not None:
                self._stop()
                raise failure
            if self._job is not None and self._job.end is JobEnd.COMPLETE:
                return self._ended_early(progress)
            self._signal.wait(LOOK_EVERY_S)

    def _look(self) -> str:
        """Read the Job; what keeps it from being read, in words. Meanwhile the senders go on."""
        try:
            self._job = self._senders.look(self._record.id)
        except (Unavailable, Forbidden, Rejected) as error:
            return f"Nobody sees how the senders are. {error.sentence}"
        return ""

    def _noted(self, progress: Progress) -> bool:
        """Write down how far it is; whether the run is over, because of a lost lease, a person, or the worker's end."""
        try:
            self._hooks.save((), progress)
        except Unavailable as error:
            log.warning("replay %d: its progress is written down later: %s", self._record.id, error)
        except NotFound:
            self._hooks.lost = True  # somebody deleted the record itself
        if self._hooks.lost:
            return True
        if self._hooks.cancelled or self._hooks.paused:
            self._stop()
            return True
        return self._signal.requested

    def _failure(self) -> DecantError | None:
        """Why the senders will not send the rest; None while they may."""
        try:
            gave_up = next((share.failure for share in self._said() if share.failure), "")
        except Unavailable:
            return None  # nor is the ledger read: the next look says more
        if gave_up:
            return DecantError(gave_up)
        job = self._job
        if job is None or job.leaving:
            return DecantError(
                f"Somebody deleted the Job {self._job_name}, whose pods were sending.",
                "Resume the replay: a new one sends the rows that are missing.",
            )
        if job.end is JobEnd.FAILED:
            return DecantError(
                f"The Job {job.name} has failed: {job.why}",
                "When that is mended, resume the replay: it sends the rows that are missing.",
            )
        return None

    def _ended_early(self, progress: Progress) -> bool:
        """The senders stopped at a pause that the worker did not see, or for no reason; only once without a row."""
        if progress.done > self._rows_before:
            return False
        self._stop()
        raise DecantError(
            f"The Job {self._job_name} came to its end and {self._record.total - progress.done:,} rows are missing.",
            "Resume the replay to try again; the logs of its pods may tell why.",
        )

    def _stop(self) -> None:
        """Remove the Job and wait a little for its senders, so that what they still record is in the last numbers."""
        try:
            self._senders.remove(self._record.id)
            deadline = time.monotonic() + STOP_S
            while self._store.leases.holders(f"{SHARE_LEASE}{self._record.id}:") and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY_S / 5)
            self._hooks.latest = self._hooks.named(self._progress(""))
        except DecantError as error:  # its senders stop by themselves: they read the replay's state too
            log.warning("%s could not be removed: %s", self._job_name, error)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _progress(self, trouble: str) -> Progress:
        """How far the replay is, by the ledger; how it goes, by its senders. Without the store as it was."""
        try:
            counted = ledger_progress(self._store, self._record)
            alive = self._store.leases.holders(f"{SHARE_LEASE}{self._record.id}:")
            shares = self._said()
        except Unavailable as error:
            return replace(self._hooks.latest, rows_per_s=0.0, waiting=error.sentence)
        self._pace.add(time.monotonic(), counted.done)
        live = [share for share in shares if share_lease(share.replay, share.share) in alive] or shares
        words = [
            trouble or (held_text(self._job) if self._job else ""),
            next((s.waiting for s in live if s.waiting), ""),
        ]
        return replace(
            counted,
            rows_per_s=self._pace.per_s,
            errors=merged([share.errors for share in shares], KEPT_ERRORS),
            busy=max((share.busy for share in live), default=0.0),
            waiting=" ".join(filter(None, words)),
        )

    def _said(self) -> list[ShareRecord]:
        return self._store.shares.of(self._record.id)

    @property
    def _job_name(self) -> str:
        return self._senders.name(self._record.id)
