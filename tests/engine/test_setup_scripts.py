"""The set-up that `make` does, on copies of the checkout with nothing to install: the steps, not the packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from services.settings import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The set-up files alone, with empty lists of packages."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("# nothing yet\n")
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The settings of whoever runs the tests name a state folder, and `make clean` deletes state folders.
    # `make test` runs this inside a make, which would make the inner one talk about folders.
    outside = {n: value for n, value in os.environ.items() if not n.startswith(("DECANT_", "MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**outside, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_make_alone_lists_every_target_with_one_line_each() -> None:
    answer = make(ROOT)
    assert answer.returncode == 0
    lines = answer.stdout.splitlines()
    listed = {line.split()[1]: line.split(maxsplit=2)[2] for line in lines if line.startswith("  make ")}
    promised = {"run", "demo", "stop", "status", "test", "check", "bench", "clean", "lock", "venv"}
    assert set(listed) == promised
    assert all(len(line) <= 120 for line in lines)


def test_every_make_target_that_the_words_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/settings.md"):
        text = (ROOT / page).read_text()
        named = set(re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z]+)", text)) | set(
            re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z]+)", text, re.MULTILINE)
        )
        assert named <= targets, page


def test_the_environment_is_made_once_and_then_left_alone(checkout: Path) -> None:
    first = make(checkout, "venv")
    assert first.returncode == 0, first.stderr
    assert "Making .venv" in first.stderr
    assert (checkout / ".venv" / "bin" / "python").exists()
    second = make(checkout, "venv")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_a_changed_list_is_installed_again_into_the_same_environment(checkout: Path) -> None:
    make(checkout, "venv")
    (checkout / ".venv" / "mine").touch()
    (checkout / "requirements.txt").write_text("# another list\n")
    again = make(checkout, "venv")
    assert "Installing requirements.txt" in again.stderr
    assert "Making" not in again.stderr
    assert (checkout / ".venv" / "mine").exists()


def test_an_environment_that_was_left_half_made_is_made_again(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nonexistent/python")
    assert make(checkout, "venv").returncode == 0
    assert subprocess.run([checkout / ".venv" / "bin" / "python", "-c", ""], check=False).returncode == 0


def test_two_at_once_make_one_environment(checkout: Path) -> None:
    both = [
        subprocess.Popen(["make", target], cwd=checkout, stderr=subprocess.PIPE, text=True)
        for target in ("venv", "venv-dev", "venv")
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], said
    assert sum("Making .venv" in words for words in said) == 1


def test_without_a_python_the_message_says_what_to_install(checkout: Path) -> None:
    answer = make(checkout, "venv", "PYTHON=python-that-is-not-there")
    assert answer.returncode != 0
    assert "Python 3.11 or newer" in answer.stderr
    assert "apt install python3.11" in answer.stderr


def test_clean_keeps_the_state_unless_it_is_asked_for_by_name(checkout: Path) -> None:
    state = checkout / ".decant"
    (state / "desired").mkdir(parents=True)
    (checkout / ".venv").mkdir()
    kept = make(checkout, "clean")
    assert kept.returncode == 0, kept.stderr
    assert "make clean STATE=1" in kept.stdout
    assert not (checkout / ".venv").exists()
    assert (state / "desired").exists()
    assert make(checkout, "clean", "STATE=1").returncode == 0
    assert not state.exists()


@pytest.mark.parametrize("stops", [True, False])
def test_clean_stops_decant_before_it_removes_anything(checkout: Path, stops: bool) -> None:
    (checkout / ".decant" / "desired").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >> called\nexit {0 if stops else 1}\n')
    python.chmod(0o755)
    cleaned = make(checkout, "clean", "STATE=1")
    assert (checkout / "called").read_text() == "-m app down\n"
    assert (cleaned.returncode == 0) == stops
    assert (checkout / ".decant").exists() == (checkout / ".venv").exists() == (not stops)
