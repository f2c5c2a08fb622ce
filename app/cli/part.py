"""part: one process of Decant alone, in the foreground. In a cluster each container runs one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from app.cli.options import settings
from app.cli.output import say


@click.group()
def part() -> None:
    """Run one part alone, for example in a container; `up` runs everything together.

    \b
    Example: python -m app part dashboard
             python -m app part worker
    """


@part.command()
def dashboard() -> None:
    """The pages."""
    _run("dashboard")


@part.command()
def worker() -> None:
    """What takes trainings, replays and publications from the queue."""
    _run("worker")


@part.command("replay-share")
@click.argument("replay", type=int)
@click.option("--of", "shares", type=click.IntRange(1), required=True, help="How many senders share it.")
def replay_share(replay: int, shares: int) -> None:
    """One sender of a large replay: a pod of the Job that the worker makes for it (docs/replay.md)."""
    settings().paths.create()
    _become([sys.executable, "-m", "services.jobs.replay_share", str(replay), "--of", str(shares)])


def _run(name: str) -> None:
    from services.evidence.database import open_database
    from services.runtime.parts import parts

    chosen = settings()
    chosen.paths.create()
    open_database(chosen.store_url).dispose()  # told here, in words, instead of on every page
    program = next(one.program for one in parts(chosen, None) if one.program.name == name)
    say(f"Decant's {name} starts.")
    _become(program.command)


def _become(command: Sequence[str]) -> None:
    """Run it in place of this process, so that signals of whoever started it arrive."""
    from services.settings import ROOT

    os.chdir(ROOT)
    os.execve(command[0], list(command), {**os.environ, "PYTHONPATH": str(ROOT)})
