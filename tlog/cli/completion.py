"""`tlog completion`: the script with which a shell completes the command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "tlog"
VARIABLE = "_TLOG_COMPLETE"  # which click looks at, by the program's name


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print a script that makes SHELL complete commands, options, files and names of logs.

    For one shell: source it, as in `source <(tlog completion bash)`; for all, let the shell do
    that when it starts.
    """
    make = get_completion_class(shell)
    if make is None:
        message = f"click knows no {shell}"
        raise AssertionError(message)
    click.echo(make(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
