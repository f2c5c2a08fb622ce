"""up, down, status: an installation as a whole."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from app.cli.background import start_in_background
from app.cli.deployments import status_rows
from app.cli.options import json_option, services, settings
from app.cli.output import plain, put_json, put_table, say
from app.cli.starts import diagnosis_lines, steps_line, unready
from services.errors import DecantError, Unavailable

if TYPE_CHECKING:
    from services.domain import Startup


@click.command()
@click.option("--background", is_flag=True, help="Return when everything is ready, and leave it running.")
def up(background: bool) -> None:
    """Start everything and print the address to open; Ctrl-C stops it.

    With DECANT_ENGINE=kubernetes that is the dashboard, the worker and, without a tracking URI, MLflow; the models are
    served by the cluster.

    \b
    Example: python -m app up
    """
    from services.access.exposure import open_gateway
    from services.evidence.database import open_database
    from services.runtime import launcher
    from services.runtime.dashboard import prepare
    from services.settings import unknown_variables

    chosen = settings()
    for name, nearest in unknown_variables().items():
        say(f"Careful: {name} sets nothing.{f' Is {nearest} meant?' if nearest else ' See docs/settings.md.'}")
    if not chosen.runs_locally:
        say("Models are served by Kubernetes: no gateway, controller or model server is started here.")
        if not chosen.prometheus_address:
            say("No DECANT_PROMETHEUS_URL: the pages work, without rates and live rewards.")
    if careful := open_gateway(chosen):
        say(careful)

    def check() -> None:
        prepare(chosen)  # where it must not listen, or cannot sign anybody in, nothing is started
        open_database(chosen.store_url).dispose()  # a store that cannot be used is told before anything starts

    if background:
        check()
        start_in_background(chosen)
        return
    sys.exit(launcher.up(chosen, say, check))


@click.command()
def down() -> None:
    """Stop everything that `up` started, or is still starting. The state stays: `up` brings it all back. What a cluster
    serves goes on.

    \b
    Example: python -m app down
    """
    from services.runtime import launcher

    chosen = settings()
    said = "Decant has stopped." if launcher.down(chosen, say) else "Decant is not running."
    say(said if chosen.runs_locally else f"{said} The cluster's deployments go on serving.")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show which parts answer, and the deployments.

    Exits with 5 if a part does not answer.

    \b
    Example: python -m app status --json
    JSON: {"running", "address", "parts": [{part, ok, detail, hint}], "deployments": [{namespace, name, ...}]}
    A deployment has "starts" for predictors that are not up: [{predictor, steps, diagnosis, log_tail, budget_s}].
    """
    from services.runtime import ownership

    built = services()
    running = ownership.running(built.settings)
    with contextlib.suppress(DecantError):
        built.runs.ping()  # the first import of MLflow takes seconds, which the health check would count as silence
    parts = built.health.all()
    try:
        deployments = built.engine.list()
        problem = ""
    except Unavailable as error:
        deployments, problem = [], str(error)
    if as_json:
        put_json(
            {
                "running": running is not None,
                "address": built.settings.dashboard_url if running else None,
                "parts": [plain(part) for part in parts],
                "deployments": [{**status_rows(one), "starts": unready(built, one)} for one in deployments],
            }
        )
    else:
        how = "runs" if running and running.ready else "is starting"
        click.echo(f"Decant {how}: {built.settings.dashboard_url}" if running else "Decant is not running: `make run`.")
        click.echo()
        put_table(
            ("part", "", "detail"),
            [(p.part, "ok" if p.ok else "DOWN", p.detail if p.ok else f"{p.detail} {p.hint}".strip()) for p in parts],
        )
        click.echo()
        _put_deployments([status_rows(one) for one in deployments], problem)
        _put_starts([(one.deployment.key, start) for one in deployments for start in unready(built, one)])
    if not all(part.ok for part in parts):
        click.get_current_context().exit(Unavailable.exit_code)


def _put_deployments(rows: list[dict[str, object]], problem: str) -> None:
    if problem:
        click.echo(problem)
    elif not rows:
        click.echo("No deployments yet: `python -m app deploy --help`, or `make demo`.")
    else:
        columns = ("namespace", "name", "settled", "requested", "in_force")
        put_table(
            ("namespace", "deployment", "settled", "requested", "in force"),
            [["-" if row[c] is None else _words(row[c]) for c in columns] for row in rows],
        )
        for row in rows:
            manager = f"managed by {row['managed_by']}. " if row["managed_by"] else ""
            if said := f"{manager}{row['message']} {row['waiting']}".strip():
                click.echo(f"{row['namespace']}/{row['name']}: {said}")


def _put_starts(starts: list[tuple[str, Startup]]) -> None:
    """Predictors that are not up: how far each is, and what keeps it."""
    for key, startup in starts:
        click.echo()
        click.echo(f"{key} {startup.predictor}: {steps_line(startup)}")
        for line in diagnosis_lines(startup, key):
            click.echo(f"  {line}")


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
