"""Models in MLflow, a store on S3 and a real API server: what stands in the SeldonDeployment when all is done."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.components.draft import ArmDraft, compose
from services.deployments.kubernetes.seldon import item
from services.domain import ChangeNote, DeploymentStatus, Resources
from services.factory import Services, build_services
from services.jobs.publications import Publication
from services.jobs.states import JobState
from services.settings import ROOT, Settings
from services.verdict.rule import Rule
from tests.support.api_server import TestCluster
from tests.support.mlflow_server import stop_tree
from tests.support.operator import StatusOperator
from tests.support.runs import Seeded, seed
from tests.support.seaweed import BUCKET, SECRET, RunningStore
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "the new wines")


@pytest.fixture
def runs(tmp_path: Path) -> Seeded:
    return seed(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)


@pytest.fixture
def prefix(s3: RunningStore, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return f"c{uuid.uuid4().hex[:8]}"


@pytest.fixture
def services(
    tmp_path: Path, cluster: TestCluster, operator: StatusOperator, namespace: str, s3: RunningStore, prefix: str
) -> Iterator[Services]:
    built = build_services(
        Settings(
            state_dir=tmp_path / "state",
            engine="kubernetes",
            kubeconfig=str(cluster.kubeconfig),
            namespaces=namespace,
            ingress="none",
            mlflow_tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
            model_store=f"s3://{BUCKET}/{prefix}",
            model_store_endpoint=s3.endpoint,
            model_secret="decant-models",
        )
    )
    yield built
    built.close()


def published(services: Services, done: DeploymentStatus | Publication) -> Publication:
    assert isinstance(done, Publication)
    services.publications.run(done.id)  # as the worker does
    found = services.publications.get(done.id)
    assert (found.state, found.message) == (JobState.DONE, "")
    return found


@pytest.fixture
def worker(services: Services) -> Iterator[dict[str, str]]:
    """A worker process with the settings of `services`; yields the variables that a command needs to work with it."""
    own = {
        f"DECANT_{name.upper()}": str(getattr(services.settings, name)) for name in services.settings.model_fields_set
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DECANT_", "MLFLOW_"))}
    environment = {**inherited, **own}
    with (services.settings.state_dir / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.jobs.worker"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: services.health.one("Worker").ok, timeout_s=90, what="the worker")
        yield environment
    finally:
        stop_tree(process)


def test_the_command_publishes_shows_it_and_applies(
    worker: dict[str, str], services: Services, cluster: TestCluster, namespace: str, runs: Seeded, prefix: str
) -> None:
    command = ["deploy", "wine", "-n", namespace, "--a", runs.first, "--b", runs.old_style, "--no-wait"]
    done = subprocess.run(
        [sys.executable, "-m", "app", *command, "--why", "the tutorial"],
        cwd=ROOT,
        env=worker,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    a, b = arms(cluster, namespace)
    assert a["graph"]["modelUri"].startswith(f"s3://{BUCKET}/{prefix}/m-")
    assert b["graph"]["modelUri"].startswith(f"s3://{BUCKET}/{prefix}/sha256-")
    assert "Publication 1: a (" in done.stderr
    assert f"b: {b['graph']['modelUri']}" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    listed = subprocess.run(
        [sys.executable, "-m", "app", "jobs"], cwd=ROOT, env=worker, capture_output=True, text=True, timeout=60
    )
    assert "publication" in listed.stdout
    assert services.operations.history(namespace, "wine")[0].why == "the tutorial"


def arms(cluster: TestCluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.admin.get(item(namespace, "wine"))["spec"]["predictors"]
    return found


def test_two_runs_become_a_deployment_that_seldon_can_read(
    services: Services, cluster: TestCluster, namespace: str, runs: Seeded, prefix: str
) -> None:
    first, second = (services.models.resolve(run) for run in (runs.first, runs.second))
    wanted = compose(namespace, "wine", None, ArmDraft("a", 1, first), ArmDraft("b", 1, second), None, 20)
    published(services, services.publications.apply(wanted, note=ADA, expected_version=""))
    a, b = arms(cluster, namespace)
    for arm, model in ((a, first), (b, second)):
        assert arm["graph"]["modelUri"] == f"s3://{BUCKET}/{prefix}/{model.provenance.model_id}"
        assert arm["graph"]["envSecretRefName"] == "decant-models"
        (container,) = arm["componentSpecs"][0]["spec"]["containers"]
        assert container["livenessProbe"]["initialDelaySeconds"] == 1800, "an environment has to be built first"
        assert arm["graph"]["parameters"] == [{"name": "xtype", "value": "DataFrame", "type": "STRING"}]
        assert arm["annotations"]["decant.dev/run-id"] == model.provenance.run_id
    assert (a["graph"]["name"], b["graph"]["name"]) == ("a-model", "b-model")
    entry = services.operations.history(namespace, "wine")[0]
    assert (entry.who, entry.what, entry.why) == ("ada", "apply", "the new wines")

    # A test of the two finds their runs in MLflow, though it knows them by the addresses in the store.
    test = services.verdicts.start(namespace, "wine", Rule("a", "b"), note=ADA)
    assert test.model_a.startswith("s3://")
    assert services.models.resolve(test.model_a).provenance.run_id == runs.first
    assert services.verdicts.running(namespace, "wine") is not None


def test_another_model_and_a_longer_start_leave_what_others_wrote_and_can_be_undone(
    services: Services, cluster: TestCluster, namespace: str, runs: Seeded, prefix: str
) -> None:
    first, second = (services.models.resolve(run) for run in (runs.first, runs.second))
    wanted = compose(namespace, "wine", None, ArmDraft("a", 1, first), None, None, None)
    published(services, services.publications.apply(wanted, note=ADA, expected_version=""))
    before = services.engine.get(namespace, "wine")

    (arm,) = compose(namespace, "wine", before.deployment, ArmDraft("a", 1, second), None, None, None).predictors
    slower = replace(arm, start_budget_s=3600, resources=Resources(memory_limit="2Gi"))
    changed = replace(before.deployment, predictors=(slower,))
    published(services, services.publications.apply(changed, note=ADA, expected_version=before.version))
    (live,) = arms(cluster, namespace)
    (container,) = live["componentSpecs"][0]["spec"]["containers"]
    assert container["name"] == "a-model"
    assert container["livenessProbe"]["initialDelaySeconds"] == 3600
    assert container["resources"] == {"limits": {"memory": "2Gi"}}
    assert live["graph"]["modelUri"].endswith(str(second.provenance.model_id))
    read = services.engine.get(namespace, "wine").deployment.predictors[0]
    assert (read.start_budget_s, read.resources.memory_limit, read.env_secret) == (3600, "2Gi", "decant-models")

    services.operations.undo(namespace, "wine", note=ADA)
    (live,) = arms(cluster, namespace)
    (container,) = live["componentSpecs"][0]["spec"]["containers"]
    assert container["livenessProbe"]["initialDelaySeconds"] == 1800
    assert "resources" not in container
    assert live["graph"]["modelUri"] == f"s3://{BUCKET}/{prefix}/{first.provenance.model_id}"
