"""train: an MLflow project run as a background job, with its log live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.jobs import check_done, follow
from app.cli.options import json_option, require_part, services
from app.cli.output import plain, put_json, put_table, say
from app.format import number
from services.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from services.factory import Services
    from services.jobs.training import Training

FAILED_TAIL = 15


@click.command()
@click.option("--alpha", metavar="X", help="Short for -P alpha=X.")
@click.option("--l1-ratio", metavar="X", help="Short for -P l1_ratio=X.")
@click.option("-P", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the project; repeatable.")
@click.option("--project", type=click.Path(), help="Folder with an MLproject.  [default: data/wine-quality]")
@click.option("--experiment", help="MLflow experiment.  [default: DECANT_MLFLOW_EXPERIMENT]")
@click.option(
    "--env-manager",
    type=click.Choice(["local", "virtualenv", "uv", "conda"]),
    help="Where the project's packages come from.  [default: DECANT_ENV_MANAGER]",
)
@click.option(
    "--follow/--detach", "attached", default=True, show_default=True, help="Show the log and wait, or return at once."
)
@json_option
def train(
    alpha: str | None,
    l1_ratio: str | None,
    parameters: tuple[str, ...],
    project: str | None,
    experiment: str | None,
    env_manager: str | None,
    attached: bool,
    as_json: bool,
) -> None:
    """Train a model: run an MLflow project in the background.

    \b
    Example: python -m app train --alpha .5 --l1-ratio .5
    JSON: {"id", "state", "run_id", "parameters", "metrics", "models"}
    """
    values = read_parameters(parameters)
    values |= {name: value for name, value in (("alpha", alpha), ("l1_ratio", l1_ratio)) if value is not None}
    built = services()
    training = start(built, values, project, experiment, env_manager)
    if attached:
        training = watch(built, training)
    metrics, models = _result(built, training)
    if as_json:
        put_json(
            {
                "id": training.id,
                "state": training.state.value,
                "run_id": training.run_id,
                "parameters": plain(training.parameters),
                "metrics": metrics,
                "models": models,
            }
        )
    elif not attached:
        click.echo(f"Training {training.id} is queued; `python -m app jobs` shows how far it is.")
    else:
        click.echo(f"Run {training.run_id}")
        put_table(
            ("metric", "value"), [(name, number(value, 4)) for name, value in sorted(metrics.items())], right=(1,)
        )


def read_parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` pairs as a mapping. Raises InvalidInput."""
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise InvalidInput(f"“{pair}” is not a parameter.", "Write -P name=value.")
        values[name] = value
    return values


def start(
    built: Services,
    values: dict[str, str],
    project: str | None = None,
    experiment: str | None = None,
    env_manager: str | None = None,
) -> Training:
    """Queue a training. Raises Unavailable before anything is queued if nobody would do it."""
    require_part(built, "Worker")
    require_part(built, "MLflow")
    # The worker runs elsewhere: a folder by its full path, anything else (a Git address) as it is.
    if project and Path(project).expanduser().is_dir():
        project = str(Path(project).expanduser().resolve())
    options = {"project": project, "experiment": experiment, "env_manager": env_manager}
    given = {name: value for name, value in options.items() if value is not None}
    return built.training.submit(values, who=built.settings.user, **given)


def watch(built: Services, training: Training) -> Training:
    """Stream the log of a training until it is over. Raises StartFailed, with the log's end, if it failed."""
    say(f"Training {training.id} ({' '.join(f'{k}={v}' for k, v in training.parameters.items())}):")
    done = follow(
        built,
        lambda: built.training.get(training.id),
        _log_streamer(),
        lambda: built.training.cancel(training.id),
    )
    check_done(done, f"Training {done.id}", built.training.log(done.id, FAILED_TAIL))
    return done


def _log_streamer() -> Callable[[Training], None]:
    """Prints whatever was added to the log since the last call."""
    position = 0

    def show(training: Training) -> None:
        nonlocal position
        path = Path(training.log_path)
        if not path.is_file():
            return
        with path.open("rb") as log:
            log.seek(position)
            added = log.read()
        if not training.state.final:
            added = added[: added.rfind(b"\n") + 1]  # half a line waits for its other half
        position += len(added)
        for line in added.decode(errors="replace").splitlines():
            say(f"  {line}")

    return show


def _result(built: Services, training: Training) -> tuple[dict[str, float], list[str]]:
    if not training.run_id or not training.state.final:
        return {}, []
    try:
        run = built.runs.run(training.run_id)
    except NotFound:
        return {}, []
    return dict(run.metrics), list(run.models)
