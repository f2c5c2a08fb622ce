"""What becomes of a deployment before the engine gets it: addresses of models, the store's Secret, start budgets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from services.deployments.engine import Engine
from services.domain import Deployment
from services.domain.places import EXAMPLES, StorePlace, model_id_in, seldon_reads
from services.errors import InvalidInput, NotFound
from services.evidence.store import EvidenceStore
from services.publishing.store import StoreOptions
from services.publishing.stored_models import StoredModels
from services.settings import Settings
from services.tracking.models import ModelCatalogue, ModelRef

UNNAMED = "sha256-of-its-files"
"""Stands in a preview for the name of a model that has none before its files are seen."""


@dataclass(frozen=True)
class Prepared:
    """A deployment as the engine will get it.

    Attributes:
        waiting: the predictors whose models have to be published first.
        in_place: addresses that Seldon reads already, each with the name that MLflow has for the model.
    """

    deployment: Deployment
    waiting: tuple[str, ...] = ()
    in_place: tuple[tuple[str, str], ...] = ()


class Preparing:
    """Looks at the models in MLflow and at what is live; changes nothing. Thread-safe."""

    def __init__(self, engine: Engine, models: ModelCatalogue, settings: Settings) -> None:
        self._engine, self._models, self._settings = engine, models, settings

    def prepare(self, deployment: Deployment) -> Prepared:
        """What would be applied, and for what it would have to wait. Changes nothing.

        Raises what the model catalogue raises, and InvalidInput where no store is set for a model that needs one.
        """
        deployment = self.completed(deployment)
        if self._settings.runs_locally:
            return Prepared(deployment)
        predictors, waiting, in_place = [], [], []
        for predictor in deployment.predictors:
            wanted, ours = predictor, self._in_store(predictor.model_uri)
            if not seldon_reads(predictor.model_uri) and predictor.model_uri:
                ref = self._models.resolve(predictor.model_uri)
                if seldon_reads(ref.location):
                    wanted = replace(wanted, model_uri=ref.location)
                    in_place.append((ref.location, ref.uri))
                else:
                    place = self.place(ref.uri)
                    wanted = replace(wanted, model_uri=place.uri(logged_model(ref) or UNNAMED))
                    waiting.append(predictor.name)
                ours = True
            if ours and not wanted.env_secret:
                wanted = replace(wanted, env_secret=self._settings.model_secret)
            predictors.append(wanted)
        return Prepared(replace(deployment, predictors=tuple(predictors)), tuple(waiting), tuple(in_place))

    def completed(self, deployment: Deployment) -> Deployment:
        """With a start budget for new arms; those that exist keep their probes, which somebody may have chosen."""
        if self._settings.runs_locally:
            return deployment
        budget_s = self._settings.start_budget_s or None
        known = set[str]()
        if budget_s and any(p.start_budget_s is None for p in deployment.predictors):
            with suppress(NotFound):
                live = self._engine.get(deployment.namespace, deployment.name).deployment
                known = {p.name for p in live.predictors}
        arms = (
            p if p.start_budget_s is not None or p.name in known else replace(p, start_budget_s=budget_s)
            for p in deployment.predictors
        )
        return replace(deployment, predictors=tuple(arms))

    def _in_store(self, uri: str) -> bool:
        """Whether the address is one to which Decant publishes, so that the store's Secret opens it."""
        return bool(self._settings.model_store) and uri.startswith(f"{self.place(uri).uri()}/")

    def place(self, model: str) -> StorePlace:
        """Where to publish `model`. Raises InvalidInput where the settings name no place."""
        if not self._settings.model_store:
            raise InvalidInput(
                f"The cluster cannot read {model}, and there is no place to copy it to.",
                f"Set DECANT_MODEL_STORE to {EXAMPLES}; see docs/models.md.",
            )
        return StorePlace.parse(self._settings.model_store)


def store_options(settings: Settings) -> StoreOptions:
    """How the settings say that the model store is reached."""
    return StoreOptions(settings.model_store_endpoint, settings.model_store_ca, settings.model_store_path)


def stored_models(settings: Settings) -> StoredModels | None:
    """What reads models in the store; None where the settings name none."""
    if not settings.model_store:
        return None
    return StoredModels(StorePlace.parse(settings.model_store), store_options(settings))


def source_of(store: EvidenceStore, uri: str) -> str | None:
    """What MLflow calls the model at an address that Seldon reads, as far as Decant knows."""
    if not seldon_reads(uri):
        return None
    if known := store.publications.source_of(uri):
        return known
    model_id = model_id_in(uri)
    return f"models:/{model_id}" if model_id else None


def logged_model(ref: ModelRef) -> str | None:
    """Its id, where the reference names a logged model: only those never change."""
    model_id = ref.provenance.model_id
    return model_id if model_id and ref.uri == f"models:/{model_id}" else None
