"""monitor: the numbers of the Monitor page for a terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from app.cli.options import deployment_key, json_option, namespace_option, services
from app.cli.output import plain, put_json, put_table
from app.cli.verdict import DISTRUST
from app.format import latency, number, percent, rate
from services.errors import InvalidInput

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@click.argument("name")
@namespace_option
@click.option("--window", default="15m", show_default=True, help="How far to look back: 30s, 15m, 2h, 1d.")
@json_option
def monitor(name: str, namespace: str, window: str, as_json: bool) -> None:
    """Show requests, errors, rewards and latency of each predictor, as Prometheus has them.

    \b
    Example: python -m app monitor wine --window 1h
    JSON: {"window_s", "tiles": {rate, success_ratio, ...}, "predictors": [{predictor, requests, errors, feedback,
           reward_sum, p50_ms, p95_ms}]}
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    built.engine.get(namespace, name)
    window_s = read_window_s(window)
    now = datetime.now(UTC)
    tiles = built.metrics.tiles(namespace, name, window_s)
    totals = built.metrics.totals(namespace, name, now - timedelta(seconds=window_s), now)
    if as_json:
        put_json({"window_s": window_s, "tiles": plain(tiles), "predictors": plain(totals)})
        return
    click.echo(f"{rate(tiles.rate)}, {percent(tiles.success_ratio)} answered well, n {tiles.n:,}, last {window}")
    put_table(
        ("predictor", "requests", "errors", "mean reward", "n", "p50", "p95"),
        [
            (
                t.predictor,
                f"{t.requests:,}",
                f"{t.errors:,}",
                number(t.mean_reward, 4),
                f"{t.feedback:,}",
                latency(t.p50_ms),
                latency(t.p95_ms),
            )
            for t in totals
        ],
        right=range(1, 7),
    )


@click.command("check-metrics")
@click.argument("name")
@namespace_option
@json_option
def check_metrics(name: str, namespace: str, as_json: bool) -> None:
    """Say what is wrong with the metrics of a deployment, and how to mend it.

    Targets that are missing or scraped twice, absent labels, windows shorter than two scrapes, rewards of zero that
    were dropped, rewards that are negative, buckets too coarse, a test that outlasts Prometheus' retention. Exit code
    11 if numbers are wrong by it.

    \b
    Example: python -m app check-metrics wine
    JSON: [{"fault", "sentence", "mend", "wrong"}]
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    deployment = built.engine.get(namespace, name).deployment
    symptoms = built.metrics.examine(deployment, built.verdicts.counted_since(namespace, name))
    if as_json:
        put_json(plain(symptoms))
    elif not symptoms:
        click.echo("Nothing is wrong with these metrics.")
    for symptom in [] if as_json else symptoms:
        click.echo(f"{'WRONG ' if symptom.wrong else ''}{symptom.sentence}\n  {symptom.mend}")
    if any(symptom.wrong for symptom in symptoms):
        raise SystemExit(DISTRUST)


def read_window_s(text: str) -> int:
    """`15m` as seconds. Raises InvalidInput."""
    match = re.fullmatch(r"(\d{1,5})([smhd])", text.strip())
    if not match or int(match[1]) == 0:
        raise InvalidInput(f"“{text}” is not a window of time.", "Write 30s, 15m, 2h or 1d.")
    return int(match[1]) * _UNITS_S[match[2]]
