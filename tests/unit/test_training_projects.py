"""What a project asks for is checked in words before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import InvalidInput, NotFound
from services.jobs.projects import ProjectParameter, check_parameters, locate, read_parameters
from services.jobs.training_log import lines_of, reason
from services.settings import ROOT

WINE = ROOT / "data" / "wine-quality"


def test_values_that_fit_pass_without_blanks(tmp_path: Path) -> None:
    declared = [ProjectParameter("alpha", "float"), ProjectParameter("note", "string", "x")]
    assert check_parameters(declared, {"alpha": " 1e-3 ", "note": " "}) == {"alpha": "1e-3"}
    path = [ProjectParameter("data", "path")]
    assert check_parameters(path, {"data": str(tmp_path)}) == {"data": str(tmp_path)}
    assert check_parameters(path, {"data": "s3://bucket/x"})


def test_everything_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    declared = [
        ProjectParameter("alpha", "float"),
        ProjectParameter("beta", "float"),
        ProjectParameter("gamma", "float"),
        ProjectParameter("data", "path"),
        ProjectParameter("source", "uri"),
    ]
    given = {"beta": "much", "gamma": "nan", "data": str(tmp_path / "no"), "source": "here", "alhpa": "1"}
    with pytest.raises(InvalidInput) as raised:
        check_parameters(declared, given)
    for said in (
        "alpha needs a value",
        "there is no parameter “alhpa”",
        "beta is “much”, not a number",
        "gamma is nan, which is not finite",
        "no file or folder",
        "source is “here”, not a URI",
    ):
        assert said in raised.value.sentence
    assert "alpha (float), beta (float)" in raised.value.hint


def test_the_wine_project_has_a_variant_for_each_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("conda", "pyenv", "uv"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate(WINE, "local") == str(WINE)
    assert locate(WINE, "conda") == f"{WINE}#conda"
    assert locate(WINE, "virtualenv") == f"{WINE}#virtualenv"
    assert locate(WINE, "uv") == f"{WINE}#virtualenv"


def test_a_project_with_an_environment_of_its_own_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "p"
    project.mkdir()
    (project / "MLproject").write_text("python_env: python_env.yaml\nentry_points: {main: {command: 'true'}}\n")
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate(project, "uv") == str(project)
    (project / "MLproject").write_text("databricks_spark_job: {}\nentry_points: {main: {command: 'true'}}\n")
    with pytest.raises(InvalidInput, match="has no environment for uv"):
        locate(project, "uv")


def test_a_folder_without_a_usable_project(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="MLflow project"):
        read_parameters(tmp_path / "nowhere")
    for text, said in (("[", "cannot be read"), ("- a", "not a mapping"), ("name: x", "no entry point “main”")):
        (tmp_path / "MLproject").write_text(text)
        with pytest.raises(InvalidInput, match=said):
            read_parameters(tmp_path)


def test_the_reason_is_the_last_error_that_says_something() -> None:
    log = [
        "2026/01/01 10:00:00 INFO mlflow.projects: === Running command ===",
        "Traceback (most recent call last):",
        '  File "train.py", line 3, in <module>',
        "    raise ValueError(1)",
        "ValueError: the column is missing",
        "2026/01/01 10:00:01 ERROR mlflow.cli: === Run (ID 'x') failed ===",
    ]
    assert reason(log) == "ValueError: the column is missing"
    assert reason(["usage: train.py", "train.py: error: alpha is -1"]) == "train.py: error: alpha is -1"
    assert reason(["something", "Training could not be run: no conda"]) == "no conda"
    assert reason(["loaded 5 rows", ""]) == "loaded 5 rows"
    assert reason([]) == ""


def test_a_progress_bar_shows_its_last_state() -> None:
    assert lines_of(["10%\r50%\r100%", "done\r"]) == ["100%", "done"]
