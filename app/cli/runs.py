"""runs: what MLflow has tracked, to choose models from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.options import json_option, services
from app.cli.output import plain, put_json, put_table
from app.format import ago, number
from services.errors import NotFound

if TYPE_CHECKING:
    from services.factory import Services
    from services.tracking.runs import Run

MOST_COLUMNS = 8  # of parameters and metrics together; more does not fit a terminal


@click.command()
@click.argument("run_id", required=False)
@click.option("--experiment", multiple=True, metavar="NAME", help="Only of this experiment; repeatable.")
@click.option("--filter", "filter_text", default="", help='MLflow filter, such as "metrics.rmse < 0.82".')
@click.option("--order-by", default="", help='MLflow order, such as "metrics.rmse ASC".  [default: newest first]')
@click.option("--limit", default=20, show_default=True, help="How many runs.")
@json_option
def runs(
    run_id: str | None, experiment: tuple[str, ...], filter_text: str, order_by: str, limit: int, as_json: bool
) -> None:
    """List runs, or show one.

    \b
    Example: python -m app runs --filter "metrics.rmse < 0.83" --order-by "metrics.rmse ASC"
             python -m app runs 3f2e...
    JSON: [{"run_id", "name", "status", "started_at", "params", "metrics", "tags", "models", ...}]
    """
    built = services()
    if run_id:
        _show_one(built, run_id, as_json)
        return
    page = built.runs.search(_experiment_ids(built, experiment), filter_text, order_by, limit=limit)
    if as_json:
        put_json(page.runs)
        return
    if not page.runs:
        click.echo("No runs. Train some: `python -m app train --alpha .5 --l1-ratio .5`.")
        return
    params = sorted({name for run in page.runs for name in run.params})[:MOST_COLUMNS]
    metrics = sorted({name for run in page.runs for name in run.metrics})[: MOST_COLUMNS - len(params)]
    rows = [
        (
            run.run_id,
            run.name,
            run.status.lower(),
            ago(run.started_at),
            *(run.params.get(name, "") for name in params),
            *(number(run.metrics.get(name), 4) for name in metrics),
        )
        for run in page.runs
    ]
    put_table(
        ("run", "name", "status", "started", *params, *metrics), rows, right=range(4, 4 + len(params) + len(metrics))
    )
    if page.next_token:
        click.echo(f"There are more than {limit}; raise --limit or narrow it with --filter.", err=True)


def _experiment_ids(built: Services, names: tuple[str, ...]) -> list[str]:
    """Ids of the named experiments (names or ids), or of all. Raises NotFound naming those there are."""
    known = built.runs.experiments()
    if not names:
        return [one.id for one in known]
    found = {**{one.id: one.id for one in known}, **{one.name: one.id for one in known}}
    for name in names:
        if name not in found:
            raise NotFound("experiment", name, [one.name for one in known])
    return [found[name] for name in names]


def _show_one(built: Services, run_id: str, as_json: bool) -> None:
    run = built.runs.run(run_id)
    artifacts = built.runs.artifacts(run_id)
    if as_json:
        put_json({**plain(run), "artifacts": artifacts})
        return
    click.echo(f"Run {run.run_id} ({run.name}), {run.status.lower()}, {ago(run.started_at)}, by {run.user or '?'}")
    put_table(("", "name", "value"), _facts(run))
    click.echo(f"Models: {', '.join(run.models) or ('runs:/.../model' if run.mlflow2_model else 'none')}")
    for path in artifacts:
        click.echo(f"  {path}")


def _facts(run: Run) -> list[tuple[str, str, str]]:
    return [
        *(("param", name, value) for name, value in sorted(run.params.items())),
        *(("metric", name, number(value, 4)) for name, value in sorted(run.metrics.items())),
        *(("tag", name, value) for name, value in sorted(run.tags.items())),
    ]
