"""From a model in MLflow to a deployment that Seldon can read: publish what has to be, then apply.

One call for pages and commands: `apply` applies at once where the engine reads every model as it is, and else queues a
publication, which the worker carries out: it copies the models into the store and applies the deployment, bound to the
version that was live when somebody asked. A worker that is killed leaves files without a marker; the next one goes on.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.deployments.engine import Engine
from services.deployments.history_text import manifest_text
from services.deployments.manifest import from_yaml, to_manifest, to_yaml
from services.domain import ChangeNote, Deployment, DeploymentStatus
from services.errors import Conflict, DecantError, Foreign, NotFound
from services.evidence.publication_table import PublicationRecord
from services.evidence.store import EvidenceStore
from services.jobs.preparing import UNNAMED, Prepared, Preparing, logged_model, store_options
from services.jobs.publication_values import ModelProgress, Publication, progress_to_json, publication_of
from services.jobs.publishing_report import Reporter
from services.jobs.queue import JobQueue, enqueue_publication
from services.jobs.states import JobState
from services.operations import Operations
from services.publishing.publisher import Original, Published, Stopped, publish
from services.publishing.store import ModelStore
from services.settings import Settings
from services.tracking.models import ModelCatalogue, ModelRef

__all__ = ["Prepared", "Publication", "Publications"]

log = logging.getLogger(__name__)

_LEASE = "publication:"
_LIVE = (JobState.QUEUED, JobState.RUNNING)


class Publications:
    """Applies deployments, publishing models where that is needed. Thread-safe."""

    def __init__(
        self,
        store: EvidenceStore,
        queue: JobQueue,
        engine: Engine,
        operations: Operations,
        models: ModelCatalogue,
        settings: Settings,
    ) -> None:
        self._store, self._queue, self._engine, self._operations = store, queue, engine, operations
        self._models, self._settings = models, settings
        self._preparing = Preparing(engine, models, settings)
        self._lock = threading.Lock()
        self._active: set[int] = set()
        self._halt = threading.Event()

    def prepare(self, deployment: Deployment) -> Prepared:
        """See `services.jobs.preparing`."""
        return self._preparing.prepare(deployment)

    def apply(
        self, deployment: Deployment, *, note: ChangeNote, expected_version: str | None = None
    ) -> DeploymentStatus | Publication:
        """Apply it, or queue the publication after which the worker applies it.

        Raises what `prepare` and `Operations.apply` raise; Foreign before anything is queued.
        """
        prepared = self.prepare(deployment.validated())
        deployment = self._preparing.completed(deployment)  # now: what is live may be another when the worker is at it
        if not prepared.waiting:
            self._note(prepared, note.who)
            return self._operations.apply(prepared.deployment, note=note, expected_version=expected_version)
        live = self._live(deployment)
        if live and live.managed_by and not note.take_over:  # said before anything is copied, not after
            raise Foreign(f"Deployment “{deployment.key}”", [live.managed_by])
        if expected_version is None:
            expected_version = live.version if live else ""
        planned = {p.name: p.model_uri for p in prepared.deployment.predictors}
        models = [
            ModelProgress(p.name, p.provenance.label, p.model_uri, _known(planned[p.name]))
            for p in deployment.predictors
            if p.name in prepared.waiting
        ]
        record = self._store.publications.add(
            deployment.namespace,
            deployment.name,
            to_yaml(to_manifest(deployment)),
            [progress_to_json(model) for model in models],
            JobState.QUEUED.value,
            note,
            expected_version,
        )
        enqueue_publication(self._queue, record.id)
        return publication_of(record)

    def get(self, number: int) -> Publication:
        """Raises NotFound."""
        return publication_of(self._store.publications.get(number))

    def recent(self, namespace: str | None = None, deployment: str | None = None, limit: int = 20) -> list[Publication]:
        """Newest first."""
        return [publication_of(record) for record in self._store.publications.recent(namespace, deployment, limit)]

    def cancel(self, number: int) -> None:
        """Stop it within about a second: nothing is applied. Nothing happens if it has ended. NotFound."""
        self._store.publications.get(number)
        ended = {"state": JobState.CANCELLED.value, "finished_at": datetime.now(UTC)}
        if not self._move(number, [JobState.QUEUED], **ended):
            self._move(number, [JobState.RUNNING], cancel_requested=True)

    # -- in the worker ---------------------------------------------------------------------------------------------

    def recover(self) -> list[int]:
        """Those that a worker left behind, all of which can go on."""
        taken = self._store.leases.holders(_LEASE)
        found = self._store.publications.in_state([state.value for state in _LIVE])
        return [record.id for record in found if _lease(record.id) not in taken]

    def waiting(self) -> list[int]:
        """Those that nobody works on."""
        with self._lock:
            active = set(self._active)
        return [number for number in self.recover() if number not in active]

    def stop(self) -> None:
        """Let running publications stop soon; they stay `running`, to be resumed by the next worker."""
        self._halt.set()

    def run(self, number: int) -> None:
        """Publish and apply, until it is done, cancelled or failed, or `stop` is called."""
        with self._lock:
            if self._halt.is_set() or number in self._active:
                return
            self._active.add(number)
        try:
            if self._store.leases.take(_lease(number)):  # else another worker is at it
                self._run(self._store.publications.get(number))
        finally:
            self._store.leases.release(_lease(number))
            with self._lock:
                self._active.discard(number)

    def _run(self, record: PublicationRecord) -> None:
        started = {"state": JobState.RUNNING.value, "started_at": record.started_at or datetime.now(UTC)}
        if not self._move(record.id, _LIVE, **started):
            return
        folder = self._settings.paths.jobs / f"publication-{record.id}"

        def held() -> bool:
            return self._store.leases.holds(_lease(record.id))

        reporter = Reporter(self._store.publications, publication_of(record), self._halt, held)
        state, message = JobState.FAILED, "It ended by an unexpected error; see the worker's log."
        try:
            reporter.check()  # cancelled while a worker died
            deployment = self._publish(record, folder, reporter)
            reporter.check()
            self._apply(record, deployment)
            state, message = JobState.DONE, ""
        except Stopped:
            state, message = JobState.CANCELLED, ""
        except DecantError as error:
            message = str(error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if not held():
                log.warning("publication %d is left to the worker that took it over", record.id)
            elif state is JobState.CANCELLED and not reporter.cancelled:
                log.info("publication %d waits for the next worker", record.id)
            else:
                values = {"state": state.value, "message": message, "models": reporter.models}
                self._move(record.id, _LIVE, finished_at=datetime.now(UTC), **values)
                log.info("publication %d: %s %s", record.id, state, message)

    def _publish(self, record: PublicationRecord, folder: Path, reporter: Reporter) -> Deployment:
        """The deployment with every model where Seldon reads it."""
        prepared = self.prepare(from_yaml(record.manifest))
        wanted = {p.name: p for p in from_yaml(record.manifest).predictors}
        done: dict[str, Published] = {}
        predictors = []
        for predictor in prepared.deployment.predictors:
            if predictor.name in prepared.waiting:
                ref = self._models.resolve(wanted[predictor.name].model_uri)
                with reporter.about(predictor.name) as report:
                    if ref.uri not in done:
                        done[ref.uri] = self._publish_one(ref, folder / str(len(done)), record.who, report)
                    reporter.published(predictor.name, done[ref.uri])
                predictors.append(replace(predictor, model_uri=done[ref.uri].uri))
            else:
                predictors.append(predictor)
        self._note(prepared, record.who)
        return replace(prepared.deployment, predictors=tuple(predictors))

    def _publish_one(self, ref: ModelRef, folder: Path, who: str, report: Any) -> Published:
        shutil.rmtree(folder, ignore_errors=True)
        original = Original(ref.uri, logged_model(ref), lambda into, seen: self._models.fetch(ref.uri, into, seen))
        made = publish(original, self._model_store(ref.uri), folder, who, report)
        self._store.publications.note_address(made.uri, ref.uri, who, made.digest, made.bytes)
        log.info("%s is at %s (%d files, %d bytes)", ref.uri, made.uri, made.files, made.bytes)
        return made

    def _apply(self, record: PublicationRecord, deployment: Deployment) -> None:
        if self._is_live(deployment):  # applied by a worker that was killed before it could say so
            return
        note = ChangeNote(record.who, record.why, record.take_over)
        try:
            self._operations.apply(deployment, note=note, expected_version=record.expected_version)
        except Conflict:
            if not self._is_live(deployment):  # else another worker was at the same publication, and quicker
                raise

    def _is_live(self, deployment: Deployment) -> bool:
        try:
            live = self._engine.get(deployment.namespace, deployment.name).deployment
        except NotFound:
            return False
        return manifest_text(live) == manifest_text(deployment)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _model_store(self, model: str) -> ModelStore:
        return ModelStore(self._preparing.place(model), store_options(self._settings))

    def _live(self, deployment: Deployment) -> DeploymentStatus | None:
        try:
            return self._engine.get(deployment.namespace, deployment.name)
        except NotFound:
            return None

    def _note(self, prepared: Prepared, who: str) -> None:
        for uri, source in prepared.in_place:
            self._store.publications.note_address(uri, source, who)

    def _move(self, number: int, origins: Sequence[JobState], **values: Any) -> bool:
        return self._store.publications.move(number, [state.value for state in origins], **values)


def _lease(number: int) -> str:
    return f"{_LEASE}{number}"


def _known(uri: str) -> str:
    return "" if uri.endswith(UNNAMED) else uri
