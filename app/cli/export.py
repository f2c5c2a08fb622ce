"""export: the outcomes of the ledger, or all tests with their verdicts, as a Parquet or CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.options import deployment_key, json_option, namespace_option, services
from app.cli.output import ProgressLine, put_json, say
from services.errors import InvalidInput

if TYPE_CHECKING:
    from services.evidence.export import ExportForm
    from services.factory import Services


@click.command()
@click.argument("file")
@namespace_option
@click.option("--verdicts", is_flag=True, help="All tests with rule, verdict and decision instead, one per row.")
@click.option("--deployment", metavar="NAME", help="Only what is of this deployment.  [default: of all]")
@click.option("--replay", type=click.IntRange(1), help="Only outcomes of this replay.")
@click.option("--test", type=click.IntRange(1), help="Only outcomes of the deployment and time of this A/B test.")
@click.option("--format", "form", type=click.Choice(["parquet", "csv"]), help="[default: by the ending of FILE]")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
def export(
    file: str,
    namespace: str,
    verdicts: bool,
    deployment: str | None,
    replay: int | None,
    test: int | None,
    form: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write outcomes (predictions with their truths and rewards) to FILE, one per row.

    Single numbers stand in the columns prediction and truth, everything else in prediction_text and truth_text.

    With --verdicts: every A/B test, oldest first, with its rule, call, reasons, n, difference, interval and decision.
    The column basis says whether the verdict is what was decided on (decision), of a test that runs (now), or of one
    that ended undecided, assessed anew (recomputed).

    \b
    Example: python -m app export wine.parquet --deployment wine
             python -m app export replay.csv --replay 3
             python -m app export tests.csv --verdicts
    JSON: {"file", "format", "rows"}
    """
    if deployment and test is not None:
        raise click.UsageError("A test names its deployment: leave out --deployment.")
    if verdicts and (replay is not None or test is not None):
        raise click.UsageError("--verdicts writes all tests: leave out --replay and --test.")
    from services.evidence.export import ExportForm

    path = Path(file).expanduser()
    ending = path.suffix.lower().lstrip(".")
    if form is None and ending not in tuple(ExportForm):
        raise InvalidInput(f"{path.name} ends in neither .parquet nor .csv.", "Say which one with --format.")
    if path.exists() and not force:
        raise InvalidInput(f"{path} is there already.", "Choose another name, or write over it with --force.")
    chosen = ExportForm(form or ending)
    built = services()
    where = deployment_key(deployment, namespace) if deployment else (None, None)
    if verdicts:
        _done(path, chosen, _write_verdicts(built, path, chosen, *where), "test", as_json)
        return
    scope = built.store.export_scope(*where, replay=replay, test=test)
    total = built.store.count_outcomes(scope)
    line = ProgressLine()
    try:
        rows = built.store.export_outcomes(
            path, chosen, scope, progress=lambda done: line.show(f"{done:,} of {total:,} outcomes")
        )
    finally:
        line.done()
    _done(path, chosen, rows, "outcome", as_json)


def _write_verdicts(
    built: Services, path: Path, form: ExportForm, namespace: str | None, deployment: str | None
) -> int:
    """Write the file; returns the number of tests in it."""
    from services.decisions.archive import verdict_table, verdicts_as

    line = ProgressLine()

    def tell(done: int, of: int) -> None:
        line.show(f"{done:,} of {of:,} tests")

    try:
        table = verdict_table(built.store, built.verdicts.assess, namespace=namespace, deployment=deployment, tell=tell)
    finally:
        line.done()
    try:
        path.write_bytes(verdicts_as(form, table))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from error
    return len(table)


def _done(path: Path, form: ExportForm, rows: int, what: str, as_json: bool) -> None:
    if as_json:
        put_json({"file": str(path), "format": form, "rows": rows})
    else:
        say(f"{rows:,} {what}{'s' * (rows != 1)} in {path}.")
