"""From a model in MLflow to a deployment that Seldon can read, by a real worker, MLflow server and S3 server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from services.domain import ChangeNote, Deployment, DeploymentStatus, Predictor, Split
from services.errors import Foreign, InvalidInput, Unavailable
from services.jobs.publications import Publication
from services.jobs.states import JobState
from services.publishing.marker import MARKER
from services.publishing.publisher import Step
from services.settings import ROOT, Settings
from services.tracking.registry import Registry
from tests.support.mlflow_server import RunningMlflow
from tests.support.models import elastic_net
from tests.support.publication_worker import Desk, open_desk
from tests.support.seaweed import BUCKET, SECRET, RunningStore
from tests.support.tracking import tracking_at
from tests.support.waiting import free_port, wait_until

ADA = ChangeNote("ada", "the new wines")
MANY = 120

Start = Callable[[], subprocess.Popen[bytes]]


@dataclass(frozen=True)
class Library:
    """What MLflow knows: a logged model, the same as a run's model of MLflow 2, and a logged one of many files."""

    uri: str
    logged: str
    old: str
    large: str


@pytest.fixture(scope="module")
def library(mlflow_server: RunningMlflow, tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("models")
    saved, large = elastic_net(folder, "wine"), elastic_net(folder, "large", alpha=0.02)
    (large / "parts").mkdir()
    for number in range(MANY):
        (large / "parts" / f"{number:03}.bin").write_bytes(number.to_bytes(2) * 500)
    client = MlflowClient(mlflow_server.uri)
    experiment = client.create_experiment(f"publications-{uuid.uuid4().hex[:8]}")
    run = client.create_run(experiment, run_name="calm-merlot")
    client.log_artifacts(run.info.run_id, str(saved), "model")
    client.set_terminated(run.info.run_id)
    ids = []
    for name, files in (("wine", saved), ("large", large)):
        made = client.create_logged_model(experiment, name=name, source_run_id=run.info.run_id)
        client.log_model_artifacts(made.model_id, str(files))
        client.finalize_logged_model(made.model_id, "READY")
        ids.append(made.model_id)
    return Library(mlflow_server.uri, ids[0], f"runs:/{run.info.run_id}/model", ids[1])


@pytest.fixture
def prefix() -> str:
    return f"p{uuid.uuid4().hex[:8]}"


@pytest.fixture
def variables(s3: RunningStore, prefix: str) -> dict[str, str]:
    return {
        "DECANT_MODEL_STORE": f"s3://{BUCKET}/{prefix}",
        "DECANT_MODEL_STORE_ENDPOINT": s3.endpoint,
        "DECANT_MODEL_SECRET": "decant-models",
        **s3.environment,
    }


@pytest.fixture
def desk(tmp_path: Path, library: Library, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return open_desk(Settings(state_dir=tmp_path / "state", mlflow_tracking_uri=library.uri, engine="kubernetes"))


@pytest.fixture
def start(desk: Desk, library: Library) -> Iterator[Start]:
    """Start a worker on the test's state folder; all are killed at the end."""
    workers: list[subprocess.Popen[bytes]] = []
    state = desk.settings.paths.root

    def start() -> subprocess.Popen[bytes]:
        with (state / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.support.publication_worker", str(state), library.uri]
            workers.append(subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stderr=log))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait(10)


def wine(*models: str) -> Deployment:
    shares = (80, 20) if len(models) == 2 else (100,)
    return Deployment(
        "seldon", "wine", tuple(Predictor(n, m, s) for n, m, s in zip("ab", models, shares, strict=False))
    )


def asked(desk: Desk, deployment: Deployment, **options: str) -> Publication:
    made = desk.publications.apply(deployment, note=ADA, **options)
    assert isinstance(made, Publication)
    return made


def ended(desk: Desk, number: int) -> Publication:
    def final() -> Publication | None:
        found = desk.publications.get(number)
        return found if found.state.final else None

    found = wait_until(final, timeout_s=90, what="the publication to end")
    assert found is not None
    return found


def keys(s3: RunningStore, prefix: str) -> dict[str, int]:
    from pyarrow.fs import FileSelector, FileType

    found = s3.files().get_file_info(FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True))
    return {f.path.removeprefix(f"{BUCKET}/{prefix}/"): f.mtime_ns for f in found if f.type is FileType.File}


def test_models_are_published_and_the_deployment_applied_with_their_addresses(
    desk: Desk, library: Library, start: Start, s3: RunningStore, prefix: str
) -> None:
    queued = asked(desk, wine(f"models:/{library.logged}", library.old))
    assert (queued.state, queued.progress, queued.who) == (JobState.QUEUED, 0, "ada")
    start()
    done = ended(desk, queued.id)
    assert (done.state, done.message, done.progress) == (JobState.DONE, "", 1)
    a, b = desk.engine.get("seldon", "wine").deployment.predictors
    assert a.model_uri == f"s3://{BUCKET}/{prefix}/{library.logged}"
    assert b.model_uri.startswith(f"s3://{BUCKET}/{prefix}/sha256-")
    assert [a.env_secret, b.env_secret] == ["decant-models", "decant-models"]
    stored = keys(s3, prefix)
    assert {f"{library.logged}/MLmodel", f"{library.logged}/{MARKER}"} <= set(stored)
    entry = desk.operations.history("seldon", "wine")[0]
    assert (entry.who, entry.why) == ("ada", "the new wines")

    # Whoever asks MLflow about a published address hears of the model it was copied from.
    assert desk.models.resolve(a.model_uri).uri == f"models:/{library.logged}"
    assert desk.models.resolve(b.model_uri).uri == library.old
    registry = Registry(library.uri, desk.store.publications.source_of)
    assert registry.lineage(b.model_uri, b.provenance).source.endswith("/artifacts/model")

    # Moving traffic keeps the addresses, and applying the same again neither sends nor changes anything.
    desk.operations.set_traffic("seldon", "wine", Split.of({"a": 50, "b": 50}), note=ADA)
    again = ended(desk, asked(desk, wine(f"models:/{library.logged}", library.old)).id)
    assert [model.reused for model in again.models] == [True, True]
    assert keys(s3, prefix) == stored
    assert desk.engine.get("seldon", "wine").deployment.predictor("b").model_uri == b.model_uri
    log = (desk.settings.paths.root / "worker.log").read_text()
    assert SECRET not in log


def test_a_worker_that_is_killed_in_the_middle_leaves_no_model_and_the_next_one_goes_on(
    desk: Desk, library: Library, start: Start, s3: RunningStore, prefix: str
) -> None:
    queued = asked(desk, wine(f"models:/{library.large}"))
    worker = start()

    def under_way() -> bool:
        moved = desk.publications.get(queued.id).models[0].moved
        return moved.step is Step.UPLOADING and moved.files >= 10

    wait_until(under_way, timeout_s=90, what="some files to be there")
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    left = keys(s3, prefix)
    assert left, "some files are there"
    assert f"{library.large}/{MARKER}" not in left
    assert desk.engine.list() == [], "nothing was applied"
    assert not desk.publications.get(queued.id).state.final

    start()
    done = ended(desk, queued.id)
    assert (done.state, done.message) == (JobState.DONE, "")
    after = keys(s3, prefix)
    assert f"{library.large}/{MARKER}" in after
    whole = [key for key in left if key in after and after[key] == left[key]]
    assert len(whole) >= len(left) - 1, "what was whole is not sent again"
    applied = desk.engine.get("seldon", "wine").deployment.predictors[0]
    assert applied.model_uri == f"s3://{BUCKET}/{prefix}/{library.large}"
    assert not (desk.settings.paths.jobs / f"publication-{queued.id}").exists(), "what was fetched is gone"


def test_a_cancelled_publication_applies_nothing(
    desk: Desk, library: Library, start: Start, s3: RunningStore, prefix: str
) -> None:
    waiting, running = asked(desk, wine(f"models:/{library.logged}")), asked(desk, wine(f"models:/{library.large}"))
    desk.publications.cancel(waiting.id)
    assert desk.publications.get(waiting.id).state is JobState.CANCELLED
    start()
    wait_until(
        lambda: desk.publications.get(running.id).models[0].moved.step is not Step.WAITING, what="it to be under way"
    )
    desk.publications.cancel(running.id)
    assert ended(desk, running.id).state is JobState.CANCELLED
    assert desk.engine.list() == []
    assert f"{library.large}/{MARKER}" not in keys(s3, prefix)


def test_a_change_made_while_models_were_published_is_not_overwritten(
    desk: Desk, library: Library, start: Start
) -> None:
    desk.operations.apply(wine("s3://elsewhere/m"), note=ADA)
    queued = asked(desk, wine(f"models:/{library.logged}"))
    desk.operations.apply(wine("s3://elsewhere/other"), note=ChangeNote("bo"))
    start()
    done = ended(desk, queued.id)
    assert done.state is JobState.FAILED
    assert "has changed since you read it" in done.message
    assert desk.engine.get("seldon", "wine").deployment.predictors[0].model_uri == "s3://elsewhere/other"


def test_a_publication_that_was_applied_by_a_killed_worker_is_done(
    desk: Desk, library: Library, start: Start, prefix: str
) -> None:
    queued = asked(desk, wine(f"models:/{library.logged}"))
    made = desk.publications.prepare(wine(f"models:/{library.logged}")).deployment
    desk.operations.apply(made, note=ADA, expected_version="")  # as the worker did just before it was killed
    before = desk.engine.get("seldon", "wine").version
    start()
    done = ended(desk, queued.id)
    assert (done.state, done.message) == (JobState.DONE, "")
    assert desk.engine.get("seldon", "wine").version == before


def test_a_failure_is_kept_in_words_and_trying_again_works(
    desk: Desk, library: Library, start: Start, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    worker = start()
    failed = ended(desk, asked(desk, wine(f"models:/{library.logged}")).id)
    assert failed.state is JobState.FAILED
    assert "The model store answered 403" in failed.message
    assert "a-wrong-secret" not in failed.message
    worker.terminate()
    worker.wait(30)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", variables["AWS_SECRET_ACCESS_KEY"])
    start()
    assert ended(desk, asked(desk, wine(f"models:/{library.logged}")).id).state is JobState.DONE


@pytest.fixture
def on_s3(
    tmp_path: Path, s3: RunningStore, prefix: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Desk, str]]:
    """A Decant whose MLflow keeps its artifacts on S3 itself, not behind its server; and a model in it."""
    for name, value in {**variables, "MLFLOW_S3_ENDPOINT_URL": s3.endpoint}.items():
        monkeypatch.setenv(name, value)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("on-s3", artifact_location=f"s3://{BUCKET}/{prefix}/mlflow")
    made = client.create_logged_model(experiment, name="wine")
    with tracking_at(uri):  # a database looks up the place of a logged model's files wherever MLflow tracks
        client.log_model_artifacts(made.model_id, str(elastic_net(tmp_path, "wine")))
    client.finalize_logged_model(made.model_id, "READY")
    yield open_desk(Settings(state_dir=tmp_path / "s3", mlflow_tracking_uri=uri, engine="kubernetes")), made.model_id


def test_a_model_whose_files_are_on_s3_already_is_used_in_place(
    on_s3: tuple[Desk, str], s3: RunningStore, prefix: str
) -> None:
    desk, model_id = on_s3
    before = keys(s3, prefix)
    done = desk.publications.apply(wine(f"models:/{model_id}"), note=ADA)
    assert isinstance(done, DeploymentStatus), "nothing has to be published"
    (arm,) = done.deployment.predictors
    assert arm.model_uri.startswith(f"s3://{BUCKET}/{prefix}/mlflow/")
    assert f"{arm.model_uri.removeprefix(f's3://{BUCKET}/{prefix}/')}/MLmodel" in before
    assert arm.env_secret == "decant-models"
    assert keys(s3, prefix) == before
    assert desk.models.resolve(arm.model_uri).uri == f"models:/{model_id}"


def test_a_bucket_of_mlflow_that_is_down_is_said_in_words(
    on_s3: tuple[Desk, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, model_id = on_s3
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="MLflow's artifact bucket") as caught:
        desk.publications.apply(wine(f"models:/{model_id}"), note=ADA)
    assert "MLFLOW_S3_ENDPOINT_URL" in caught.value.hint


def test_what_seldon_reads_is_applied_at_once(desk: Desk) -> None:
    done = desk.publications.apply(wine("gs://seldon-models/a", "pvc://claim/b"), note=ADA)
    assert isinstance(done, DeploymentStatus)
    assert [p.model_uri for p in done.deployment.predictors] == ["gs://seldon-models/a", "pvc://claim/b"]
    assert [p.env_secret for p in done.deployment.predictors] == ["", ""], "the store's Secret opens the store alone"
    assert desk.publications.recent() == []


def test_new_arms_get_time_to_build_their_environment_and_others_keep_what_they_have(desk: Desk) -> None:
    desk.operations.apply(wine("gs://seldon-models/a"), note=ADA)  # by hand: no budget
    done = desk.publications.apply(wine("gs://seldon-models/other", "gs://seldon-models/b"), note=ADA)
    assert isinstance(done, DeploymentStatus)
    assert [p.start_budget_s for p in done.deployment.predictors] == [None, 1800]


def test_another_tools_deployment_is_said_to_be_before_anything_is_published(desk: Desk, library: Library) -> None:
    desk.engine.apply(wine("s3://m/a"), note=ADA)
    desk.engine.managers["seldon", "wine"] = "argocd"
    with pytest.raises(Foreign, match="argocd") as refused:
        desk.publications.apply(wine(library.logged), note=ADA)
    assert "--take-over" in refused.value.hint
    assert desk.publications.recent() == []
    assert isinstance(desk.publications.apply(wine(library.logged), note=replace(ADA, take_over=True)), Publication)


def test_without_a_store_it_is_said_what_to_set(tmp_path: Path, library: Library) -> None:
    bare = open_desk(Settings(state_dir=tmp_path / "bare", mlflow_tracking_uri=library.uri, engine="kubernetes"))
    with pytest.raises(InvalidInput, match="there is no place to copy it to") as caught:
        bare.publications.apply(wine(f"models:/{library.logged}"), note=ADA)
    assert "DECANT_MODEL_STORE to s3://bucket/prefix" in caught.value.hint


def test_on_one_machine_nothing_is_published(tmp_path: Path, library: Library) -> None:
    local = open_desk(Settings(state_dir=tmp_path / "local", mlflow_tracking_uri=library.uri))
    done = local.publications.apply(wine(f"models:/{library.logged}"), note=ADA)
    assert isinstance(done, DeploymentStatus)
    assert done.deployment.predictors[0].model_uri == f"models:/{library.logged}"
