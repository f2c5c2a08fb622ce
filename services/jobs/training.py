"""Trainings as jobs: asked for by a page or a command, run by the worker through MLflow projects.

A training cannot be resumed: what a killed worker leaves behind is ended and marked as failed, with the reason. Its
process tree and its MLflow run are named in files beside the queue, so that the next worker finds them. Where several
machines share the store, the worker holds a lease on what it trains, and keeps the end of the log in the store.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.errors import DecantError, Unavailable
from services.evidence.files import FileTable
from services.evidence.leases import Leases
from services.files import read_text, tail_lines
from services.jobs.kept_logs import KeptLogs
from services.jobs.process_tree import ProcessTree
from services.jobs.projects import ProjectParameter, check_parameters, locate, read_parameters
from services.jobs.queue import JobQueue, enqueue_training
from services.jobs.states import JobState
from services.jobs.training_log import failure
from services.jobs.training_process import TRAINED
from services.jobs.training_start import start
from services.jobs.training_table import Training, TrainingTable
from services.settings import ROOT, Settings
from services.tracking.runs import RunCatalogue

__all__ = ["ProjectParameter", "Training", "TrainingJobs"]

log = logging.getLogger(__name__)

WINE_PROJECT = ROOT / "data" / "wine-quality"
POLL_S = 0.2
TERM_GRACE_S = 3.0
REASON_LINES = 200
KEEP_LOG_S = 2.0
_LEASE = "training:"
INTERRUPTED = "The worker was stopped while this training ran. Train again."
FINISH_ATTEMPTS, FINISH_PAUSE_S = 30, 2.0


class TrainingJobs:
    """Submits, shows, cancels and (in the worker) runs trainings. Thread-safe.

    Every method raises Unavailable when the evidence store does not answer.
    """

    def __init__(self, database: sa.Engine, queue: JobQueue, settings: Settings) -> None:
        self._table = TrainingTable(database)
        self._queue, self._settings = queue, settings
        self._runs = RunCatalogue(settings.tracking_uri)
        self._logs, self._leases = KeptLogs(FileTable(database)), Leases(database)
        self._stopping = threading.Event()

    def parameters(self, project: str | Path = WINE_PROJECT) -> list[ProjectParameter]:
        """What the project's MLproject asks for. Raises NotFound, InvalidInput."""
        return read_parameters(_folder(project))

    def submit(
        self,
        parameters: Mapping[str, str],
        *,
        who: str,
        project: str | Path = WINE_PROJECT,
        experiment: str | None = None,
        env_manager: str | None = None,
    ) -> Training:
        """Check everything that can be checked, then queue it.

        Raises NotFound (no such project) and InvalidInput (parameters, environment).
        """
        folder = _folder(project)
        values = check_parameters(read_parameters(folder), parameters)
        manager = env_manager or self._settings.env_manager
        locate(folder, manager)
        logs = self._settings.paths.log / "training"
        training = self._table.add(
            str(folder), values, experiment or self._settings.mlflow_experiment, manager, who, logs
        )
        enqueue_training(self._queue, training.id)
        return training

    def get(self, training_id: int) -> Training:
        """Raises NotFound."""
        return self._table.get(training_id)

    def recent(self, limit: int = 20) -> list[Training]:
        """Newest first."""
        return self._table.recent(limit)

    def log(self, training_id: int, tail: int = 200) -> list[str]:
        """The last lines of its output, newest last; empty before it starts. Raises NotFound."""
        return self._logs.read(self.get(training_id), tail)

    def cancel(self, training_id: int) -> None:
        """Stop it within about half a second. Nothing happens if it has ended. Raises NotFound."""
        self._table.get(training_id)
        now = datetime.now(UTC)
        if self._table.move(training_id, [JobState.QUEUED], state=JobState.CANCELLED.value, finished_at=now):
            return
        self._table.move(training_id, [JobState.RUNNING], cancel_requested=True)

    # -- in the worker ---------------------------------------------------------------------------------------------

    def waiting(self) -> list[int]:
        """Trainings that are queued, oldest first. Those of a worker on another machine that is gone are settled."""
        if self._leases.shared:
            self.mark_interrupted()
        return [training.id for training in self._table.in_state(JobState.QUEUED)]

    def recover(self) -> list[int]:
        """Settle what an earlier worker left; call before anything runs. Returns what is to be run."""
        self.mark_interrupted()
        return self.waiting()

    def mark_interrupted(self) -> list[int]:
        """End and mark as failed every training that a killed worker left running. Returns their ids."""
        # Who holds what is read second: a training is held before it counts as running.
        running = self._table.in_state(JobState.RUNNING)
        held = self._leases.holders(_LEASE)
        left = [training for training in running if _lease(training.id) not in held]
        for training in left:
            tree = ProcessTree.load(self._tree_file(training.id))
            if tree:
                tree.end(TERM_GRACE_S)
            run_id = training.run_id or read_text(self._run_file(training.id))
            self._end_run(run_id, "KILLED")
            self._finish(training.id, JobState.FAILED, INTERRUPTED, run_id=run_id)
        return [training.id for training in left]

    def stop(self) -> None:
        """End running trainings soon, and start no more. Called when the worker is told to stop."""
        self._stopping.set()

    def run(self, training_id: int) -> None:
        """Run a queued training to its end. For one that runs or has ended, it does nothing."""
        if self._stopping.is_set() or not self._leases.take(_lease(training_id)):
            return
        try:
            self._run(training_id)
        finally:
            self._leases.release(_lease(training_id))

    def _run(self, training_id: int) -> None:
        if not self._table.move(
            training_id, [JobState.QUEUED], state=JobState.RUNNING.value, started_at=datetime.now(UTC)
        ):
            return
        training = self._table.get(training_id)
        try:
            process, tree = start(training, self._settings.tracking_uri, self._run_file(training_id))
            tree.save(self._tree_file(training_id))
        except DecantError as error:
            self._finish(training_id, JobState.FAILED, str(error))
            return
        except OSError as error:
            self._finish(training_id, JobState.FAILED, f"The training could not be started: {error}.")
            return
        self._watch(training, process, tree)

    def _watch(self, training: Training, process: subprocess.Popen[bytes], tree: ProcessTree) -> None:
        """Wait for the process, telling the table what becomes known; end it when somebody wants that."""
        run_id: str | None = None
        wanted: JobState | None = None
        kept_at = time.monotonic()
        while process.poll() is None and wanted is None:
            self._stopping.wait(POLL_S)
            run_id = self._note_run(training.id, run_id)
            wanted = self._wanted_end(training.id)
            if time.monotonic() - kept_at > KEEP_LOG_S:
                self._logs.keep(training)
                kept_at = time.monotonic()
        run_id = self._note_run(training.id, run_id)
        code = process.poll()
        tree.end(TERM_GRACE_S)  # also what a finished project left running
        code = process.wait() if code is None else code
        self._logs.keep(training)
        if wanted:
            self._end_run(run_id, "KILLED")
            self._finish(training.id, wanted, "" if wanted is JobState.CANCELLED else INTERRUPTED, run_id=run_id)
        elif code == TRAINED:
            self._finish(training.id, JobState.DONE, "", run_id=run_id)
        else:
            self._end_run(run_id, "FAILED")
            said = failure(tail_lines(Path(training.log_path), REASON_LINES), code)
            self._finish(training.id, JobState.FAILED, said, run_id=run_id)

    def _wanted_end(self, training_id: int) -> JobState | None:
        try:
            if self._table.get(training_id).cancel_requested:
                return JobState.CANCELLED
        except Unavailable as error:  # no reason to end a training
            log.warning("training %d: %s", training_id, error)
        lost = not self._leases.holds(_lease(training_id))
        return JobState.FAILED if lost or self._stopping.is_set() else None

    def _note_run(self, training_id: int, known: str | None) -> str | None:
        if known:
            return known
        run_id = read_text(self._run_file(training_id))
        if run_id:
            try:
                self._table.move(training_id, [JobState.RUNNING], run_id=run_id)
            except Unavailable as error:  # noted again at the end
                log.warning("training %d: %s", training_id, error)
                return None
        return run_id or None

    def _finish(self, training_id: int, state: JobState, message: str, *, run_id: str | None = None) -> None:
        """Record the end, and keep trying for a while: an hour of training should not look as if it had failed."""
        values: dict[str, Any] = {"state": state.value, "message": message, "finished_at": datetime.now(UTC)}
        if run_id:
            values["run_id"] = run_id
        for attempt in range(FINISH_ATTEMPTS):
            try:
                self._table.move(training_id, [JobState.RUNNING], **values)
                break
            except Unavailable as error:
                if attempt == FINISH_ATTEMPTS - 1:
                    raise
                log.warning("training %d: %s", training_id, error)
                self._stopping.wait(FINISH_PAUSE_S)
        for path in (self._tree_file(training_id), self._run_file(training_id)):
            path.unlink(missing_ok=True)

    def _end_run(self, run_id: str | None, status: str) -> None:
        """An MLflow run whose process was killed would count as running for ever."""
        if not run_id:
            return
        try:
            self._runs.end(run_id, status)
        except DecantError as error:
            log.warning("run %s could not be marked %s: %s", run_id, status, error)

    def _tree_file(self, training_id: int) -> Path:
        return self._settings.paths.jobs / f"training-{training_id}.json"

    def _run_file(self, training_id: int) -> Path:
        return self._settings.paths.jobs / f"training-{training_id}.run"


def _lease(training_id: int) -> str:
    return f"{_LEASE}{training_id}"


def _folder(project: str | Path) -> Path:
    return Path(project).expanduser().resolve()
