"""The parts as containers run them: from the files that the image holds, with nothing written beside the state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import image
from tests.support.waiting import free_port, wait_until

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image.lay_out(tmp_path_factory.mktemp("image"))


@contextmanager
def container(tree: Path, folder: Path, name: str) -> Iterator[dict[str, str]]:
    """`part name` with the environment of the image and nothing else; yields that environment."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DECANT_STATE_DIR": str(folder / "state"),
        "DECANT_DASHBOARD_PORT": str(free_port()),
        "DECANT_USER": "tester",
    }
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "part", name],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: process.poll() is not None or healthy(tree, environment, name).returncode == 0,
            timeout_s=START_TIMEOUT_S,
            what=f"the {name} to be healthy",
        )
        assert process.poll() is None, (folder / "output").read_text()
        yield environment
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
    # Streamlit ends by the signal, the worker in order: neither needs to be killed.
    assert process.returncode in (0, -15), (folder / "output").read_text()


def healthy(tree: Path, environment: dict[str, str], name: str) -> subprocess.CompletedProcess[str]:
    """The image's own health check."""
    command = [sys.executable, "-S", "scripts/healthy.py", name]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def files(folder: Path) -> set[tuple[str, float]]:
    return {(str(path), path.stat().st_mtime) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["dashboard", "worker"])
def test_a_part_runs_alone_and_writes_only_to_its_state(name: str, tree: Path, tmp_path: Path) -> None:
    before = files(tree)
    with container(tree, tmp_path, name) as environment:
        assert healthy(tree, environment, name).stderr == ""
    assert files(tree) == before


def test_a_part_that_does_not_run_is_not_healthy(tree: Path, tmp_path: Path) -> None:
    environment = {"DECANT_STATE_DIR": str(tmp_path), "DECANT_DASHBOARD_PORT": str(free_port())}
    for name, words in (("dashboard", "refused"), ("worker", "no sign of life yet")):
        answer = healthy(tree, environment, name)
        assert answer.returncode == 1 and words in answer.stderr
