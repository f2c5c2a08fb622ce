"""A start in the background: whoever calls it off ends it, wherever it is by then, and the one who waits is told."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime import launcher, ownership
from services.settings import ROOT
from tests.support.system import System
from tests.support.waiting import wait_until

START_FAILED = 7


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    own = System(tmp_path / "state")
    yield own
    launcher.down(own.settings, lambda _: None)


def in_the_background(system: System) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", "up", "--background"],
        cwd=ROOT,
        env=system.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def assert_nothing_is_left(system: System) -> None:
    assert ownership.running(system.settings) is None
    wait_until(lambda: not system.processes(), what="every process of the start to be gone")


def test_down_ends_a_start_that_is_under_way(system: System) -> None:
    waiting = in_the_background(system)
    wait_until(lambda: "envoy" in system.parts(), timeout_s=60, what="the start to be under way")
    done = system.run("down")
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        ["Decant is still starting; calling the start off ...", "Decant has stopped."],
    )
    assert_nothing_is_left(system)
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == START_FAILED
    assert "Decant did not start: it was stopped before it was ready." in said


def test_down_ends_a_start_that_does_not_hold_the_state_folder_yet(system: System) -> None:
    waiting = in_the_background(system)
    wait_until(lambda: system.processes(launcher.BACKGROUND), timeout_s=60, what="the start to begin")
    assert launcher.down(system.settings, lambda _: None)
    assert_nothing_is_left(system)
    waiting.communicate(timeout=60)
    assert waiting.returncode == START_FAILED


def test_who_stops_waiting_for_a_start_ends_it(system: System) -> None:
    waiting = in_the_background(system)
    wait_until(lambda: "envoy" in system.parts(), timeout_s=60, what="the start to be under way")
    waiting.send_signal(signal.SIGTERM)
    _, said = waiting.communicate(timeout=90)
    assert waiting.returncode == 130
    assert "Calling the start off ..." in said
    assert_nothing_is_left(system)


def test_a_start_that_ends_by_itself_is_told_with_its_own_words(system: System) -> None:
    with socket.create_server(("127.0.0.1", system.settings.gateway_port)):
        done = system.run("up", "--background")
    assert done.returncode == START_FAILED
    assert "Decant did not start: it ended (exit code 9)." in done.stderr
    assert "DECANT_GATEWAY_PORT" in done.stderr
    assert_nothing_is_left(system)


def test_two_starts_at_once_make_one_and_both_wait_for_it(system: System) -> None:
    both = [in_the_background(system) for _ in range(2)]
    said = [waiting.communicate(timeout=240)[1] for waiting in both]
    assert [waiting.returncode for waiting in both] == [0, 0], said
    present = ownership.running(system.settings)
    assert present is not None and present.ready
    assert all(system.settings.dashboard_url in words for words in said)
    assert launcher.down(system.settings, lambda _: None)
    assert_nothing_is_left(system)
