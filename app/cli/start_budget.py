"""start-budget: let a predictor take longer to start."""

from __future__ import annotations

import click

from app.cli.options import deployment_key, namespace_option, note, services, take_over_option, why_option
from app.cli.output import say


@click.command("start-budget")
@click.argument("name")
@click.argument("predictor")
@click.argument("seconds", type=click.IntRange(min=1))
@namespace_option
@why_option
@take_over_option
def start_budget(name: str, predictor: str, seconds: int, namespace: str, why: str, take_over: bool) -> None:
    """Let a predictor take SECONDS to start before it is started anew. `undo` takes it back.

    \b
    Example: python -m app start-budget wine b 1200
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    built.operations.give_time(namespace, name, predictor, seconds, note=note(built, why, take_over=take_over))
    say(f"{predictor} of {namespace}/{name} may take {seconds} s to start.")
