"""The error boundary of the command line: sentence and hint on stderr, an exit code that means something."""

from __future__ import annotations

from typing import Any

import click

from services.errors import DecantError

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""


def explain(error: DecantError) -> None:
    """Print what happened and what to do next, on stderr."""
    click.echo(error.sentence, err=True)
    if error.hint:
        click.echo(error.hint, err=True)


class DecantGroup(click.Group):
    """A group whose commands raise DecantError freely."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DecantError as error:
            explain(error)
            return ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nInterrupted.", err=True)
            return ctx.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they were added: the order in which a newcomer needs them."""
        return list(self.commands)
