"""The pre-flight check: everything that can be known of a deployment before it is applied, asked at once.

Models are looked at through their text files alone; nothing is loaded. Whatever does not answer in time is said not to
have been looked at, and holds up nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import yaml

from services.deployments.engine import Engine
from services.deployments.unsent import unsent
from services.domain import RIGHTS, ChangeNote, Deployment, Finding, Phase, Predictor, Severity
from services.errors import Conflict, DecantError, Forbidden, InvalidDeployment, Unavailable
from services.jobs.publications import Prepared
from services.preflight.pair import compare
from services.publishing.stored_models import StoredModels
from services.tracking.models import ModelRef

log = logging.getLogger(__name__)

T = TypeVar("T")

DEADLINE_S = 4.0
"""For the models, and again for the engine; what usually answers in a fraction of a second is given up then."""
WORKERS = 12
ORDER = (Severity.BLOCKS, Severity.WARNS, Severity.FINE)
UNSEEN = ("pvc",)
"""Schemes of places that only a cluster sees."""


@dataclass(frozen=True)
class Report:
    """All findings, those that matter most first."""

    findings: tuple[Finding, ...]

    @property
    def blocks(self) -> tuple[Finding, ...]:
        return self.of(Severity.BLOCKS)

    @property
    def warns(self) -> tuple[Finding, ...]:
        return self.of(Severity.WARNS)

    @property
    def fine(self) -> tuple[Finding, ...]:
        return self.of(Severity.FINE)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is severity)


class Preflight:
    """Checks deployments. Thread-safe; keeps nothing.

    Args:
        resolve: finds a model by its URI, as ModelCatalogue does.
        prepare: the deployment as the engine would get it, as Publications does.
        stored: the model store, if there is one: what is said to lie there has to.
    """

    def __init__(
        self,
        engine: Engine,
        resolve: Callable[[str], ModelRef],
        prepare: Callable[[Deployment], Prepared],
        stored: StoredModels | None = None,
    ) -> None:
        self._stored = stored
        self._engine, self._resolve, self._prepare = engine, resolve, prepare
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="preflight")

    def check(self, deployment: Deployment, *, note: ChangeNote, manifest: str = "") -> Report:
        """Look at everything. Raises nothing: what goes wrong is a finding.

        `manifest` is the text that the deployment was read from, where somebody wrote one.
        """
        try:
            deployment.validated()
        except InvalidDeployment as error:
            return Report(tuple(_block("rules", f"{problem[:1].upper()}{problem[1:]}.") for problem in error.problems))
        except DecantError as error:
            return Report((_block("names", error.sentence, error.hint),))
        running = self._pool.submit(self._running, deployment)
        models, found = self._models(deployment)
        prepared, told = self._place(deployment)
        found += told
        found += self._absent(deployment, models)
        found += _pairs(deployment, models)
        found += self._engine_says(prepared, models, note)
        if manifest:
            found += self._left_out(manifest, prepared, note)
        wait([running], timeout=DEADLINE_S)
        kept = running.result() if running.done() and running.exception() is None else frozenset()
        judged = (_mild(f) if f.predictor in kept else f for f in found if f.predictor not in kept or f.topic != "time")
        return Report(tuple(sorted(dict.fromkeys(judged), key=lambda f: ORDER.index(f.severity))))

    def left_out(self, manifest: str, deployment: Deployment, *, note: ChangeNote) -> list[Finding]:
        """What the manifest says that a deployment was read from, and what would not be there afterwards.

        Raises what the engine raises when it is asked what would be there.
        """
        fields = unsent(yaml.safe_load(manifest), yaml.safe_load(self._engine.preview(deployment, note=note)))
        if not fields:
            return []
        mend = "Take it out of the file, or apply the file with kubectl: what is there by then, Decant keeps."
        return [_block("manifest", f"The manifest says what Decant would leave out: {', '.join(fields)}.", mend)]

    def _left_out(self, manifest: str, prepared: Deployment, note: ChangeNote) -> list[Finding]:
        asked = self._pool.submit(lambda: self.left_out(manifest, prepared, note=note))
        wait([asked], timeout=DEADLINE_S)
        found = _answer(asked, "The engine")
        return [_told(found, "engine")] if isinstance(found, Finding) else found

    def _running(self, deployment: Deployment) -> frozenset[str]:
        """Predictors that are ready already and stay as they are: nothing that is said of them can be sure to fail."""
        try:
            status = self._engine.get(deployment.namespace, deployment.name)
        except DecantError:
            return frozenset()
        live = {p.name: p for p in status.deployment.predictors if status.predictor(p.name).phase is Phase.READY}
        return frozenset(p.name for p in deployment.predictors if _same_model(p, live.get(p.name)))

    def _models(self, deployment: Deployment) -> tuple[dict[str, ModelRef], list[Finding]]:
        """The models that could be looked at, by predictor, and what is to say of the others."""
        models: dict[str, ModelRef] = {}
        found = []
        asked = {}
        for predictor in deployment.predictors:
            if predictor.model_uri.partition("://")[0] in UNSEEN:
                words = "Its model lies on a volume that only the cluster sees: nobody could look at it."
                found.append(Finding(Severity.WARNS, "model", words, predictor=predictor.name))
            else:
                asked[predictor.name] = self._pool.submit(self._resolve, predictor.model_uri)
        wait(asked.values(), timeout=DEADLINE_S)
        for predictor in deployment.predictors:
            if predictor.name in asked:
                answer = _answer(asked[predictor.name], _source(predictor.model_uri))
                if isinstance(answer, Finding):
                    found.append(_told(answer, "model", predictor.name))
                else:
                    models[predictor.name] = answer
                    words = f"It has a python_function flavour ({_flavours(answer)})."
                    found.append(Finding(Severity.FINE, "model", words, predictor=predictor.name))
        return models, found

    def _place(self, deployment: Deployment) -> tuple[Deployment, list[Finding]]:
        """The deployment with the addresses that the engine would get, and what is to say of them."""
        asked = self._pool.submit(self._prepare, deployment)
        wait([asked], timeout=DEADLINE_S)
        prepared = _answer(asked, "MLflow")
        if isinstance(prepared, Finding):
            # A model that nobody answers for is told of beside the model.
            return deployment, [_told(prepared, "place")] if prepared.severity is Severity.BLOCKS else []
        found = []
        for predictor in prepared.deployment.predictors:
            if predictor.name in prepared.waiting:
                words = f"Its model is copied to {predictor.model_uri} first."
                found.append(Finding(Severity.FINE, "place", words, predictor=predictor.name))
            elif predictor.model_uri != deployment.predictor(predictor.name).model_uri:
                words = f"Its model is read in place, from {predictor.model_uri}."
                found.append(Finding(Severity.FINE, "place", words, predictor=predictor.name))
        return prepared.deployment, found

    def _absent(self, deployment: Deployment, models: dict[str, ModelRef]) -> list[Finding]:
        """Addresses in the model store with no model at them; MLflow may well know the model that should be there."""
        if self._stored is None:
            return []
        asked: dict[str, Future[None]] = {
            p.name: self._pool.submit(self._stored.check, p.model_uri)
            for p in deployment.predictors
            if p.name in models and self._stored.holds(p.model_uri)
        }
        wait(asked.values(), timeout=DEADLINE_S)
        found = []
        for name, answer in asked.items():
            said = _answer(answer, "The model store")
            if isinstance(said, Finding):
                found.append(_told(said, "place", name))
        return found

    def _engine_says(self, deployment: Deployment, models: dict[str, ModelRef], note: ChangeNote) -> list[Finding]:
        facts = {name: model.facts for name, model in models.items()}
        asked = self._pool.submit(lambda: list(self._engine.preflight(deployment, facts, note=note)))
        dry = self._pool.submit(lambda: self._engine.apply(deployment, note=note, dry_run=True))
        both: list[Future[Any]] = [asked, dry]
        wait(both, timeout=DEADLINE_S)
        said = _answer(asked, "The engine")
        found = [_told(said, "engine")] if isinstance(said, Finding) else said
        refused = dry.exception() if dry.done() else None
        if isinstance(refused, Forbidden) and any(f.topic == RIGHTS and f.severity is Severity.BLOCKS for f in found):
            return found  # the same missing right, in the API server's words
        # Another owner is asked about by whoever applies it, and may be taken over from.
        if isinstance(refused, DecantError) and not isinstance(refused, Conflict | Unavailable):
            found.append(_block("engine", refused.sentence, refused.hint))
        return found


def _same_model(wanted: Predictor, live: Predictor | None) -> bool:
    return live is not None and (wanted.model_uri, wanted.parameters) == (live.model_uri, live.parameters)


def _mild(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNS) if finding.severity is Severity.BLOCKS else finding


def _pairs(deployment: Deployment, models: dict[str, ModelRef]) -> Iterator[Finding]:
    arms = [p.name for p in deployment.predictors if p.name in models]
    for first, second in pairwise(arms):
        yield from compare(models[first].signature, models[second].signature, (first, second))


def _answer(asked: Future[T], part: str) -> T | Finding:
    """What came back, or a finding that says what kept it."""
    if not asked.done():
        asked.cancel()
        words = f"{part} did not answer within {DEADLINE_S:g} s: this was not looked at."
        return Finding(Severity.WARNS, "", words, "Check again in a moment.")
    error = asked.exception()
    if error is None:
        return asked.result()
    if isinstance(error, Unavailable):
        return Finding(Severity.WARNS, "", f"{error.sentence} This was not looked at.", error.hint)
    if isinstance(error, DecantError):
        return Finding(Severity.BLOCKS, "", error.sentence, error.hint)
    log.error("a pre-flight check failed", exc_info=error)
    return Finding(Severity.WARNS, "", f"A check failed by itself: {error}.", "The details are in the log.")


def _source(uri: str) -> str:
    return "MLflow" if uri.startswith(("models:/", "runs:/")) else "The model's store"


def _told(problem: Finding, topic: str, predictor: str = "") -> Finding:
    return Finding(problem.severity, topic, problem.what, problem.mend, predictor)


def _block(topic: str, what: str, mend: str = "") -> Finding:
    return Finding(Severity.BLOCKS, topic, what, mend)


def _flavours(model: ModelRef) -> str:
    named: Sequence[str] = [f for f in model.flavors if f != "python_function"]
    return ", ".join(named) or "a class of its own"
