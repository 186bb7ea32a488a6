"""The `tlog` command line: one module a command, imported when it is asked for."""

from __future__ import annotations

import importlib

import click

from tlog_proofs import __version__

EXIT_INTERRUPTED = 130
_COMMANDS = (
    "init",
    "log",
    "token",
    "serve",
    "config",
    "append",
    "get",
    "head",
    "prove",
    "verify",
    "audit",
    "fsck",
    "completion",
)


class _Commands(click.Group):
    """Loads tlog.cli.NAME for the command NAME: `tlog verify` needs no database."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx  # the commands are the same everywhere
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"tlog.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"tlog.cli.{cmd_name}.command is no click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except KeyboardInterrupt:
            # Without another import: it may be one that was interrupted.
            click.echo("tlog: interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except Exception as error:
            # Imported late, with the client library.
            from tlog.cli.errors import as_failure  # noqa: PLC0415

            failure = as_failure(error)
            if failure is None:
                raise
            failure.show()
            ctx.exit(failure.exit_code)


main = _Commands(
    "tlog",
    help="An immutable audit log whose every answer can be checked.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, prog_name="tlog")(main)
