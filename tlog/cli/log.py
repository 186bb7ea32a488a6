"""`tlog log`: the logs of a data directory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from tlog.app import confirm_ids, make_directory
from tlog.cli.data_dir import ask, data_option, print_row, print_rows
from tlog.cli.log_names import complete_log_name
from tlog.cli.options import json_option
from tlog.control import LOG_NAME
from tlog_proofs import KIND_EVENT, KIND_OPAQUE, MalformedError, check_origin

_KINDS = {"opaque": KIND_OPAQUE, "event": KIND_EVENT}


def _read_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not LOG_NAME.fullmatch(value):
        raise click.BadParameter("expected [a-z0-9][a-z0-9-]{0,62}", ctx, param)
    return value


def _read_origin(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        check_origin(value)
    except MalformedError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    return value


@click.group()
def command() -> None:
    """Create, list and show logs."""


@command.command()
@click.argument("name", callback=_read_name)
@data_option
@click.option(
    "--origin",
    required=True,
    callback=_read_origin,
    help="The log's name in the world, as example.com/logs/audit; for ever.",
)
@click.option("--kind", type=click.Choice(sorted(_KINDS)), default="opaque", show_default=True)
@click.option("--public", is_flag=True, help="Everybody may read; appends still need a token.")
def create(*, name: str, data_dir: Path, origin: str, kind: str, public: bool) -> None:
    """Create the log NAME and print its vkey; an absent data directory is made."""
    asyncio.run(make_directory(data_dir))
    body = {"name": name, "origin": origin, "kind": _KINDS[kind], "public": public}
    facts = ask(data_dir, lambda client: client.request("POST", "/admin/logs", body))
    click.echo(facts["vkey"])


@command.command("list")
@data_option
@json_option
def list_logs(*, data_dir: Path, as_json: bool) -> None:
    """List the logs."""
    answer = ask(data_dir, lambda client: client.request("GET", "/admin/logs"))
    print_rows(answer["logs"], as_json=as_json)


@command.command()
@click.argument("name", callback=_read_name, shell_complete=complete_log_name)
@data_option
@json_option
def show(*, name: str, data_dir: Path, as_json: bool) -> None:
    """Show the log NAME."""
    facts = ask(data_dir, lambda client: client.request("GET", f"/admin/logs/{name}"))
    print_row(facts, as_json=as_json)


@command.command("confirm-clock")
@click.argument("name", callback=_read_name, shell_complete=complete_log_name)
@data_option
def confirm_clock(*, name: str, data_dir: Path) -> None:
    """Vouch for the machine's clock, which the log NAME finds too far behind or ahead."""
    path = f"/admin/logs/{name}/confirm-clock"
    ask(data_dir, lambda client: client.request("POST", path))


@command.command("confirm-ids")
@click.argument("name", callback=_read_name, shell_complete=complete_log_name)
@data_option
def confirm_unknown_ids(*, name: str, data_dir: Path) -> None:
    """Let the log NAME go on though control.db lacks the key of its newest ids.

    The server must be stopped. What was appended before with an id is logged again if it is sent
    again: bring the newest control.db back instead if there is one.
    """
    week = confirm_ids(data_dir, name)
    click.echo(f"{name} goes on without its ids up to week {week}: start the server now")
