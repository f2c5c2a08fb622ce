"""export: the outcomes of the ledger as a Parquet or CSV file."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.options import deployment_key, json_option, namespace_option, services
from app.cli.output import ProgressLine, put_json, say
from services.errors import InvalidInput


@click.command()
@click.argument("file")
@namespace_option
@click.option("--deployment", metavar="NAME", help="Only outcomes of this deployment.  [default: of all]")
@click.option("--replay", type=click.IntRange(1), help="Only outcomes of this replay.")
@click.option("--test", type=click.IntRange(1), help="Only outcomes of the deployment and time of this A/B test.")
@click.option("--format", "form", type=click.Choice(["parquet", "csv"]), help="[default: by the ending of FILE]")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
def export(
    file: str,
    namespace: str,
    deployment: str | None,
    replay: int | None,
    test: int | None,
    form: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write outcomes (predictions with their truths and rewards) to FILE, one per row.

    Single numbers stand in the columns prediction and truth, everything else in prediction_text and truth_text.

    \b
    Example: python -m app export wine.parquet --deployment wine
             python -m app export replay.csv --replay 3
    JSON: {"file", "format", "rows"}
    """
    if deployment and test is not None:
        raise click.UsageError("A test names its deployment: leave out --deployment.")
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
    scope = built.store.export_scope(*where, replay=replay, test=test)
    total = built.store.count_outcomes(scope)
    line = ProgressLine()
    try:
        rows = built.store.export_outcomes(
            path, chosen, scope, progress=lambda done: line.show(f"{done:,} of {total:,} outcomes")
        )
    finally:
        line.done()
    if as_json:
        put_json({"file": str(path), "format": chosen, "rows": rows})
    else:
        say(f"{rows:,} outcome{'s' * (rows != 1)} in {path}.")
