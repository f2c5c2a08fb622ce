"""truth: what became known of predictions after they were made, from a CSV into ledger and counters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from app.cli.options import deployment_key, json_option, namespace_option, services, why_option
from app.cli.output import ProgressLine, put_json, put_table, say
from services.errors import InvalidInput

if TYPE_CHECKING:
    from services.traffic.rewards import Reward
    from services.truths.report import Report

REPLAYS = "replay"


@click.command()
@click.argument("file", required=False)
@namespace_option
@click.option("--deployment", metavar="NAME", help="Only predictions of this deployment.  [default: of all]")
@click.option(
    "--reward",
    type=click.Choice([REPLAYS, "bounded", "hit", "absolute", "squared", "tutorial"]),
    default=REPLAYS,
    show_default=True,
    help="What a truth earns; replay: as in the replay that sent the row.",
)
@click.option("--scale", default=1.0, show_default=True, help="The error that halves the bounded reward.")
@click.option("--replace", is_flag=True, help="Replace truths and rewards that are there and differ.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--resend", is_flag=True, help="Send the rewards that have not reached their arm's counter.")
@why_option
@json_option
def truth(
    file: str | None,
    namespace: str,
    deployment: str | None,
    reward: str,
    scale: float,
    replace: bool,
    dry_run: bool,
    resend: bool,
    why: str,
    as_json: bool,
) -> None:
    """Attach truths or rewards that arrive after their predictions; each line names one by its puid.

    FILE is a CSV (- for stdin) whose first line names the columns: puid, and truth or reward (or both). Where
    semicolons separate them, numbers may have decimal commas. Rewards that are new go to the arm that earned them as
    feedback, if the row was sent in the running A/B test (without one: since the deployment last changed), under the
    split in force, and the test goes by the same reward. All others live in the ledger alone, as do rows sent to an arm
    of choice and rewards that can be negative. The same file twice changes nothing. A line that says something else
    than what is stored is counted apart and changes nothing without --replace. Refused are truths that are no number
    where the target is one, and rewards that the running A/B test cannot pay. A truth of a single request, which no
    replay sent, earns nothing unless --reward says what. A file of which not one line could be used, because all are
    wrong, unknown or contradict what is stored, ends with exit code 2.

    \b
    Example: python -m app truth labels.csv --dry-run
             python -m app truth labels.csv --reward bounded --scale 0.5
             python -m app truth --resend
    JSON: {"lines", "attached", "replaced", "kept", "contradicts", "contradictions": [{line, words}], "unknown",
           "unknown_puids", "unanswered", "bad", "bad_lines": [{line, words}], "aside": {reason: count},
           "unpriced", "fed", "unfed", "feedback_error", "dry_run"}
    """
    if bool(file) == resend:
        raise click.UsageError("Give a file, or --resend.")
    if resend and (dry_run or replace):
        raise click.UsageError("--resend goes with neither --dry-run nor --replace.")
    built = services()
    only = deployment_key(deployment, namespace) if deployment else None
    line = ProgressLine()
    parts = built.engine, built.predictions, built.store
    try:
        if file is None:
            from services.truths.attaching import resend as send_again

            report = send_again(*parts, only=only, progress=lambda r: line.show(f"{r.fed + r.unfed:,} rewards sent"))
        else:
            from services.truths.attaching import attach_truths
            from services.truths.files import open_truths

            total = None if file == "-" else _count_lines(file)
            with nullcontext(sys.stdin) if file == "-" else open_truths(file) as lines:
                report = attach_truths(
                    *parts, lines, who=built.settings.user, why=why.strip(), reward=_reward(reward, scale), only=only,
                    overwrite=replace, dry_run=dry_run, progress=_shower(line, total),
                )  # fmt: skip
    finally:
        line.done()
    if as_json:
        put_json(report)
    else:
        _put(report, resent=resend)
    if report.useless:
        click.get_current_context().exit(InvalidInput.exit_code)


def _reward(kind: str, scale: float) -> Reward | None:
    given = click.get_current_context().get_parameter_source("scale") is not ParameterSource.DEFAULT
    if given and kind != "bounded":
        raise click.UsageError("--scale goes with --reward bounded.")
    if kind == REPLAYS:
        return None
    from services.traffic.rewards import Reward, RewardKind

    return Reward(RewardKind(kind), scale)


def _count_lines(file: str) -> int:
    from services.truths.files import open_truths

    with open_truths(Path(file)):  # says in words why a file cannot be opened; whether it is text is for its reader
        pass
    with Path(file).open("rb") as lines:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b"")) - 1)


def _shower(line: ProgressLine, total: int | None) -> Callable[[Report], None]:
    def show(report: Report) -> None:
        of = "" if total is None else f" of about {total:,}"
        line.show(f"{report.lines:,}{of} lines, {report.attached:,} attached")

    return show


def _put(report: Report, *, resent: bool) -> None:
    if not resent:
        put_table(
            ("lines", "attached", "replaced", "had it already", "contradict", "unknown puid", "no answer", "bad"),
            [
                tuple(
                    f"{n:,}"
                    for n in (
                        report.lines, report.attached, report.replaced, report.kept, report.contradicts,
                        report.unknown, report.unanswered, report.bad,
                    )
                )
            ],
            right=range(8),
        )  # fmt: skip
    if report.unknown_puids:
        more = report.unknown - len(report.unknown_puids)
        rest = f" and {more:,} more" if more else ""
        say(f"No prediction has the puid{'s' * (report.unknown != 1)} {', '.join(report.unknown_puids)}{rest}.")
    if report.contradicts:
        verb = "contradicts" if report.contradicts == 1 else "contradict"
        say(f"{report.contradicts:,} {verb} what is stored, which stays; use --replace to replace it.")
    for one in report.contradictions:
        say(f"Line {one.line:,}: {one.words}.")
    if more := report.contradicts - len(report.contradictions):
        say(f"And {more:,} more.")
    for bad in report.bad_lines:
        say(f"Line {bad.line:,}: {bad.words}.")
    if more := report.bad - len(report.bad_lines):
        say(f"And {more:,} more bad line{'s' * (more != 1)}.")
    if report.dry_run:
        say("Nothing was changed: this was a dry run.")
    elif report.fed or report.unfed or resent:
        say(f"{report.fed:,} reward{'s' * (report.fed != 1)} reached the counters.")
    if report.unpriced:
        say(f"{report.unpriced_words}. Give the same file with `--reward bounded` (or hit, absolute, squared).")
    for sentence in report.aside_sentences:
        say(f"{sentence}.")
    if report.unfed:
        say(f"{report.unfed:,} did not: {report.feedback_error} `python -m app truth --resend` sends them again.")
