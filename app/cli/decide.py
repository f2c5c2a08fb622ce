"""promote, keep, end-test, undo-decision, decisions: what follows from a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import click

from app.cli.options import (
    F,
    deployment_key,
    json_option,
    namespace_option,
    needed_why,
    note,
    services,
    take_over_option,
)
from app.cli.output import put_json, put_table, say

if TYPE_CHECKING:
    from services.decisions.model import Decision, Kind
    from services.decisions.rehearsal import Rehearsal
    from services.errors import DecantError
    from services.factory import Services

DEFAULT_WAIT_S = 180
POLL_S = 0.5
UNFINISHED = 5
"""The exit code of a decision that still waits for a part: it goes on by itself, the caller should look again."""

reason_option = needed_why("--reason", "in the history and in MLflow")
override_option = click.option(
    "--override", is_flag=True, help="Decide against red checks or the verdict; what was overridden is recorded."
)
decision_option = click.option(
    "--decision", type=int, metavar="ID", help="The one that is meant; the newest without it."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would change and what would refuse it, and change nothing."
)
wait_option = click.option(
    "--wait",
    "wait_s",
    default=DEFAULT_WAIT_S,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seconds to wait until everything is in place.",
)


def options(*those: Callable[[Any], Any]) -> Callable[[F], F]:
    """Name, namespace and reason, then `those`, then --json: in the order in which help shows them."""

    def wrap(command: F) -> F:
        made: Any = command
        for option in reversed((click.argument("name"), namespace_option, reason_option, *those, json_option)):
            made = option(made)
        return cast(F, made)

    return wrap


@click.command()
@options(override_option, take_over_option, dry_run_option, wait_option)
def promote(**asked: Any) -> None:
    """Promote B: it gets all traffic and becomes the champion, here and in MLflow; the test ends.

    \b
    Example: python -m app promote wine --reason "better on every replay"
    JSON: {"id", "kind", "state", "winner", "loser", "champion", "verdict", "summary", "overridden", "gaps",
           "waiting", "who", "why", "at", "test", "undone_who", "undone_why", "steps", "did", ...}
          with --dry-run {"changes": [sentence], "refusals": [{"sentence", "hint", "option", "exit_code"}],
                           "overridden": [sentence]}
    """
    from services.decisions.model import Kind

    _decide(Kind.PROMOTE, **asked)


@click.command()
@options(override_option, take_over_option, dry_run_option, wait_option)
def keep(**asked: Any) -> None:
    """Keep A: it gets all traffic and stays the champion, here and in MLflow; B and the test end.

    \b
    Example: python -m app keep wine --reason "B is slower and no better"
    JSON: as `promote`
    """
    from services.decisions.model import Kind

    _decide(Kind.KEEP, **asked)


@click.command("end-test")
@options(dry_run_option)
def end_test(**asked: Any) -> None:
    """End the test without a winner: deployment and aliases stay as they are, and the evidence is kept.

    \b
    Example: python -m app end-test wine --reason "the reward was the wrong one"
    JSON: as `promote`
    """
    from services.decisions.model import Kind

    _decide(Kind.END, override=False, take_over=False, wait_s=DEFAULT_WAIT_S, **asked)


@click.command("undo-decision")
@options(
    click.option("--decision", type=int, metavar="ID", help="Which is meant; the newest without it."),
    take_over_option,
    wait_option,
)
def undo_decision(
    name: str, namespace: str, reason: str, decision: int | None, take_over: bool, wait_s: int, as_json: bool
) -> None:
    """Take back the newest decision: deployment and aliases as before, tags and artifacts marked as undone.

    With --decision nothing is taken back if that is not the newest that stands (exit code 4).

    \b
    Example: python -m app undo-decision wine --decision 3 --reason "complaints from the cellar"
    JSON: as `promote`
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    made = built.decisions
    meant = made.standing(namespace, name) if decision is None else made.get(decision, (namespace, name))
    if meant is not None:
        say(f"To be taken back: {_named(meant)}")
    number = meant.id if meant is not None else None
    because = note(built, reason, take_over=take_over)
    undone = made.undo(namespace, name, note=because, decision=number, tell=_tell(undoing=True))
    done = _finish(built, undone, wait_s)
    _show(done, as_json)
    if done.finished and _loads(built, namespace, name):
        say("Its models load again and take over by themselves; `python -m app status` shows how far they are.")


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
    from services.decisions import words

    built = services()
    namespace, name = deployment_key(name, namespace)
    if report is not None:
        built.decisions.get(report, (namespace, name))
        click.echo(built.decisions.report(report))
        return
    built.decisions.settle(namespace, name)
    found = built.decisions.recent(namespace, name, limit)
    if as_json:
        put_json(found)
        return
    put_table(words.COLUMNS, [words.line(d, f"{d.at:%Y-%m-%d %H:%M:%S}") for d in found])
    for decision in found:
        for remark in words.remarks(decision):
            say(f"Decision {decision.id}: {remark}")


