"""part: one process of Decant alone, in the foreground. In a cluster each container runs one."""

from __future__ import annotations

import os

import click

from app.cli.options import settings
from app.cli.output import say


@click.command()
@click.argument("name", type=click.Choice(["dashboard", "worker"]))
def part(name: str) -> None:
    """Run the dashboard or the worker alone, for example in a container; `up` runs everything together.

    \b
    Example: python -m app part dashboard
    """
    from services.evidence.database import open_database
    from services.runtime.parts import parts
    from services.settings import ROOT

    chosen = settings()
    chosen.paths.create()
    open_database(chosen.store_url).dispose()  # told here, in words, instead of on every page
    program = next(one.program for one in parts(chosen, None) if one.program.name == name)
    say(f"Decant's {name} starts.")
    os.chdir(ROOT)
    # In place of this process, so that signals of whoever started it arrive.
    os.execve(program.command[0], list(program.command), {**os.environ, "PYTHONPATH": str(ROOT)})
