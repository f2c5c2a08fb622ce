"""One training, in a process of its own: `python -m services.jobs.training_process SPECIFICATION` (JSON).

MLflow runs a project in the caller's process and environment, and waits. Out here it can be watched, ended with all its
children, and given an environment of its own. Nothing but MLflow is imported. What happens goes to standard output;
the run's id goes to a file as soon as the run exists.

Exit codes: 0 trained; 1 the project's command failed; 2 it could not be run, and the last line says why.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRAINED, FAILED, NOT_RUN = 0, 1, 2
BRIEF_RETRIES = "2"
WORDS = "Training could not be run: "
"""How the last line begins when the exit code is NOT_RUN."""


@dataclass(frozen=True)
class Specification:
    """What to run. `location` is a folder or `folder#subfolder`; `defaults` are logged but left to the project."""

    training: int
    project: str
    location: str
    entry_point: str
    parameters: dict[str, str]
    defaults: dict[str, str]
    experiment: str
    env_manager: str
    who: str
    run_file: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Specification:
        return cls(**json.loads(text))


def main(arguments: list[str]) -> int:
    specification = Specification.from_json(arguments[0])
    # Its own message about an unknown version of pip is of no use to anyone who trains.
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    import mlflow.projects
    from mlflow.exceptions import ExecutionException, MlflowException

    client = mlflow.MlflowClient()
    run_id = ""
    try:
        with _brief():
            experiment_id = _experiment(client, specification.experiment)
        run_id = _create_run(client, experiment_id, specification)
        _write(Path(specification.run_file), run_id)
        mlflow.projects.run(  # type: ignore[no-untyped-call]
            specification.location,
            entry_point=specification.entry_point,
            parameters=specification.parameters,
            experiment_id=experiment_id,
            env_manager=specification.env_manager,
            synchronous=True,
            run_id=run_id,
        )
    except ExecutionException as error:
        if str(error) == f"Run (ID '{run_id}') failed":
            return FAILED
        return _give_up(client, run_id, error)
    except (MlflowException, OSError) as error:
        return _give_up(client, run_id, error)
    return TRAINED


@contextmanager
def _brief() -> Iterator[None]:
    """MLflow tries a silent server for minutes: right for a run half done, wrong for one that has not begun."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ.get(name)
    os.environ[name] = BRIEF_RETRIES
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _experiment(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # somebody else was quicker
            if found is None:
                raise error
    if found.lifecycle_stage != "active":
        raise MlflowException(f"the experiment “{name}” is deleted; restore it, or train into another")
    return str(found.experiment_id)


def _create_run(client: MlflowClient, experiment_id: str, specification: Specification) -> str:
    """The run that MLflow would make itself, made earlier, so that it is known before environments are built."""
    from mlflow.entities import Param
    from mlflow.utils.git_utils import get_git_commit

    tags = {
        "mlflow.user": specification.who,
        "mlflow.source.name": specification.project,
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": specification.entry_point,
        "decant.training": str(specification.training),
    }
    commit = get_git_commit(specification.project)
    if commit:
        tags["mlflow.source.git.commit"] = commit
    run_id = str(client.create_run(experiment_id, tags=tags).info.run_id)
    values = {**specification.defaults, **specification.parameters}
    client.log_batch(run_id, params=[Param(name, value) for name, value in values.items()])
    return run_id


def _give_up(client: MlflowClient, run_id: str, error: Exception) -> int:
    from mlflow.exceptions import MlflowException

    if run_id:
        try:
            client.set_terminated(run_id, "FAILED")
        except MlflowException as second:
            _say(f"The run {run_id} could not be marked as failed: {_one_line(second)}")
    _say(WORDS + _one_line(error))
    return NOT_RUN


def _one_line(error: Exception) -> str:
    words: Any = getattr(error, "message", None) or str(error)
    return " ".join(str(words).split())


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _say(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
