"""How client commands speak TLS: whom they trust, and which certificate they show."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_META = "tlog.cli.client_tls"
_FILE = click.Path(dir_okay=False, path_type=Path)
_Command = TypeVar("_Command", bound="Callable[..., object]")


def _keep(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Keep a file for `client_context`: commands themselves have no business with it."""
    ctx.meta[f"{_META}.{param.name}"] = value


def tls_options(command: _Command) -> _Command:
    """--ca, --client-cert and --client-key; or TLOG_CA, TLOG_CLIENT_CERT, TLOG_CLIENT_KEY."""
    for name, text in (
        ("client-key", "Its private key (PEM), unless it is in the same file."),
        ("client-cert", "Certificate (PEM) to show to the server, for a log that knows it."),
        (
            "ca",
            "Authorities (PEM) to trust instead of the system's.",
        ),
    ):
        command = click.option(
            f"--{name}",
            metavar="FILE",
            type=_FILE,
            callback=_keep,
            expose_value=False,
            envvar=f"TLOG_{name.upper().replace('-', '_')}",
            show_envvar=True,
            help=text,
        )(command)
    return command


def client_context(ctx: click.Context) -> ssl.SSLContext | None:
    """The context of the options that the command was given; None without any.

    Raises:
        click.UsageError: a file cannot be used.
    """
    ca, certificate, key = (
        ctx.meta.get(f"{_META}.{name}") for name in ("ca", "client_cert", "client_key")
    )
    if key is not None and certificate is None:
        raise click.UsageError("--client-key needs --client-cert")
    if ca is None and certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise click.UsageError(f"--ca {ca}: {_reason(error)}") from None
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_refuse_encrypted)
        except OSError as error:
            files = " and ".join(str(file) for file in (certificate, key) if file is not None)
            raise click.UsageError(f"--client-cert {files}: {_reason(error)}") from None
    return context


def _refuse_encrypted() -> NoReturn:
    raise click.UsageError("--client-key: the key is encrypted, expected one without a pass phrase")


def _reason(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or type(error).__name__
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return "expected PEM"
