"""The command line as people meet it: a real process, its help, its usage errors, its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.main import cli
from services.settings import ROOT

COMMANDS = sorted(cli.commands)
WITH_JSON = sorted(name for name, one in cli.commands.items() if any(p.name == "as_json" for p in one.params))


def run(*arguments: str, state_dir: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_"))}
    if state_dir is not None:
        environment["DECANT_STATE_DIR"] = str(state_dir)
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={**environment, **settings},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_help_lists_every_command_and_the_exit_codes() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    assert all(f"\n  {name} " in answer.stdout for name in COMMANDS)
    assert "130 interrupted" in answer.stdout


def test_the_promised_commands_are_there() -> None:
    promised = "up down status train runs deploy traffic predict replay delete undo history logs demo"
    assert set(promised.split()) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    answer = run(name, "--help")
    assert answer.returncode == 0
    assert f"Example: python -m app {name}" in answer.stdout


@pytest.mark.parametrize("name", WITH_JSON)
def test_commands_that_write_json_document_its_keys(name: str) -> None:
    help_text = cli.commands[name].help or ""
    assert name == "up" or "JSON: " in help_text


def test_help_needs_none_of_the_heavy_libraries() -> None:
    heavy = ("mlflow", "pandas", "numpy", "scipy", "streamlit", "sqlalchemy", "pydantic", "httpx")
    code = f"import sys, app.cli.main; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["train", "--no-such-option"],
        ["deploy"],
        ["deploy", "wine"],
        ["deploy", "wine", "-f", "x.yaml"],
        ["predict", "wine"],
        ["predict", "wine", "--row", "1", "--sample"],
        ["replay", "wine", "--rows", "0"],
        ["replay", "wine", "--reward", "luck"],
        ["cancel", "walk", "1"],
        ["demo", "--rows", "4899"],
    ],
)
def test_wrong_usage_exits_with_2_and_shows_how(arguments: list[str], tmp_path: Path) -> None:
    answer = run(*arguments, state_dir=tmp_path)
    assert answer.returncode == 2
    assert "Usage: python -m app" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_a_bad_setting_is_named_and_exits_with_2(tmp_path: Path) -> None:
    answer = run("status", state_dir=tmp_path, DECANT_GATEWAY_PORT="many")
    assert answer.returncode == 2
    assert "DECANT_GATEWAY_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_stopping_what_does_not_run_is_fine(tmp_path: Path) -> None:
    answer = run("down", state_dir=tmp_path)
    assert answer.returncode == 0
    assert "not running" in answer.stderr
