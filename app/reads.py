"""What pages read, remembered for a moment: a click on a page asks no system twice, nor one that just did not answer.

Each answer is kept for the seconds named at its function, and for as long as it took to come; a failure for a few
seconds at most. So a part that is down, or hardly answers, is not waited for again on every click and by every refresh.
Whoever changes something calls `forget()`.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from app.parallel import ask
from app.wiring import reader
from services.domain import ChangeNote
from services.errors import DecantError, Unavailable

if TYPE_CHECKING:
    from services.domain import Change, Deployment, DeploymentStatus, Event, Startup
    from services.factory import Services
    from services.health import PartHealth
    from services.jobs.publications import Prepared, Publication
    from services.metrics.symptoms import Symptom
    from services.preflight.check import Report
    from services.tracking.datasets import LoggedDataset
    from services.tracking.models import ModelRef
    from services.tracking.runs import Experiment, RegisteredVersion, Run, RunPage
    from services.traffic.datasets import Dataset

P = ParamSpec("P")
R = TypeVar("R")

FAILURE_TTL_S = 3.0
MAX_ENTRIES = 512

_memory: dict[tuple[object, ...], tuple[float, object, Any, DecantError | None]] = {}
_lock = threading.Lock()


class Read(Generic[P, R]):
    """A question to the services with a memory. Call it from a page; it raises what the question raises."""

    def __init__(self, question: Callable[Concatenate[Services, P], R], ttl_s: float) -> None:
        self._question = question
        self._ttl_s = ttl_s
        functools.update_wrapper(self, question)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.of(reader(), *args, **kwargs)

    def of(self, backend: Services, *args: P.args, **kwargs: P.kwargs) -> R:
        """The answer of `backend`; needs no Streamlit, so it may run in any thread."""
        key = (self._question.__name__, args, tuple(sorted(kwargs.items())))
        with _lock:
            found = _memory.get(key)
        if found is None or found[0] < time.monotonic() or found[1] is not backend:
            found = self._ask(backend, *args, **kwargs)
            with _lock:
                if len(_memory) >= MAX_ENTRIES:
                    _memory.clear()
                _memory[key] = found
        if found[3] is not None:
            raise found[3].with_traceback(None)
        return cast(R, found[2])

    def _ask(
        self, backend: Services, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[float, object, R | None, DecantError | None]:
        began = time.monotonic()
        try:
            answer, error = self._question(backend, *args, **kwargs), None
            ttl_s = max(self._ttl_s, min(time.monotonic() - began, FAILURE_TTL_S))
        except DecantError as failure:
            # Not answering is a matter of time; everything else stays as true as an answer would.
            answer, error = None, failure
            ttl_s = FAILURE_TTL_S if isinstance(failure, Unavailable) else min(self._ttl_s, FAILURE_TTL_S)
        return time.monotonic() + ttl_s, backend, answer, error


def remembered(
    ttl_s: float,
) -> Callable[[Callable[Concatenate[Services, P], R]], Read[P, R]]:
    """Make a question a Read whose answers are kept for `ttl_s` seconds. Arguments must be hashable."""

    def wrap(question: Callable[Concatenate[Services, P], R]) -> Read[P, R]:
        return Read(question, ttl_s)

    return wrap


def forget() -> None:
    """Ask everything anew from now on: something has changed."""
    with _lock:
        _memory.clear()


def prefetch(*questions: tuple[Any, ...]) -> None:
    """Ask several at once, each given as (read, argument, ...); errors come when the page asks for the answer."""
    backend = reader()
    answers = ask(
        {str(i): functools.partial(read.of, backend, *args) for i, (read, *args) in enumerate(questions)},
    )
    for i in range(len(questions)):
        answers.error(str(i))  # waits


# -- the engine --------------------------------------------------------------------------------------------------------


@remembered(1)
def deployments(backend: Services) -> Sequence[DeploymentStatus]:
    return tuple(backend.engine.list())


@remembered(0.5)
def status(backend: Services, namespace: str, name: str) -> DeploymentStatus:
    return backend.engine.get(namespace, name)


@remembered(1)
def manifest(backend: Services, namespace: str, name: str) -> str:
    """As it is live."""
    return backend.engine.manifest(namespace, name)


@remembered(0.5)
def events(backend: Services, namespace: str, name: str) -> Sequence[Event]:
    return tuple(backend.engine.events(namespace, name))


@remembered(0.9)
def startup(backend: Services, namespace: str, name: str, predictor: str) -> Startup:
    return backend.engine.startup(namespace, name, predictor)


@remembered(1)
def history(backend: Services, namespace: str, name: str) -> Sequence[Change]:
    return tuple(backend.operations.history(namespace, name))


@remembered(0.5)
def publication(backend: Services, namespace: str, name: str) -> Publication | None:
    """The newest publication of models for the deployment."""
    return next(iter(backend.publications.recent(namespace, name, 1)), None)


@remembered(5)
def prepared(backend: Services, deployment: Deployment) -> Prepared:
    """The deployment as the engine would get it, and which models have to be published before."""
    return backend.publications.prepare(deployment)


@remembered(1)
def router_counts(backend: Services, namespace: str, name: str, since: datetime) -> dict[str, int]:
    return backend.metrics.router_counts(namespace, name, since)


@remembered(30)
def symptoms(backend: Services, deployment: Deployment) -> Sequence[Symptom]:
    """What is wrong with the metrics of a deployment, and of the test that is read from them."""
    began = backend.verdicts.counted_since(deployment.namespace, deployment.name)
    return tuple(backend.metrics.examine(deployment, began))


@remembered(20)
def preflight(backend: Services, deployment: Deployment, who: str) -> Report:
    """What is found before a draft is applied; the same draft is not checked again within seconds."""
    return backend.preflight.check(deployment, note=ChangeNote(who))


# -- MLflow ------------------------------------------------------------------------------------------------------------


@remembered(10)
def experiments(backend: Services) -> Sequence[Experiment]:
    return tuple(backend.runs.experiments())


@remembered(5)
def run_page(
    backend: Services, experiment_ids: tuple[str, ...], filter_text: str, token: str | None, limit: int
) -> RunPage:
    return backend.runs.search(experiment_ids, filter_text, page_token=token, limit=limit)


@remembered(5)
def recent_runs(backend: Services, limit: int) -> Sequence[Run]:
    """The newest runs of all experiments."""
    ids = tuple(experiment.id for experiment in experiments.of(backend))
    return run_page.of(backend, ids, "", None, limit).runs if ids else ()


@remembered(15)
def run(backend: Services, run_id: str) -> Run:
    return backend.runs.run(run_id)


@remembered(15)
def artifacts(backend: Services, run_id: str) -> Sequence[str]:
    return tuple(backend.runs.artifacts(run_id))


@remembered(15)
def logged_datasets(backend: Services, run_id: str) -> Sequence[LoggedDataset]:
    return tuple(backend.datasets.of_run(run_id))


@remembered(10)
def registered_models(backend: Services) -> Sequence[RegisteredVersion]:
    return tuple(backend.runs.registered_models())


@remembered(30)
def model(backend: Services, reference: str) -> ModelRef:
    """What a reference stands for; an alias may move, so not for ever."""
    return backend.models.resolve(reference)


# -- the rest ----------------------------------------------------------------------------------------------------------


@remembered(60)
def dataset(backend: Services, source: str) -> Dataset:
    """The rows behind a name or path. Nobody may change the frame: all sessions share it."""
    from services.traffic.datasets import load_dataset

    path: str | Path = source
    return load_dataset(path, max_mb=backend.settings.max_upload_mb)


@remembered(2)
def health(backend: Services) -> Sequence[PartHealth]:
    return tuple(backend.health.all())


def part(name: str) -> PartHealth | None:
    """The health of one part, or None if nobody checks it."""
    return next((found for found in health() if found.part == name), None)
