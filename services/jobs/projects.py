"""MLflow projects on disk: what they ask for, whether what was given fits, and which environments they can run in."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.errors import InvalidInput, NotFound

ENTRY_POINT = "main"
LOCAL = "local"
ENVIRONMENT_KEYS = ("python_env", "conda_env", "docker_env")
NEEDS = {"conda": ("conda", "conda"), "virtualenv": ("pyenv", "virtualenv"), "uv": ("uv", "virtualenv")}
"""Environment manager: the program that it needs, and the subfolder where a project without an environment of its own
keeps the variant that has one (see data/wine-quality/README.md)."""


@dataclass(frozen=True)
class ProjectParameter:
    """A parameter of an entry point. `type` is MLflow's: float, string, path or uri. `default` None: must be given."""

    name: str
    type: str
    default: str | None = None


def read_parameters(project: Path) -> list[ProjectParameter]:
    """The parameters of the project's main entry point, in the order of its MLproject. NotFound, InvalidInput."""
    entry_points = _read(project).get("entry_points")
    main = entry_points.get(ENTRY_POINT) if isinstance(entry_points, dict) else None
    if not isinstance(main, dict):
        raise InvalidInput(f"The MLproject in {project} has no entry point “{ENTRY_POINT}”.")
    declared = main.get("parameters") or {}
    if not isinstance(declared, dict):
        raise InvalidInput(f"The parameters of the MLproject in {project} are not a mapping.")
    return [_parameter(str(name), spec) for name, spec in declared.items()]


def check_parameters(declared: list[ProjectParameter], given: Mapping[str, str]) -> dict[str, str]:
    """What to pass on: `given` without blanks. Raises InvalidInput that lists everything that does not fit."""
    values = {name: str(value).strip() for name, value in given.items() if str(value).strip()}
    by_name = {parameter.name: parameter for parameter in declared}
    problems = [f"{p.name} needs a value" for p in declared if p.default is None and p.name not in values]
    problems += [f"there is no parameter “{name}”" for name in values if name not in by_name]
    problems += [
        problem for name, value in values.items() if name in by_name and (problem := _misfit(by_name[name], value))
    ]
    if problems:
        known = ", ".join(f"{p.name} ({p.type})" for p in declared) or "none"
        raise InvalidInput(f"The training cannot start: {'; '.join(problems)}.", f"Its parameters are: {known}.")
    return values


def locate(project: Path, env_manager: str) -> str:
    """What to hand to MLflow so that `env_manager` works for the project: its path, or `path#subfolder`.

    Raises NotFound, and InvalidInput when the project has no environment of that kind or a program is missing.
    """
    content = _read(project)
    if env_manager == LOCAL:
        return str(project)
    program, folder = NEEDS[env_manager]
    has_own = any(content.get(key) for key in ENVIRONMENT_KEYS)
    if not has_own and content.get("databricks_spark_job") is not None and not _mlproject(project / folder):
        raise InvalidInput(
            f"The project in {project} has no environment for {env_manager}.", "Choose the environment “local”."
        )
    if not shutil.which(program) and not (program == "conda" and os.environ.get("MLFLOW_CONDA_HOME")):
        raise InvalidInput(
            f"The environment “{env_manager}” needs {program}, which is not on the path.",
            f"Install {program}, or choose “{LOCAL}” (DECANT_ENV_MANAGER={LOCAL}).",
        )
    return str(project) if has_own or not _mlproject(project / folder) else f"{project}#{folder}"


def _read(project: Path) -> dict[str, Any]:
    path = _mlproject(project)
    if path is None:
        raise NotFound("MLflow project (a folder with an MLproject file)", str(project))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} is not a mapping.")
    return content


def _mlproject(folder: Path) -> Path | None:
    # MLflow takes any spelling of the name.
    try:
        return next((path for path in folder.iterdir() if path.name.lower() == "mlproject"), None)
    except OSError:
        return None


def _parameter(name: str, spec: object) -> ProjectParameter:
    if isinstance(spec, dict):
        default = spec.get("default")
        return ProjectParameter(name, str(spec.get("type", "string")), None if default is None else str(default))
    return ProjectParameter(name, str(spec or "string"))


def _misfit(parameter: ProjectParameter, value: str) -> str:
    if parameter.type == "float":
        try:
            number = float(value)
        except ValueError:
            return f"{parameter.name} is “{value}”, not a number"
        if not math.isfinite(number):
            return f"{parameter.name} is {value}, which is not finite"
    if parameter.type == "uri" and "://" not in value:
        return f"{parameter.name} is “{value}”, not a URI"
    if parameter.type == "path" and "://" not in value and not Path(value).expanduser().exists():
        return f"{parameter.name}: there is no file or folder “{value}”"
    return ""
