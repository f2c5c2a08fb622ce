"""The composition root: settings in, wired services out. Browser, command line, worker and tests all start here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

from services.access.rights import READS
from services.access.view import seen_by
from services.decisions.service import Decisions, open_decisions
from services.deployments.engine import Engine
from services.domain import ChangeNote, Person
from services.engines import beating, choose_engine
from services.errors import Unavailable, without_secrets
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.health import Check, HealthChecks
from services.jobs.preparing import source_of, stored_models
from services.jobs.publications import Publications
from services.jobs.queue import open_queue
from services.jobs.replays import ReplayJobs
from services.jobs.training import TrainingJobs
from services.jobs.worker_sign import WORKER_LEASE
from services.metrics.access import Access
from services.metrics.prometheus import MetricsReader
from services.metrics.queries import Labels, Router
from services.operations import Operations
from services.preflight.check import Preflight
from services.settings import Settings
from services.tracking.datasets import DatasetCatalogue
from services.tracking.models import ModelCatalogue
from services.tracking.registry import Registry
from services.tracking.runs import RunCatalogue
from services.traffic.client import PredictionClient
from services.traffic.replay import ReplayMode, ReplaySpec
from services.verdict.reading import Sources
from services.verdict.rule import Decides
from services.verdict.service import Verdicts


@dataclass(frozen=True)
class Services:
    """Everything a surface may call. Shared by all browser sessions, so every member is thread-safe.

    As they are built they belong to the operator of the machine (command line, worker), who is a lead. A browser
    session gets them only as `for_person` hands them out.
    """

    settings: Settings
    engine: Engine
    operations: Operations
    runs: RunCatalogue
    models: ModelCatalogue
    datasets: DatasetCatalogue
    training: TrainingJobs
    predictions: PredictionClient
    replays: ReplayJobs
    publications: Publications
    metrics: MetricsReader
    store: EvidenceStore
    preflight: Preflight
    verdicts: Verdicts
    decisions: Decisions
    health: HealthChecks
    entrance: str
    """The part of `health` through which predictions go; "" where nobody can check it."""
    elsewhere: frozenset[str]
    """The parts of `health` that run in a cluster: `up` neither starts them nor waits for them."""
    close: Callable[[], None]
    """Ends what the engine keeps open; the services are of no use afterwards."""

    def for_person(self, person: Person) -> Services:
        """The same services as this person may use them: changes that a viewer asks for raise Forbidden."""
        theirs = replace(self, predictions=self.predictions.for_person(who=person.name))
        parts = {f.name: seen_by(person, f.name, getattr(theirs, f.name)) for f in fields(self) if f.name in READS}
        return replace(theirs, **parts, close=_stays_open)


def build_services(settings: Settings) -> Services:
    """Wire everything. Cheap: nothing is asked over a network before it is needed.

    Raises Unavailable if the evidence store cannot be opened.
    """
    settings.paths.create()
    chosen = choose_engine(settings)
    engine = chosen.engine
    database = open_database(settings.store_url)
    store = EvidenceStore(database)
    queue = open_queue(settings)
    runs = RunCatalogue(settings.tracking_uri)
    origin = partial(source_of, store)
    stored = stored_models(settings)
    models = ModelCatalogue(settings.tracking_uri, origin, stored)
    metrics = open_metrics(settings)
    operations = Operations(engine, store, chosen.identity)
    verdicts = Verdicts(Sources(store, engine, metrics, models, runs, settings))
    publications = Publications(store, queue, engine, operations, models, settings)
    return Services(
        settings=settings,
        engine=engine,
        operations=operations,
        runs=runs,
        models=models,
        datasets=DatasetCatalogue(settings.tracking_uri),
        training=TrainingJobs(database, queue, settings),
        predictions=PredictionClient(settings.request_timeout_s, engine.relay).for_person(who=settings.user),
        replays=ReplayJobs(
            store,
            queue,
            engine,
            settings,
            begin_test=partial(_begin_test, verdicts),
            senders=chosen.senders,
            signature_of=lambda address: models.resolve(address).signature,
        ),
        publications=publications,
        metrics=metrics,
        store=store,
        preflight=Preflight(engine, models.resolve, publications.prepare, stored),
        verdicts=verdicts,
        decisions=open_decisions(
            settings,
            engine,
            operations,
            store,
            Registry(settings.tracking_uri, origin),
            verdicts.assess,
            chosen.identity,
        ),
        health=HealthChecks(
            {
                "MLflow": runs.ping,
                **chosen.checks,
                "Worker": lambda: _worker(settings, store),
                **({"Job queue": lambda: _said(queue.waiting, queue.place)} if settings.queue_url else {}),
                **(_prometheus(settings, metrics) if settings.prometheus_address else {}),
                "Evidence store": lambda: _said(store.ping, "answers"),
            }
        ),
        entrance=chosen.entrance,
        elsewhere=frozenset(chosen.checks if chosen.remote else ()),
        close=chosen.close,
    )


def open_metrics(settings: Settings) -> MetricsReader:
    """The reader of the Prometheus that the settings name, with what it takes to be let in."""
    return MetricsReader(
        settings.prometheus_address,
        settings.scrape_interval_s,
        labels=Labels(settings.prometheus_namespace_label, settings.prometheus_matchers, _router(settings)),
        access=Access(
            token=settings.prometheus_token.get_secret_value(),
            token_file=settings.prometheus_token_file,
            user=settings.prometheus_user,
            password=settings.prometheus_password.get_secret_value(),
            ca=settings.prometheus_ca,
            tenant=settings.prometheus_tenant,
        ),
    )


def _router(settings: Settings) -> Router:
    if settings.engine == "local":
        return Router.DECANT
    return Router.ISTIO if settings.ingress == "istio" else Router.NONE


def _stays_open() -> None:
    """What one session does when asked to close what all of them share."""


def _begin_test(verdicts: Verdicts, spec: ReplaySpec, who: str) -> None:
    note = ChangeNote(who, "with the first replay")
    decides = Decides.PAIRED if spec.mode is ReplayMode.PAIRED else Decides.LIVE
    verdicts.begin_with(spec.namespace, spec.deployment, spec.reward, note=note, arms=spec.arms, decides=decides)


def _prometheus(settings: Settings, metrics: MetricsReader) -> dict[str, Check]:
    return {"Prometheus": lambda: _said(metrics.ping, without_secrets(settings.prometheus_address))}


def _worker(settings: Settings, store: EvidenceStore) -> str:
    if not store.leases.shared:
        return beating(settings, "worker")
    alive = len(store.leases.holders(WORKER_LEASE))
    if not alive:
        raise Unavailable("The worker", "none gives a sign of life", "Start one: `python -m app part worker`.")
    return "runs" if alive == 1 else f"{alive} run"


def _said(ask: Callable[[], object], detail: str) -> str:
    ask()
    return detail
