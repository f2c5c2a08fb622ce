"""Trainings through a real MLflow server, from submit to the end of every process they started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from services.errors import InvalidInput, NotFound
from services.evidence.database import open_database
from services.jobs.process_tree import ProcessTree
from services.jobs.queue import open_queue
from services.jobs.states import JobState
from services.jobs.training import INTERRUPTED, Training, TrainingJobs
from services.settings import ROOT, Settings
from services.tracking.models import ModelCatalogue
from tests.support.mlflow_server import RunningMlflow, stop_tree
from tests.support.waiting import free_port, wait_until

SLOW = """
import os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
child.wait()
"""
BROKEN = """
import sys
print("loading", sys.argv[1])
raise ValueError("the column quality is missing")
"""


@pytest.fixture
def settings(tmp_path: Path, mlflow_server: RunningMlflow) -> Settings:
    made = Settings(state_dir=tmp_path / "state", mlflow_tracking_uri=mlflow_server.uri, mlflow_experiment="trainings")
    made.paths.create()
    return made


@pytest.fixture
def jobs(settings: Settings) -> Iterator[TrainingJobs]:
    made = make_jobs(settings)
    yield made
    made.stop()
    assert list(settings.paths.jobs.glob("training-*")) == [], "a training was not settled"


def make_jobs(settings: Settings) -> TrainingJobs:
    return TrainingJobs(open_database(settings.store_url), open_queue(settings), settings)


def test_another_machine_reads_the_log_and_settles_what_a_lost_worker_left(
    settings: Settings, postgres_url: str, tmp_path: Path
) -> None:
    shared = settings.model_copy(update={"database_url": postgres_url})
    elsewhere = Settings(
        state_dir=tmp_path / "elsewhere", mlflow_tracking_uri=settings.tracking_uri, database_url=postgres_url
    )
    here, there = make_jobs(shared), make_jobs(elsewhere)
    training = here.submit({"note": "x"}, who="ann", project=make_project(tmp_path / "broken", BROKEN))
    here.run(training.id)
    shutil.rmtree(shared.paths.log)
    assert "ValueError: the column quality is missing" in there.log(training.id)

    note = tmp_path / "pids"
    slow = here.submit({"note": str(note)}, who="ann", project=make_project(tmp_path / "slow", SLOW))
    thread = running(here, slow)
    try:
        wait_until(note.exists, what="the training to be under way")
        assert there.waiting() == [] and there.get(slow.id).state is JobState.RUNNING
        with open_database(postgres_url).begin() as connection:  # as if the machine had been gone for a minute
            connection.execute(sa.text("UPDATE leases SET until = 0"))
        assert there.waiting() == []
        assert (there.get(slow.id).state, there.get(slow.id).message) == (JobState.FAILED, INTERRUPTED)
    finally:
        here.stop()
        thread.join(30)
    assert not any(psutil.pid_exists(pid) for pid in pids_in(note))


def make_project(folder: Path, code: str) -> Path:
    folder.mkdir()
    (folder / "MLproject").write_text(
        "name: test\ndatabricks_spark_job: {}\n"
        "entry_points:\n  main:\n    parameters: {note: string}\n    command: python code.py {note}\n"
    )
    (folder / "code.py").write_text(code)
    return folder


def running(jobs: TrainingJobs, training: Training) -> threading.Thread:
    thread = threading.Thread(target=jobs.run, args=(training.id,))
    thread.start()
    return thread


def pids_in(note: Path) -> list[int]:
    return [int(word) for word in note.read_text().split()] if note.exists() and note.read_text() else []


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_training_ends_with_a_run_and_a_model(jobs: TrainingJobs, settings: Settings) -> None:
    training = jobs.submit({"alpha": "0.75", "l1_ratio": ".2"}, who="ada")
    assert training.state is JobState.QUEUED
    assert jobs.waiting() == [training.id]
    jobs.run(training.id)
    done = jobs.get(training.id)
    assert (done.state, done.message) == (JobState.DONE, "")
    assert done.run_id and done.started_at and done.finished_at
    run = MlflowClient(settings.tracking_uri).get_run(done.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "ElasticNet α=0.75 l1=0.2"
    assert run.data.tags["mlflow.user"] == "ada"
    assert run.data.tags["decant.training"] == str(training.id)
    assert round(run.data.metrics["rmse"], 4) == 0.8118
    assert run.data.params == {"alpha": "0.75", "l1_ratio": ".2"}
    assert ModelCatalogue(settings.tracking_uri).resolve(done.run_id).signature.named
    assert any("rmse 0.8118" in line for line in jobs.log(training.id))
    assert jobs.recent() == [done]
    jobs.run(training.id)  # a second message for the same job
    assert jobs.get(training.id) == done


def test_the_run_is_known_while_it_trains_and_cancel_ends_everything(
    jobs: TrainingJobs, settings: Settings, tmp_path: Path
) -> None:
    note = tmp_path / "pids"
    training = jobs.submit({"note": str(note)}, who="ada", project=make_project(tmp_path / "slow", SLOW))
    thread = running(jobs, training)
    pids = wait_until(lambda: pids_in(note), timeout_s=60, what="the project to start")
    run_id = wait_until(lambda: jobs.get(training.id).run_id, what="the run id")
    client = MlflowClient(settings.tracking_uri)
    assert client.get_run(run_id).info.status == "RUNNING"
    jobs.cancel(training.id)
    wait_until(lambda: not any(map(alive, pids)), timeout_s=10, what="the processes to end")
    thread.join(timeout=30)
    ended = jobs.get(training.id)
    assert (ended.state, ended.message) == (JobState.CANCELLED, "")
    assert client.get_run(run_id).info.status == "KILLED"


def test_a_queued_training_that_is_cancelled_never_runs(jobs: TrainingJobs) -> None:
    training = jobs.submit({"alpha": "1"}, who="ada")
    jobs.cancel(training.id)
    jobs.run(training.id)
    ended = jobs.get(training.id)
    assert (ended.state, ended.run_id, ended.started_at) == (JobState.CANCELLED, None, None)
    jobs.cancel(training.id)  # once more does no harm
    assert jobs.log(training.id) == []


def test_a_failing_project_is_explained_by_its_own_last_error(
    jobs: TrainingJobs, settings: Settings, tmp_path: Path
) -> None:
    training = jobs.submit({"note": "x"}, who="ada", project=make_project(tmp_path / "broken", BROKEN))
    jobs.run(training.id)
    failed = jobs.get(training.id)
    assert failed.state is JobState.FAILED
    assert failed.message == "The project's command failed: ValueError: the column quality is missing"
    assert "loading x" in jobs.log(training.id)
    assert failed.run_id
    assert MlflowClient(settings.tracking_uri).get_run(failed.run_id).info.status == "FAILED"


def test_a_value_that_only_the_project_can_judge(jobs: TrainingJobs) -> None:
    training = jobs.submit({"alpha": "0.5", "l1_ratio": "7"}, who="ada")
    jobs.run(training.id)
    assert "l1_ratio is 7.0; it must lie between 0 and 1" in jobs.get(training.id).message


def test_a_process_killed_from_outside_is_named_as_such(jobs: TrainingJobs, settings: Settings, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    training = jobs.submit({"note": str(note)}, who="ada", project=make_project(tmp_path / "slow", SLOW))
    thread = running(jobs, training)
    pids = wait_until(lambda: pids_in(note), timeout_s=60, what="the project to start")
    leader = ProcessTree.load(settings.paths.jobs / f"training-{training.id}.json")
    assert leader
    psutil.Process(leader.pid).kill()
    thread.join(timeout=30)
    failed = jobs.get(training.id)
    assert failed.state is JobState.FAILED
    assert "ended by signal 9" in failed.message
    assert not any(map(alive, pids))
    assert failed.run_id
    assert MlflowClient(settings.tracking_uri).get_run(failed.run_id).info.status == "FAILED"


def test_a_worker_told_to_stop_ends_its_training(jobs: TrainingJobs, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    training = jobs.submit({"note": str(note)}, who="ada", project=make_project(tmp_path / "slow", SLOW))
    thread = running(jobs, training)
    pids = wait_until(lambda: pids_in(note), timeout_s=60, what="the project to start")
    jobs.stop()
    thread.join(timeout=30)
    stopped = jobs.get(training.id)
    assert (stopped.state, stopped.message) == (JobState.FAILED, INTERRUPTED)
    assert not any(map(alive, pids))


def test_what_a_killed_worker_left_is_ended_and_marked(settings: Settings, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    jobs = make_jobs(settings)
    training = jobs.submit({"note": str(note)}, who="ada", project=make_project(tmp_path / "slow", SLOW))
    waiting = jobs.submit({"alpha": "1"}, who="ada")
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(settings.state_dir), settings.tracking_uri, str(training.id)], cwd=ROOT
    )
    try:
        pids = wait_until(lambda: pids_in(note), timeout_s=60, what="the project to start")
        run_id = wait_until(lambda: jobs.get(training.id).run_id, what="the run id")
        worker.kill()
        worker.wait(timeout=10)
        assert all(map(alive, pids)), "nothing else ends the training"
        assert make_jobs(settings).recover() == [waiting.id]
    finally:
        stop_tree(worker)
    left = jobs.get(training.id)
    assert (left.state, left.message, left.run_id) == (JobState.FAILED, INTERRUPTED, run_id)
    assert not any(map(alive, pids))
    assert MlflowClient(settings.tracking_uri).get_run(run_id).info.status == "KILLED"


WORKER = """
import sys
from services.evidence.database import open_database
from services.jobs.queue import open_queue
from services.jobs.training import TrainingJobs
from services.settings import Settings
settings = Settings(state_dir=sys.argv[1], mlflow_tracking_uri=sys.argv[2])
TrainingJobs(open_database(settings.store_url), open_queue(settings), settings).run(int(sys.argv[3]))
"""


def test_without_a_tracking_server_it_says_so(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}")
    settings.paths.create()
    jobs = make_jobs(settings)
    training = jobs.submit({"alpha": "1"}, who="ada")
    jobs.run(training.id)
    message = jobs.get(training.id).message
    assert message == "The training could not be run: MLflow does not answer: nothing listens at its address"


def test_a_training_that_does_not_exist(jobs: TrainingJobs) -> None:
    for ask in (jobs.get, jobs.log, jobs.cancel):
        with pytest.raises(NotFound, match="training “77”"):
            ask(77)


def test_a_missing_program_is_named_before_anything_is_queued(
    jobs: TrainingJobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MLFLOW_CONDA_HOME", raising=False)
    for manager, program in (("conda", "conda"), ("virtualenv", "pyenv"), ("uv", "uv")):
        with pytest.raises(InvalidInput, match=f"needs {program}, which is not on the path"):
            jobs.submit({"alpha": "1"}, who="ada", env_manager=manager)
    assert jobs.recent() == []


def test_the_verbatim_command_works(settings: Settings) -> None:
    """`mlflow run data/wine-quality -P alpha=0.5 -P l1_ratio=0.5` with nothing but the environment active."""
    bin_folder = Path(sys.executable).parent
    # Other tests leave MLflow's own marks in the environment, such as the experiment that was last chosen.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment = plain | {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "MLFLOW_EXPERIMENT_NAME": "verbatim",
        "PATH": f"{bin_folder}:/usr/bin:/bin",
    }
    subprocess.run(
        [bin_folder / "mlflow", "run", "data/wine-quality", "-P", "alpha=0.5", "-P", "l1_ratio=0.5"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        timeout=240,
    )
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name("verbatim")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert {name: round(value, 4) for name, value in run.data.metrics.items()} == {
        "rmse": 0.8222,
        "mae": 0.6279,
        "r2": 0.1268,
    }
    assert run.info.run_name == "ElasticNet α=0.5 l1=0.5"
    inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert set(inputs) == {"training", "test"}
    assert inputs["training"].digest != inputs["test"].digest
    ref = ModelCatalogue(settings.tracking_uri).resolve(run.info.run_id)
    assert len(ref.signature.columns) == 11
    assert ref.input_example and len(ref.input_example) == 5
    assert all("==" in requirement for requirement in ref.requirements)
