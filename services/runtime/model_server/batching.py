"""Merges the requests that wait into one predict call, without ever changing an answer.

A small model spends most of a call on overhead: 20 rows cost as much as one. So while one call runs, the requests that
arrive wait, and the next call takes all of them. Nothing is delayed to make a batch larger: an idle server calls at
once.

What makes that safe:

* Every request is checked before it gets here, and only requests of equal layout (columns, types, container) meet.
* If a merged call raises, or returns another number of rows than it got, each request is computed by itself: a bad
  request fails alone. A model that answers single requests after having failed on their union depends on the batch:
  merging ends.
* Models of ordinary flavours start on probation: the first merged calls are small and are also computed one by one;
  from then on every some hundredth merged call is (a sample of it). Floats must agree to 1e-9, everything else
  exactly. A batch of equal rows proves little (a model that subtracts the batch's mean passes), so until enough
  batches with different rows have passed, every such batch is verified. The first difference ends merging for good,
  and the requests get the answers computed one by one.
* Custom Python models and language models are not merged at all, as their code may look at the whole batch, cost
  money, or act; the MLmodel metadata `decant_batching: true` asks for merging (on probation as well).

Calls run in one worker thread, so that health checks answer while a model takes seconds. Handing work to a thread and
back costs as much as a small model, so a model of a table flavour whose calls all stay short is called on the event
loop itself, until one call takes long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter

from services.errors import DecantError
from services.runtime.model_server.answers import Answer, same
from services.runtime.model_server.failures import ModelFailed, NotReady
from services.runtime.model_server.model import Model
from services.runtime.model_server.parts import Part
from services.runtime.model_server.worker import WorkerThread

log = logging.getLogger(__name__)

PROBATION_BATCHES = 8
PROBATION_REQUESTS = 8  # most requests merged while on probation, so that verifying stays cheap
REVERIFY_EVERY = 512
REVERIFY_REQUESTS = 4
INLINE_AFTER = 20  # short calls in a row before the model is called on the event loop
INLINE_BELOW_S = 0.003
Outcome = Answer | DecantError


class _Job:
    __slots__ = ("future", "part")

    def __init__(self, part: Part, future: asyncio.Future[Answer]) -> None:
        self.part, self.future = part, future


class Merger:
    """Computes a batch and verifies merging. Knows nothing of threads or loops; called by one thread at a time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.merging = model.merges
        self.verified = 0  # merged calls compared with single ones
        self.telling = 0  # of those, the ones that held different rows
        self.merged = 0
        self.differences = 0

    @property
    def most_requests(self) -> int:
        return PROBATION_REQUESTS if self.verified < PROBATION_BATCHES else 1_000_000

    def compute(self, parts: list[Part]) -> list[Outcome]:
        """One outcome per part, in order. Parts have equal layouts."""
        if len(parts) == 1 or not self.merging:
            return [self._single(part) for part in parts]
        self.merged += 1
        try:
            whole = self._model.predict(parts[0].layout, [p.payload for p in parts])
        except DecantError as error:
            outcomes = [self._single(part) for part in parts]
            if not any(isinstance(o, DecantError) for o in outcomes):
                self._stop(f"a merged call failed ({error.sentence}) where single calls did not")
            return outcomes
        if whole.whole or len(whole.rows) != sum(p.rows for p in parts):
            self._stop("a merged call returned another number of rows than it was given")
            return [self._single(part) for part in parts]
        answers: list[Outcome] = []
        start = 0
        for part in parts:
            answers.append(whole.cut(start, start + part.rows))
            start += part.rows
        return self._verify(parts, answers)

    def _verify(self, parts: list[Part], answers: list[Outcome]) -> list[Outcome]:
        proven = self.telling >= PROBATION_BATCHES
        if self.verified >= PROBATION_BATCHES and proven and self.merged % REVERIFY_EVERY:
            return answers
        telling = proven or _differ(parts)
        if self.verified >= PROBATION_BATCHES and not telling:
            return answers
        limit = REVERIFY_REQUESTS if proven else PROBATION_REQUESTS
        step = max(1, len(parts) // limit)
        for i in range(0, len(parts), step):
            single, merged = self._single(parts[i]), answers[i]
            if isinstance(single, DecantError) or isinstance(merged, DecantError) or not same(single, merged):
                self._stop("a merged call and a single call gave different answers")
                return [self._single(part) for part in parts]
        self.verified += 1
        self.telling += telling
        return answers

    def _single(self, part: Part) -> Outcome:
        try:
            return self._model.predict(part.layout, [part.payload])
        except DecantError as error:
            return error

    def _stop(self, why: str) -> None:
        self.merging = False
        self.differences += 1
        log.warning("Requests are no longer merged for this model: %s.", why)


def _differ(parts: list[Part]) -> bool:
    first = repr(parts[0].payload)
    return any(repr(p.payload) != first for p in parts[1:])


class Batcher:
    """Queues parts on the event loop and feeds the merger."""

    def __init__(
        self, model: Model, worker: WorkerThread, *, batch_rows: int, observe: Callable[[int], None] | None = None
    ) -> None:
        self.merger = Merger(model)
        self._brief = model.brief
        self._worker = worker
        self._batch_rows = batch_rows
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Job] = deque()
        self._busy = False  # a call runs, or the next step is scheduled
        self._short_calls = 0
        self._seen = 1  # requests that waited when the step was last put off
        self.in_flight = 0
        self._running: list[_Job] = []

    @property
    def inline(self) -> bool:
        return self._short_calls >= INLINE_AFTER

    def trust(self) -> None:
        """Call the model on the event loop from the start: its rehearsal was quick."""
        self._short_calls = INLINE_AFTER if self._brief else 0

    def submit(self, part: Part) -> asyncio.Future[Answer]:
        """Queue a part; the future gets its answer, or a DecantError."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.in_flight += 1
        self._waiting.append(_Job(part, future))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._step)
        return future

    def abandon(self, why: str) -> None:
        """Fail everything that waits or runs, as the server stops."""
        for job in (*self._running, *self._waiting):
            if not job.future.done():
                job.future.set_exception(NotReady(why))
        self._waiting.clear()

    def _take(self) -> list[_Job]:
        """The next job and those behind it that may be merged with it; others keep their order."""
        waiting = self._waiting
        first = waiting.popleft()
        layout, rows = first.part.layout, first.part.rows
        if not waiting or not self.merger.merging or not layout.mergeable:
            return [first]
        batch, most = [first], self.merger.most_requests
        kept: list[_Job] = []
        while waiting and len(batch) < most:
            job = waiting.popleft()
            part = job.part
            if (part.layout is layout or part.layout == layout) and rows + part.rows <= self._batch_rows:
                batch.append(job)
                rows += part.rows
            else:
                kept.append(job)
                if rows >= self._batch_rows:
                    break
        waiting.extendleft(reversed(kept))
        return batch

    def _step(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        if len(self._waiting) > self._seen:
            # More came in since: bodies that are here by now join this call, at the price of a turn of the loop.
            self._seen = len(self._waiting)
            self._loop.call_soon(self._step)
            return
        self._seen = 1
        batch = self._take()
        parts = [job.part for job in batch]
        started = perf_counter()
        if self._short_calls >= INLINE_AFTER:
            outcomes = self._compute(parts)
            self._settle(batch, outcomes, perf_counter() - started)
            return
        self._running = batch
        self._worker.run(
            lambda: self._compute(parts),
            lambda outcomes: self._settle(batch, outcomes, perf_counter() - started),
        )

    def _compute(self, parts: list[Part]) -> list[Outcome]:
        try:
            return self.merger.compute(parts)
        except Exception as error:
            # The last line of defence: without an outcome, these requests and all that follow would wait for ever.
            log.exception("A predict call of %d requests failed", len(parts))
            return [ModelFailed(error, False) for _ in parts]

    def _settle(self, batch: list[_Job], outcomes: list[Outcome], took_s: float) -> None:
        self.in_flight -= len(batch)
        self._running = []
        for job, outcome in zip(batch, outcomes, strict=True):
            future = job.future
            if future.done():
                continue
            if isinstance(outcome, Answer):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)
        if self._observe is not None:
            self._observe(sum(job.part.rows for job in batch))
        if self._brief:
            self._short_calls = self._short_calls + 1 if took_s < INLINE_BELOW_S * (1 + len(batch) // 64) else 0
        if self._waiting:
            self._loop.call_soon(self._step)
        else:
            self._busy = False
