"""What a running publication tells the store, and what it hears from there: how far it is, and whether to go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from services.errors import Unavailable
from services.evidence.publication_table import PublicationTable
from services.jobs.publication_values import Publication, progress_to_json
from services.jobs.states import JobState
from services.publishing.publisher import Moved, Published, Step, Stopped

log = logging.getLogger(__name__)

WRITE_EVERY_S = 0.4


class Reporter:
    """Keeps the models' progress of one publication. Not thread-safe: a publication runs in one thread.

    Args:
        halt: set when the worker is to end.
        held: whether the publication is still this worker's.
    """

    def __init__(
        self, table: PublicationTable, publication: Publication, halt: threading.Event, held: Callable[[], bool]
    ) -> None:
        self._table, self._number, self._halt, self._held = table, publication.id, halt, held
        self._models = {model.predictor: replace(model, moved=Moved()) for model in publication.models}
        self._written_at = 0.0
        self.cancelled = False

    @property
    def models(self) -> list[dict[str, Any]]:
        """For the store."""
        return [progress_to_json(model) for model in self._models.values()]

    @contextmanager
    def about(self, predictor: str) -> Iterator[Callable[[Moved], None]]:
        """The listener to hand to whoever publishes this predictor's model. It raises Stopped."""

        def listen(moved: Moved) -> None:
            before = self._models[predictor].moved
            self._models[predictor] = replace(self._models[predictor], moved=moved)
            self._tell(now=moved.step is not before.step)

        yield listen

    def published(self, predictor: str, made: Published) -> None:
        """The model is in the store."""
        moved = Moved(Step.DONE, made.files, made.files, made.bytes, made.bytes)
        self._models[predictor] = replace(self._models[predictor], uri=made.uri, moved=moved, reused=made.reused)
        self._tell(now=True)

    def check(self) -> None:
        """Raises Stopped if somebody has cancelled it, the worker is to end, or another worker has taken it over."""
        self._tell(now=True)

    def _tell(self, *, now: bool) -> None:
        if self._halt.is_set() or not self._held():
            raise Stopped
        if not now and time.monotonic() - self._written_at < WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        try:
            self._table.move(self._number, [JobState.RUNNING.value], models=self.models)
            self.cancelled = self._table.get(self._number).cancel_requested
        except Unavailable as error:  # no reason to stop copying
            log.warning("publication %d: %s", self._number, error)
        if self.cancelled:
            raise Stopped
