"""`tlog token`: bearer tokens and certificates for the logs of a data directory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TextIO

import click

from tlog.cli.data_dir import ask, data_option, print_rows
from tlog.cli.log_names import complete_log_name
from tlog.cli.options import json_option
from tlog.tokens import DEFAULT_LIFETIME_S, ID_CHARACTERS, ID_LENGTH, MAX_LIFETIME_S, Scope

DAY_S = 24 * 3600
MAX_CERTIFICATE_CHARS = 32 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


def _read_id(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(f"[{ID_CHARACTERS}]{{{ID_LENGTH}}}", value):
        raise click.BadParameter("expected the id, as `tlog token list` shows it", ctx, param)
    return value


@click.group()
def command() -> None:
    """Create, list and revoke tokens."""


@command.command()
@data_option
@click.option(
    "--log",
    "logs",
    multiple=True,
    required=True,
    shell_complete=complete_log_name,
    help="Name of a log; repeatable.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What the token allows on its logs; repeatable.",
)
@click.option(
    "--expires-days",
    type=click.IntRange(1, MAX_LIFETIME_S // DAY_S),
    default=DEFAULT_LIFETIME_S // DAY_S,
    show_default=True,
)
@click.option(
    "--certificate",
    metavar="FILE",
    type=click.File(),
    help="No token: let in clients with this certificate (PEM), or others for its key.",
)
def create(
    *,
    data_dir: Path,
    logs: tuple[str, ...],
    scopes: tuple[str, ...],
    expires_days: int,
    certificate: TextIO | None,
) -> None:
    """Create a token and print it: it is shown this once, and kept nowhere.

    With --certificate print the id of its row, which `list` shows and `revoke` takes.
    """
    body: dict[str, object] = {
        "logs": logs,
        "scopes": scopes,
        "expires_in_s": expires_days * DAY_S,
    }
    if certificate is not None:
        body["certificate"] = _read_certificate(certificate)
    answer = ask(data_dir, lambda client: client.request("POST", "/admin/tokens", body))
    click.echo(answer["id" if certificate is not None else "token"])


def _read_certificate(file: TextIO) -> str:
    """The certificates of a PEM file, without anything else in it, as the key."""
    try:
        text = file.read(MAX_CERTIFICATE_CHARS + 1)
    except UnicodeDecodeError:
        text = ""
    certificate = _CERTIFICATE.search(text)
    if certificate is None:
        raise click.UsageError(f"--certificate {file.name}: expected X.509 in PEM")
    return certificate[0]


@command.command("list")
@data_option
@json_option
def list_tokens(*, data_dir: Path, as_json: bool) -> None:
    """List the ids, rights and times (POSIX seconds) of tokens and certificates."""
    answer = ask(data_dir, lambda client: client.request("GET", "/admin/tokens"))
    print_rows(answer["tokens"], as_json=as_json)


@command.command()
@click.argument("token_id", metavar="ID", callback=_read_id)
@data_option
def revoke(*, token_id: str, data_dir: Path) -> None:
    """Make the token or the certificate ID invalid, at once."""
    ask(data_dir, lambda client: client.request("DELETE", f"/admin/tokens/{token_id}"))