def _decide(
    kind: Kind,
    *,
    name: str,
    namespace: str,
    reason: str,
    override: bool,
    take_over: bool,
    dry_run: bool,
    wait_s: int,
    as_json: bool,
) -> None:
    built = services()
    namespace, name = deployment_key(name, namespace)
    if dry_run:
        because = note(built, reason, take_over=take_over)
        _show_rehearsal(built.decisions.rehearse(kind, namespace, name, note=because, override=override), as_json)
        return
    made = built.decisions.decide(
        kind,
        namespace,
        name,
        note=note(built, reason, take_over=take_over),
        override=override,
        tell=_tell(undoing=False),
    )
    say(f"Decided on: {made.summary}")
    _show(_finish(built, made, wait_s), as_json)


def _show_rehearsal(found: Rehearsal, as_json: bool) -> None:
    """What would change, and what would be in the way; exits as the decision would."""
    say(f"Test {found.assessment.test.id}: {found.assessment.headline}")
    if as_json:
        refusals = [
            {"sentence": e.sentence, "hint": e.hint, "option": _option(e), "exit_code": e.exit_code}
            for e in found.refusals
        ]
        put_json({"changes": found.changes, "refusals": refusals, "overridden": found.overridden})
    elif found.changes:
        click.echo("\n".join(found.changes))
    for said in found.overridden:
        say(f"Would be overridden, and recorded: {said}")
    for error in found.refusals:
        option = _option(error)
        way = f"`{option}` decides in spite of it." if option else ""
        say(f"It would be refused: {error.sentence} {error.hint} {way}".rstrip())
    say("Nothing was changed: this was a dry run.")
    if found.refusals:
        click.get_current_context().exit(found.refusals[0].exit_code)


def _option(error: DecantError) -> str:
    """The option that gets around a refusal, or ""."""
    from services.decisions.rehearsal import NotCarried
    from services.errors import Foreign

    if isinstance(error, NotCarried):
        return "--override"
    return "--take-over" if isinstance(error, Foreign) else ""


def _tell(*, undoing: bool) -> Callable[[str, str], None]:
    """Says how far it is, a line for each step that has something to do."""

    def tell(step: str, said: str) -> None:
        if step == "undo deployment" and not undoing:
            say("A part refused; everything is taken back:")
        if said:
            say(f"  {said}")

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


def _loads(built: Services, namespace: str, name: str) -> bool:
    """Whether a deployment is not as it was asked for yet; nothing is said of one that cannot be asked about."""
    from services.errors import DecantError

    try:
        return not built.engine.get(namespace, name).settled
    except DecantError:
        return False


def _show(decision: Decision, as_json: bool) -> None:
    from services.decisions import words
    from services.decisions.carrier import AGAIN

    if as_json:
        put_json(decision)
    for gap in decision.gaps:
        say(f"Note: {gap}")
    if not decision.finished:
        say(f"{_named(decision)} is not finished. {decision.waiting or AGAIN}")
        click.get_current_context().exit(UNFINISHED)
    elif decision.undone_who:
        say(f"{_named(decision)} is taken back.")
    else:
        said = words.outcome(decision.kind, decision.winner)
        said += f", in MLflow {decision.champion}" if decision.champion else ""
        key = f"{decision.namespace}/{decision.deployment}"
        undo = f"python -m app undo-decision {key} --decision {decision.id}"
        say(f"Decision {decision.id} on {key}: {said}. `{undo}` undoes it.")


def _named(decision: Decision) -> str:
    """`Decision 3 on seldon/wine (b is promoted, by ann)`."""
    from services.decisions import words

    said = words.outcome(decision.kind, decision.winner)
    return f"Decision {decision.id} on {decision.namespace}/{decision.deployment} ({said}, by {decision.who})"
