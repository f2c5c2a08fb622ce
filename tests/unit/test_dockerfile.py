"""The Dockerfile: what a linter says of it, and that it gets to see what it copies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from services.settings import ROOT
from tests.support.image import copied

HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_has_nothing_to_say() -> None:
    answer = subprocess.run([HADOLINT, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_what_is_copied_exists_and_gets_past_dockerignore() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")} - {
        "requirements.txt"
    }
    for source, _ in copied():
        assert (ROOT / source).exists()
        assert any(path == source or path.startswith(f"{source}/") for path in let_through), source
    assert len(let_through) == len(copied()), "something gets to Docker that no image needs"


def test_both_images_run_as_a_user_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [line.split()[-1] for line in lines if line.startswith("FROM")]
    assert stages[-1] == "decant", "`docker build .` makes the last stage"
    users: dict[str, str] = {}
    stage, parents = "", {}
    for line in lines:
        if line.startswith("FROM"):
            _, parent, _, stage = line.split()
            parents[stage] = parent
            users[stage] = users.get(parent, "0:0")
        elif line.startswith("USER"):
            users[stage] = line.split()[1]
    assert users["decant"] == users["all-in-one"] == "10001:10001"
