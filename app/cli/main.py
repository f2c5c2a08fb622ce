"""The group of all commands."""

from __future__ import annotations

import logging

import click

from app.cli.changes import delete, events, history, logs, undo
from app.cli.decide import decisions, end_test, keep, promote, undo_decision
from app.cli.demo import demo
from app.cli.deployments import deploy
from app.cli.export import export
from app.cli.group import DecantGroup
from app.cli.jobs import cancel, jobs, resume
from app.cli.monitor import check_metrics, monitor
from app.cli.monitoring import monitoring
from app.cli.part import part
from app.cli.predict import predict
from app.cli.replay import replay
from app.cli.runs import runs
from app.cli.start_budget import start_budget
from app.cli.system import down, status, up
from app.cli.traffic import traffic
from app.cli.train import train
from app.cli.truth import truth
from app.cli.verdict import report, verdict
from app.cli.verdict_tests import test


@click.group(cls=DecantGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Also show what the libraries log.")
def cli(verbose: bool) -> None:
    """Decant: A/B tests of MLflow models, from run to verdict.

    \b
    Exit codes: 0 done, 2 wrong input, 3 not found, 4 changed meanwhile, 5 a part does not answer,
    6 a part refused, 7 something did not start or failed, 8 already running, 9 port taken, 10 keep running,
    11 do not trust yet, 12 not allowed, 130 interrupted.
    Settings are environment variables: see docs/settings.md.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(name)s: %(message)s")


for command in (
    up,
    down,
    status,
    demo,
    train,
    runs,
    deploy,
    start_budget,
    traffic,
    predict,
    replay,
    truth,
    monitor,
    check_metrics,
    monitoring,
    test,
    verdict,
    report,
    promote,
    keep,
    end_test,
    undo_decision,
    decisions,
    export,
    history,
    undo,
    delete,
    logs,
    events,
    jobs,
    cancel,
    resume,
    part,
):
    cli.add_command(command)
