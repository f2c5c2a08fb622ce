"""traffic: who gets how much, as requested, in force and observed; and moving it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from app.cli.deployments import status_rows
from app.cli.options import (
    deployment_key,
    json_option,
    namespace_option,
    note,
    parse_split,
    services,
    take_over_option,
    why_option,
)
from app.cli.output import put_json, put_table, say
from app.format import percent
from services.errors import DecantError

if TYPE_CHECKING:
    from services.domain import DeploymentStatus
    from services.factory import Services

DEFAULT_SINCE = timedelta(hours=1)


@click.command(context_settings={"ignore_unknown_options": True})  # -10/110 is a wrong split, not a wrong option
@click.argument("name")
@click.argument("split", nargs=-1)
@namespace_option
@why_option
@take_over_option
@json_option
def traffic(name: str, split: tuple[str, ...], namespace: str, why: str, take_over: bool, as_json: bool) -> None:
    """Show the traffic split, or move it. Moving it restarts nothing and drops no request.

    \b
    Example: python -m app traffic wine 50/50 --why "b looks fine"
             python -m app traffic wine a=0 b=100
             python -m app traffic wine
    JSON: {"namespace", "name", "requested", "in_force", "observed": {predictor: requests} or null, "since", ...}
    """
    for word in (name, *split):
        if re.match(r"--|-[a-zA-Z]", word):
            raise click.NoSuchOption(word, ctx=click.get_current_context())
    built = services()
    namespace, name = deployment_key(name, namespace)
    status = built.engine.get(namespace, name)
    if split:
        wanted = parse_split(split, [p.name for p in status.deployment.live])
        status = built.operations.set_traffic(
            namespace, name, wanted, note=note(built, why, take_over=take_over), expected_version=status.version
        )
        say(f"{namespace}/{name}: {status.in_force or 'not yet in force'}")
        if not as_json:
            return
    since = status.changed_at or datetime.now(UTC) - DEFAULT_SINCE
    counts, problem = observed(built, namespace, name, since)
    if as_json:
        put_json({**status_rows(status), "observed": counts, "since": since})
        return
    _show(status, counts)
    click.echo(f"Observed since {since:%Y-%m-%d %H:%M:%S %Z}." if counts is not None else problem)


def observed(built: Services, namespace: str, name: str, since: datetime) -> tuple[dict[str, int] | None, str]:
    """Predictions the gateway sent to each predictor since then; None, and why, when nobody can tell."""
    try:
        return built.metrics.router_counts(namespace, name, since), ""
    except DecantError as error:  # the split itself is known without Prometheus
        return None, str(error)


def _show(status: DeploymentStatus, counts: dict[str, int] | None) -> None:
    from services.stats.srm import STANDARD, split_band

    total = sum((counts or {}).values())
    rows = []
    for name, share in status.requested.shares:
        n = (counts or {}).get(name, 0)
        band = split_band(total, share / 100)
        rows.append(
            (
                name,
                f"{share} %",
                f"{status.in_force[name]} %" if status.in_force and name in status.in_force.names else "?",
                percent(n / total) if total else "-",
                f"{n:,}" if counts is not None else "-",
                f"{band.low:,} to {band.high:,}" if total else "-",
            )
        )
    put_table(("predictor", "requested", "in force", "observed", "n", "expected"), rows, right=(1, 2, 3, 4))
    if total:
        click.echo(f"Expected by {STANDARD}.")
