"""Who holds the state folder: one start at a time, and looking is free."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from services.errors import AlreadyRunning
from services.runtime import ownership
from services.runtime.parts import parts
from services.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def test_whoever_starts_second_is_told_where_the_first_one_is(settings: Settings) -> None:
    assert ownership.running(settings) is None
    with ownership.sole_owner(settings):
        assert ownership.running(settings) == ownership.Running(os.getpid(), settings.dashboard_url)
        with pytest.raises(AlreadyRunning, match=str(settings.dashboard_port)), ownership.sole_owner(settings):
            pass
    assert ownership.running(settings) is None


def test_others_are_told_when_everything_answers(settings: Settings) -> None:
    with ownership.sole_owner(settings):
        assert ownership.running(settings) == ownership.Running(os.getpid(), settings.dashboard_url, ready=False)
        ownership.tell(settings, ready=True)
        assert ownership.running(settings) == ownership.Running(os.getpid(), settings.dashboard_url, ready=True)


def test_an_owner_that_has_not_said_who_it_is_runs_all_the_same(settings: Settings) -> None:
    with ownership.sole_owner(settings):
        (settings.paths.root / "up.json").unlink()
        assert ownership.running(settings) == ownership.Running(0, settings.dashboard_url)


def test_a_look_at_who_runs_keeps_no_start_away(settings: Settings) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            ownership.running(settings)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(40):
            with ownership.sole_owner(settings):
                pass
    finally:
        over.set()
        watcher.join()


def test_in_front_of_a_cluster_only_pages_and_helpers_are_started(tmp_path: Path) -> None:
    local = [part.label for part in parts(Settings(state_dir=tmp_path, mlflow_tracking_uri=""), Path("prometheus"))]
    assert local == ["gateway", "controller", "MLflow server", "Prometheus", "worker", "dashboard"]
    cluster = Settings(state_dir=tmp_path, engine="kubernetes", mlflow_tracking_uri="")
    assert [part.label for part in parts(cluster, None)] == ["MLflow server", "worker", "dashboard"]
    shared = Settings(state_dir=tmp_path, engine="kubernetes", mlflow_tracking_uri="http://mlflow.example")
    assert [part.label for part in parts(shared, None)] == ["worker", "dashboard"]
