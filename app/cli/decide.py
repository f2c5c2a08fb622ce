"""promote, keep, end-test, undo-decision, decisions: what follows from a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from app.cli.options import deployment_key, json_option, namespace_option, note, services
from app.cli.output import put_json, put_table, say
from services.errors import NotFound

if TYPE_CHECKING:
    from services.decisions.model import Decision, Kind
    from services.factory import Services

DEFAULT_WAIT_S = 180
POLL_S = 0.5
UNFINISHED = 5
"""The exit code of a decision that still waits for a part: it goes on by itself, the caller should look again."""

reason_option = click.option("--reason", required=True, help="Why; kept in the history and in MLflow.")
override_option = click.option(
    "--override", is_flag=True, help="Decide against red checks or the verdict; what was overridden is recorded."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
wait_option = click.option(
    "--wait",
    "wait_s",
    default=DEFAULT_WAIT_S,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seconds to wait until everything is in place.",
)


@click.command()
@click.argument("name")
@namespace_option
@reason_option
@override_option
@dry_run_option
@wait_option
@json_option
def promote(name: str, namespace: str, reason: str, override: bool, dry_run: bool, wait_s: int, as_json: bool) -> None:
    """Promote B: it gets all traffic and becomes the champion, here and in MLflow; the test ends.

    \b
    Example: python -m app promote wine --reason "better on every replay"
    JSON: {"id", "kind", "state", "winner", "loser", "champion", "verdict", "summary", "overridden", "gaps",
           "waiting", "who", "why", "at", "test", "undone_who", "undone_why", "steps", ...}
          with --dry-run {"changes": [sentence]}
    """
    from services.decisions.model import Kind

    _decide(Kind.PROMOTE, name, namespace, reason, override, dry_run, wait_s, as_json)


@click.command()
@click.argument("name")
@namespace_option
@reason_option
@override_option
@dry_run_option
@wait_option
@json_option
def keep(name: str, namespace: str, reason: str, override: bool, dry_run: bool, wait_s: int, as_json: bool) -> None:
    """Keep A: it gets all traffic and stays the champion, here and in MLflow; B and the test end.

    \b
    Example: python -m app keep wine --reason "B is slower and no better"
    JSON: as `promote`
    """
    from services.decisions.model import Kind

    _decide(Kind.KEEP, name, namespace, reason, override, dry_run, wait_s, as_json)


@click.command("end-test")
@click.argument("name")
@namespace_option
@reason_option
@dry_run_option
@json_option
def end_test(name: str, namespace: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """End the test without a winner: deployment and aliases stay as they are, and the evidence is kept.

    \b
    Example: python -m app end-test wine --reason "the reward was the wrong one"
    JSON: as `promote`
    """
    from services.decisions.model import Kind

    _decide(Kind.END, name, namespace, reason, False, dry_run, DEFAULT_WAIT_S, as_json)


@click.command("undo-decision")
@click.argument("name")
@namespace_option
@reason_option
@wait_option
@json_option
def undo_decision(name: str, namespace: str, reason: str, wait_s: int, as_json: bool) -> None:
    """Take back the newest decision: deployment and aliases as before, tags and artifacts marked as undone.

    \b
    Example: python -m app undo-decision wine --reason "complaints from the cellar"
    JSON: as `promote`
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    undone = built.decisions.undo(namespace, name, note=note(built, reason), tell=_tell(undoing=True))
    _show(_finish(built, undone, wait_s), as_json)


@click.command()
@click.argument("name")
@namespace_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many decisions.")
@click.option("--report", type=int, metavar="ID", help="Write the report of this decision (HTML) to stdout instead.")
@json_option
def decisions(name: str, namespace: str, limit: int, report: int | None, as_json: bool) -> None:
    """Show the decisions on a deployment's tests: who, when, why, on which evidence; newest first.

    \b
    Example: python -m app decisions wine
             python -m app decisions wine --report 3 > report.html
    JSON: [as `promote`]
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    if report is not None:
        decision = built.decisions.get(report)
        if (decision.namespace, decision.deployment) != (namespace, name):
            raise NotFound(f"decision on {namespace}/{name}", str(report))
        click.echo(built.decisions.report(report))
        return
    built.decisions.settle(namespace, name)
    found = built.decisions.recent(namespace, name, limit)
    if as_json:
        put_json(found)
        return
    put_table(
        ("id", "when", "who", "decided", "winner", "state", "evidence", "why"),
        [(d.id, f"{d.at:%Y-%m-%d %H:%M:%S}", d.who, d.kind, d.winner or "-", d.state, d.summary, d.why) for d in found],
    )
    for decision in found:
        if decision.waiting:
            say(f"Decision {decision.id}: {decision.waiting}")


def _decide(
    kind: Kind, name: str, namespace: str, reason: str, override: bool, dry_run: bool, wait_s: int, as_json: bool
) -> None:
    built = services()
    namespace, name = deployment_key(name, namespace)
    assessment = built.verdicts.assess(namespace, name)
    say(f"Test {assessment.test.id}: {assessment.headline}")
    if dry_run:
        changes = built.decisions.preview(kind, assessment)
        if as_json:
            put_json({"changes": changes})
        else:
            click.echo("\n".join(changes))
        return
    made = built.decisions.decide(
        kind, assessment, note=note(built, reason), override=override, tell=_tell(undoing=False)
    )
    _show(_finish(built, made, wait_s), as_json)


def _tell(*, undoing: bool) -> Callable[[str], None]:
    """Says how far it is, a line for each step."""
    words = {
        "deployment": "Traffic goes to the winner.",
        "version": "The winner's version in MLflow's registry.",
        "alias": "The alias champion.",
        "test": "The test ends.",
        "version tags": "Tags on the versions.",
        "run tags": "Tags on the runs.",
        "artifacts": "decision.json and the report.",
        "takeover": "The champion's arm takes over.",
        "undo deployment": "The deployment as it was.",
        "undo alias": "The alias as it was.",
        "undo version tags": "Tags on the versions say so.",
        "undo run tags": "Tags on the runs say so.",
        "undo artifacts": "undone.json.",
    }

    def tell(step: str) -> None:
        if step == "undo deployment" and not undoing:
            say("A part refused; everything is taken back:")
        say(f"  {words.get(step, step)}")

    return tell


def _finish(built: Services, decision: Decision, wait_s: int) -> Decision:
    """Go on with an unfinished decision until it is finished or the time is over."""
    deadline = time.monotonic() + wait_s
    told = ""
    while not decision.finished and time.monotonic() < deadline:
        if decision.waiting != told:
            say(f"  {decision.waiting}")
            told = decision.waiting
        time.sleep(POLL_S)
        built.decisions.settle(decision.namespace, decision.deployment)
        decision = built.decisions.get(decision.id)
    return decision


def _show(decision: Decision, as_json: bool) -> None:
    if as_json:
        put_json(decision)
    for gap in decision.gaps:
        say(f"Note: {gap}")
    key = f"{decision.namespace}/{decision.deployment}"
    if not decision.finished:
        say(f"Decision {decision.id} on {key} is not finished and goes on by itself. {decision.waiting}")
        click.get_current_context().exit(UNFINISHED)
    elif decision.undone_who:
        say(f"Decision {decision.id} on {key} ({decision.kind}) is taken back.")
    else:
        said = f"{decision.winner} is the champion" if decision.winner else "the test ended without a winner"
        said += f", in MLflow {decision.champion}" if decision.champion else ""
        say(f"Decision {decision.id} on {key}: {said}. `python -m app undo-decision {decision.deployment}` undoes it.")
