"""delete, undo, history, logs, events: what was done to a deployment, and what happened to it."""

from __future__ import annotations

import click

from app.cli.options import deployment_key, json_option, namespace_option, note, services, take_over_option, why_option
from app.cli.output import put_json, put_table, say
from app.cli.starts import diagnosis_lines
from services.domain import Change
from services.errors import InvalidInput


@click.command()
@click.argument("name")
@namespace_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@why_option
@take_over_option
def delete(name: str, namespace: str, yes: bool, why: str, take_over: bool) -> None:
    """Drain and remove a deployment; its manifest stays in the history, so `undo` brings it back.

    \b
    Example: python -m app delete wine --yes --why "test is over"
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    built.engine.get(namespace, name)
    if not yes and not click.confirm(f"Delete {namespace}/{name}? Its requests will be answered with 404.", err=True):
        say("Nothing was deleted.")
        click.get_current_context().exit(1)
    built.operations.delete(namespace, name, note=note(built, why, take_over=take_over))
    say(f"Deployment {namespace}/{name} is deleted. `python -m app undo {name} -n {namespace}` brings it back.")


@click.command()
@click.argument("name")
@namespace_option
@why_option
@take_over_option
@json_option
def undo(name: str, namespace: str, why: str, take_over: bool, as_json: bool) -> None:
    """Take back the newest change of a deployment: its split, its models, or its deletion.

    \b
    Example: python -m app undo wine
    JSON: {"at", "who", "what", "before", "after", "why", ...}
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    change = built.operations.undo(namespace, name, note=note(built, why, take_over=take_over))
    if as_json:
        put_json(change)
    else:
        say(f"Undone: {namespace}/{name} is as it was before ({_shortly(change.before)} -> {_shortly(change.after)}).")


@click.command()
@click.argument("name")
@namespace_option
@click.option("--limit", default=20, show_default=True, help="How many changes.")
@json_option
def history(name: str, namespace: str, limit: int, as_json: bool) -> None:
    """Show who changed a deployment, when and why; newest first.

    \b
    Example: python -m app history wine
    JSON: [{"at", "who", "what", "before", "after", "why", "id", "namespace", "deployment"}]
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    changes = built.operations.history(namespace, name, limit)
    if as_json:
        put_json(changes)
        return
    put_table(
        ("when", "who", "what", "from", "to", "why"),
        [
            (f"{c.at:%Y-%m-%d %H:%M:%S}", c.who, _what(c), _shortly(c.before), _shortly(c.after), c.reason)
            for c in changes
        ],
    )


def _what(change: Change) -> str:
    return f"{change.what} (decision {change.decision})" if change.decision else change.what


def _shortly(text: str) -> str:
    """A change's text on one line: splits as they are, manifests by their predictors and models."""
    if not text:
        return "nothing"
    if "\n" not in text.strip():
        return text.strip()
    from services.deployments.manifest import from_yaml

    try:
        deployment = from_yaml(text)
    except InvalidInput:
        return "a manifest"
    return " ".join(f"{p.name}={p.provenance.label}" for p in deployment.predictors)


@click.command()
@click.argument("name")
@click.argument("predictor")
@namespace_option
@click.option("--tail", default=100, show_default=True, help="How many lines.")
def logs(name: str, predictor: str, namespace: str, tail: int) -> None:
    """Show the last lines of a predictor's model servers; what is known to be wrong with them goes to stderr.

    \b
    Example: python -m app logs wine b
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    for line in built.engine.logs(namespace, name, predictor, tail):
        click.echo(line)
    for line in diagnosis_lines(built.engine.startup(namespace, name, predictor), f"{namespace}/{name}"):
        say(line)


@click.command()
@click.argument("name")
@namespace_option
@json_option
def events(name: str, namespace: str, as_json: bool) -> None:
    """Show what the engine did with a deployment, and what it noticed; oldest first.

    \b
    Example: python -m app events wine
    JSON: [{"at", "kind", "message", "predictor"}]
    """
    namespace, name = deployment_key(name, namespace)
    found = services().engine.events(namespace, name)
    if as_json:
        put_json(found)
        return
    put_table(
        ("when", "kind", "predictor", "message"),
        [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.kind, e.predictor, e.message) for e in found],
    )
