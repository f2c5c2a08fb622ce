"""Who holds the state folder: one start at a time, and looking is free."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from services.errors import AlreadyRunning
from services.runtime import launcher
from services.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def test_whoever_starts_second_is_told_where_the_first_one_is(settings: Settings) -> None:
    assert launcher.running(settings) is None
    with launcher.sole_owner(settings):
        assert launcher.running(settings) == launcher.Running(os.getpid(), settings.dashboard_url)
        with pytest.raises(AlreadyRunning, match=str(settings.dashboard_port)), launcher.sole_owner(settings):
            pass
    assert launcher.running(settings) is None


def test_a_look_at_who_runs_keeps_no_start_away(settings: Settings) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            launcher.running(settings)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(40):
            with launcher.sole_owner(settings):
                pass
    finally:
        over.set()
        watcher.join()
