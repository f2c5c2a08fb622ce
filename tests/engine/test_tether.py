"""A tethered part never outlives its parent and never runs twice. Real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.runtime import tether
from services.settings import ROOT
from tests.support.waiting import wait_until

# A part with a child of its own that would survive it, as servers with workers do.
PARENT_AND_CHILD = (
    "import subprocess, sys, signal; "
    "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']); "
    "signal.pause()"
)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    return tmp_path


def start(instance: Path, part: str, code: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, tether.INSTANCE_VARIABLE: str(instance)}
    return subprocess.Popen(
        [sys.executable, "-m", "services.runtime.tether", part, "--", sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdout=stdout,
    )


def test_a_second_start_ends_what_the_first_left_behind(instance: Path) -> None:
    first = start(instance, "mlflow", PARENT_AND_CHILD)
    wait_until(lambda: len(tether.leftovers(instance, "mlflow")) == 2, what="the part and its child")
    first.kill()
    first.wait()
    (orphan,) = tether.leftovers(instance, "mlflow")
    second = start(instance, "mlflow", "import signal; signal.pause()")
    wait_until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, what="the orphan's end")
    wait_until(lambda: [p.pid for p in tether.leftovers(instance, "mlflow")] == [second.pid], what="the second part")
    tether.end(tether.leftovers(instance))
    second.wait()
    assert tether.leftovers(instance) == []


def test_other_parts_and_other_installations_are_left_alone(instance: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    other_part = start(instance, "envoy", "import signal; signal.pause()")
    other_instance = start(elsewhere, "mlflow", "import signal; signal.pause()")
    mine = start(instance, "mlflow", "import signal; signal.pause()")
    wait_until(lambda: tether.leftovers(instance, "mlflow"), what="the part to end")
    wait_until(lambda: tether.leftovers(instance, "envoy"), what="the other part")
    wait_until(lambda: tether.leftovers(elsewhere, "mlflow"), what="the other installation")
    tether.end(tether.leftovers(instance, "mlflow"))
    mine.wait()
    assert other_part.poll() is None
    assert other_instance.poll() is None
    tether.end(tether.leftovers(instance) + tether.leftovers(elsewhere))
    other_part.wait()
    other_instance.wait()


def test_a_part_dies_with_its_parent(instance: Path, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-m', 'services.runtime.tether', 'worker', '--', sys.executable, '-c', "
        "'import signal; signal.pause()']); "
        "import signal; signal.pause()"
    )
    environment = {**os.environ, tether.INSTANCE_VARIABLE: str(instance)}
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    wait_until(lambda: len(tether.leftovers(instance, "worker")) == 1, what="the part")
    (part,) = tether.leftovers(instance, "worker")
    # Its name is set just before it asks the kernel to be ended with its parent, and it becomes the command after.
    wait_until(lambda: "tether" not in " ".join(part.cmdline()), what="the part to have become its command")
    parent.kill()
    parent.wait()
    wait_until(lambda: not tether.leftovers(instance), what="the part to end with its parent")


def test_a_stubborn_process_is_killed(instance: Path) -> None:
    ignores_term = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    stubborn = start(instance, "worker", ignores_term, stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == b"1\n"
    tether.end(tether.leftovers(instance), grace_s=0.5)
    assert tether.leftovers(instance) == []
    assert not psutil.pid_exists(stubborn.pid)
    stubborn.stdout.close()
    stubborn.wait()
