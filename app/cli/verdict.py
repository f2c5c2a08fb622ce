"""verdict and report: what the Verdict page says, for a terminal, for programs, and as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.options import deployment_key, json_option, namespace_option, services
from app.cli.output import plain, put_json, put_table, say
from services.errors import InvalidInput

if TYPE_CHECKING:
    from services.verdict.model import Assessment, MetricRow, Strand

KEEP_RUNNING, DISTRUST = 10, 11
test_option = click.option("--test", "test_id", type=int, help="Number of a test; the newest without it.")


@click.command()
@click.argument("name")
@namespace_option
@test_option
@json_option
@click.pass_context
def verdict(context: click.Context, name: str, namespace: str, test_id: int | None, as_json: bool) -> None:
    """Say what to do with B and why, or what is still missing.

    \b
    Exit codes: 0 a decision is possible (ship B or keep A), 10 keep running, 11 do not trust yet.
    Example: python -m app verdict wine && echo decided
    JSON: {"call", "headline", "fired", "decidable", "blockers", "as_of", "test": {id, rule, ...}, "checks": [{key,
           light, sentence, advice}], "paired" and "live": {n, interval, curve, ...} or null, "table": [{key, source,
           a, b, difference, better, ...}], "disagreements", "slices", "marks"}
    """
    from services.verdict.model import Call

    namespace, name = deployment_key(name, namespace)
    found = services().verdicts.assess(namespace, name, test_id)
    if as_json:
        put_json(as_data(found))
    else:
        put_verdict(found)
    context.exit({Call.RUNNING: KEEP_RUNNING, Call.DISTRUST: DISTRUST}.get(found.call, 0))


@click.command()
@click.argument("name")
@click.option("-o", "--output", required=True, help="File to write, or - for stdout.")
@namespace_option
@test_option
def report(name: str, output: str, namespace: str, test_id: int | None) -> None:
    """Write the report of a test: one HTML file with its charts, to be mailed or printed.

    A file that ends in .csv or .parquet gets the table of the verdict instead, a line per metric.

    \b
    Example: python -m app report wine -o wine.html
    Example: python -m app report wine -o wine.csv
    """
    from services.evidence.export import ExportForm
    from services.verdict.export import verdict_as
    from services.verdict.report import render_report

    namespace, name = deployment_key(name, namespace)
    found = services().verdicts.assess(namespace, name, test_id)
    form = Path(output).suffix.removeprefix(".").lower()
    tabular = form in tuple(ExportForm)
    content = verdict_as(ExportForm(form), found) if tabular else render_report(found).encode()
    if output == "-":
        click.echo(content, nl=False)
        return
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}.") from error
    say(f"{found.call.value}: the report of test {found.test.id} is in {output}")


def as_data(found: Assessment) -> dict[str, Any]:
    """The assessment with what follows from it, for programs."""
    data: dict[str, Any] = plain(found)
    for row, made in zip(data["table"], found.table, strict=True):
        row["better"] = made.better
    return {**data, "decidable": found.decidable, "blockers": list(found.blockers)}


def put_verdict(found: Assessment) -> None:
    """For people: the call, the checks that are not green, the table, and what is missing."""
    from services.verdict import words
    from services.verdict.model import Light

    click.echo(click.style(found.call.value, bold=True))
    click.echo(words.reason(found))
    click.echo(found.fired)
    for said in (*found.test.read_as, words.beside(found)):
        if said:
            click.echo(said)
    click.echo()
    for check in found.checks:
        click.echo(f"{words.LIGHT_MARKS[check.light]} {check.title}: {check.sentence}")
        if check.advice and check.light is not Light.GREEN:
            click.echo(f"  {check.advice}")
    names = words.arm_names(found.test.rule)
    if found.table:
        click.echo()
        put_table(
            ("metric", "source", names.a, "n", names.b, "n", "B − A", "interval", ""),
            [_line(row, names) for row in found.table],
            right=range(2, 8),
        )
    for strand in (found.paired, found.live):
        if strand is not None and (missing := _missing(strand)):
            click.echo(missing)


def _line(row: MetricRow, names: Any) -> tuple[str, ...]:
    from services.verdict import figures, words

    a, b = figures.measured(row)
    change = figures.middle(row.difference, row.unit)
    bounds = figures.bounds(row.difference, row.unit) if row.difference else ""
    said = words.finding(row, names)
    return row.label, words.SOURCES[row.source], a, f"{row.a.n:,}", b, f"{row.b.n:,}", change, bounds, said


def _missing(strand: Strand) -> str:
    from services.verdict import words

    missing = words.left(strand)
    return f"{words.SOURCES[strand.source]}: a decision is likely after {missing}" if missing else ""
