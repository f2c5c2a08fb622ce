"""A small world to decide in: an engine that keeps its deployments in a file, a real store, a real MLflow."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus

from services.decisions.model import Decision, Kind
from services.decisions.reports import Reports
from services.decisions.service import Decisions
from services.decisions.world import World
from services.deployments.identity import installation
from services.domain import ChangeNote, Deployment, DeploymentStatus, Predictor, Provenance
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.operations import Operations
from services.tracking.registry import Registry
from services.verdict.model import Assessment
from services.verdict.report import render_report
from services.verdict.rule import Rule
from services.verdict.service import test_of
from tests.support import verdicts
from tests.support.memory_engine import MemoryEngine

LEAD = ChangeNote("lead", "fewer bad bottles")
NAMESPACE = "seldon"
EXPERIMENT = "decisions"


class FileEngine(MemoryEngine):
    """The engine in memory, with its deployments in a file: another process goes on with them."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def _reach(self) -> None:
        super()._reach()
        if self._file.exists():
            self._entries, self._versions = pickle.loads(self._file.read_bytes())

    def _put(self, *args: object) -> DeploymentStatus:
        status = super()._put(*args)  # type: ignore[arg-type]
        waiting = self._file.with_suffix(".new")
        waiting.write_bytes(pickle.dumps((self._entries, self._versions)))
        waiting.replace(self._file)  # whole or not at all, as the local engine writes its manifests
        return status


@dataclass
class Evidence:
    """Says of the newest test of a deployment what an example says, until it is told to say another."""

    store: EvidenceStore
    examples: dict[str, str] = field(default_factory=dict)

    def assess(self, namespace: str, name: str, test_id: int | None = None, /) -> Assessment:
        tests = self.store.tests
        record = tests.recent(namespace, name, 1)[0] if test_id is None else tests.get(test_id)
        return replace(verdicts.EXAMPLES[self.examples.get(name, "ship")](), test=test_of(record))


@dataclass
class Desk:
    """Everything a decision touches."""

    folder: Path
    tracking_uri: str
    database: sa.Engine
    engine: MemoryEngine
    store: EvidenceStore
    operations: Operations
    registry: Registry
    world: World
    decisions: Decisions
    evidence: Evidence

    @classmethod
    def open(cls, folder: Path, tracking_uri: str, store_url: str = "") -> Desk:
        """Open what is in `folder`, or begin there; the store lies in it too, unless it has an address of its own."""
        database = open_database(store_url or f"sqlite:///{folder / 'decant.db'}")
        engine, store, registry = FileEngine(folder / "engine.pickle"), EvidenceStore(database), Registry(tracking_uri)
        operations = Operations(engine, store)
        reports = Reports(folder / "decisions", store.files)
        world = World(engine, operations, registry, store.tests, store, reports, lambda: installation(folder))
        evidence = Evidence(store)
        decisions = Decisions(store.decisions, world, evidence.assess, render_report, store.leases)
        return cls(folder, tracking_uri, database, engine, store, operations, registry, world, decisions, evidence)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.tracking_uri)

    def deploy(self, name: str, arms: dict[str, str | None], shares: tuple[int, ...] = (80, 20)) -> Deployment:
        """Deploy the models of two runs (None: a folder) as arms."""
        predictors = tuple(
            replace(self._arm(arm, run_id), traffic=share)
            for (arm, run_id), share in zip(arms.items(), shares, strict=True)
        )
        deployment = Deployment(NAMESPACE, name, predictors)
        self.operations.apply(deployment, note=ChangeNote("ann", "a test"))
        return deployment

    def train(self, name: str) -> str:
        """A run with a logged model, as training leaves it (its files are never read here); returns the run's id."""
        known = self.client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else self.client.create_experiment(EXPERIMENT)
        run = self.client.create_run(experiment, run_name=name).info.run_id
        model = self.client.create_logged_model(experiment, name="model", source_run_id=run)
        self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        self.client.log_outputs(run, [LoggedModelOutput(model.model_id, 0)])
        self.client.set_terminated(run)
        return str(run)

    def model_of(self, run_id: str) -> str:
        """The logged model of a run."""
        return str(self.client.get_run(run_id).outputs.model_outputs[0].model_id)

    def start(self, name: str, example: str = "ship", rule: Rule | None = None) -> Assessment:
        """Start a test of the deployment's first two arms; its assessment is one of the examples."""
        a, b = self.engine.get(NAMESPACE, name).deployment.predictors[:2]
        chosen = rule or Rule(champion=a.name, challenger=b.name)
        self.store.tests.start(NAMESPACE, name, chosen.to_json(), a.model_uri, b.model_uri, "ann", "is b better?")
        return self.assess(name, example)

    def assess(self, name: str, example: str = "ship") -> Assessment:
        """What the evidence on the deployment's newest test says from now on."""
        self.evidence.examples[name] = example
        return self.evidence.assess(NAMESPACE, name)

    def decide(self, kind: Kind, seen: Assessment, **more: Any) -> Decision:
        """Decide as somebody who has `seen` this."""
        return self.decisions.decide(kind, seen.test.namespace, seen.test.deployment, seen=seen, **more)

    def alias(self, name: str) -> str | None:
        return self.registry.aliased(name)

    def arms(self, name: str) -> dict[str, tuple[str, int]]:
        """Model and share of each arm."""
        predictors = self.engine.get(NAMESPACE, name).deployment.predictors
        return {p.name: (p.model_uri, p.traffic) for p in predictors}

    def close(self) -> None:
        self.database.dispose()

    def _arm(self, arm: str, run_id: str | None) -> Predictor:
        if run_id is None:
            return Predictor(arm, f"/models/{arm}")
        model = self.model_of(run_id)
        return Predictor(arm, f"models:/{model}", provenance=Provenance(run_id=run_id, run_name="run", model_id=model))
