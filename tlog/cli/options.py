"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import functools
import math
import os
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from tlog.cli.client_tls import client_context, tls_options
from tlog.cli.output import read_file, warn
from tlog_clients import (
    DEFAULT_RETRY_FOR_S,
    HeadFile,
    HttpFetcher,
    LogTrust,
    Retries,
    RetryPolicy,
    default_state_path,
    is_private_transport,
    is_tlog_url,
    parse_log_url,
)
from tlog_proofs import MAX_POLICY_BYTES, MalformedError, TlogError, parse_policy, parse_vkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tlog_clients import FetchError, LogKey
    from tlog_proofs import Policy

_MAX_RETRY_FOR_S = 3600
_Command = TypeVar("_Command", bound="Callable[..., object]")


def _read_log_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else parse_log_url(value)
    except MalformedError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _read_tlog_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    url = _read_log_url(ctx, param, value)
    if url is not None and not is_tlog_url(url):
        raise click.BadParameter("expected http(s)://HOST[:PORT]/logs/NAME", ctx, param)
    return url


def _read_vkey(ctx: click.Context, param: click.Parameter, value: str | None) -> LogKey | None:
    try:
        return None if value is None else parse_vkey(value.strip())
    except MalformedError as error:
        sentence = f"expected NAME+ID+KEY as the log prints it ({error})"
        raise click.BadParameter(sentence, ctx, param) from None


def _read_policy(ctx: click.Context, param: click.Parameter, value: str | None) -> Policy | None:
    try:
        return None if value is None else parse_policy(read_file(value, MAX_POLICY_BYTES))
    except (MalformedError, OSError) as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _read_seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if math.isnan(value):  # which is in every range
        raise click.BadParameter("expected a number of seconds", ctx, param)
    return value


def url_option(*, appends: bool = False, required: bool = True) -> Callable[[_Command], _Command]:
    """--url LOGURL, or TLOG_URL; `appends` demands the address of a log of tlog."""
    return click.option(
        "--url",
        metavar="LOGURL",
        callback=_read_tlog_url if appends else _read_log_url,
        envvar="TLOG_URL",
        required=required,
        show_envvar=True,
        help="Address of the log, http(s)://HOST/logs/NAME.",
    )


def vkey_option(*, required: bool = True) -> Callable[[_Command], _Command]:
    """--vkey VKEY, or TLOG_VKEY; given to the command as `log_key`."""
    return click.option(
        "--vkey",
        "log_key",
        metavar="VKEY",
        callback=_read_vkey,
        envvar="TLOG_VKEY",
        required=required,
        show_envvar=True,
        help="The log's public key, against which everything is verified.",
    )


policy_option = click.option(
    "--policy",
    metavar="FILE",
    callback=_read_policy,
    envvar="TLOG_POLICY",
    show_envvar=True,
    help="Instead of --vkey: the log's keys, and who must have cosigned a head (C2SP tlog-policy).",
)


def trust_options(*, required: bool = True) -> Callable[[_Command], _Command]:
    """--vkey and --policy, one of them; given to the command as `trust`, a LogTrust.

    What is typed is taken before what the environment says.
    """

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def run(*, log_key: LogKey | None, policy: Policy | None, **values: object) -> object:
            chosen = _choose_trust(log_key, policy, required=required)
            return command(trust=None if chosen is None else _of_one_log(chosen), **values)

        return vkey_option(required=False)(policy_option(run))  # type: ignore[return-value]

    return decorate


def any_trust_options(command: _Command) -> _Command:
    """As trust_options, but given as LogKey or Policy, which may be of several logs."""

    @functools.wraps(command)
    def run(*, log_key: LogKey | None, policy: Policy | None, **values: object) -> object:
        return command(trust=_choose_trust(log_key, policy, required=True), **values)

    return vkey_option(required=False)(policy_option(run))  # type: ignore[return-value]


def is_typed(parameter: str) -> bool:
    """Whether an option was given in this command, not by the environment."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is ParameterSource.COMMANDLINE


def _choose_trust(
    log_key: LogKey | None, policy: Policy | None, *, required: bool
) -> LogKey | Policy | None:
    if log_key is None and policy is None and required:
        raise click.UsageError("Missing option '--vkey' (or '--policy').")
    if log_key is None or policy is None:
        return policy if log_key is None else log_key
    if is_typed("log_key") == is_typed("policy"):
        raise click.UsageError("--vkey and --policy exclude each other")
    return log_key if is_typed("log_key") else policy


def _of_one_log(source: LogKey | Policy) -> LogTrust:
    try:
        return LogTrust.of(source)
    except TlogError as error:
        raise click.BadParameter(str(error), param_hint="'--policy'") from None


def access_options(command: _Command) -> _Command:
    """--token, or TLOG_TOKEN, and how TLS is spoken: what a server wants of its callers."""
    return click.option(
        "--token",
        envvar="TLOG_TOKEN",
        show_envvar=True,
        help="Token for the log; better given by the environment, where others do not see it.",
    )(tls_options(command))


state_option = click.option(
    "--state",
    "state_path",
    type=click.Path(dir_okay=False),
    help="File of the trusted heads.  [default: $XDG_STATE_HOME/tlog/heads.json]",
)
retry_for_option = click.option(
    "--retry-for",
    "retry_for_s",
    metavar="SECONDS",
    type=click.FloatRange(0, _MAX_RETRY_FOR_S),
    callback=_read_seconds,
    default=DEFAULT_RETRY_FOR_S,
    show_default=True,
    help="How long to try again what was lost or put off; 0 is never.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def make_retries(retry_for_s: float = DEFAULT_RETRY_FOR_S) -> Retries:
    """Say how requests are tried again, each time with a line on stderr."""
    return Retries(RetryPolicy(retry_for_s), on_retry=_say_retry)


def _say_retry(error: FetchError, pause_s: float) -> None:
    warn(f"{error}; trying again in {pause_s:.1f} s")


def open_fetcher(url: str, token: str | None, retries: Retries) -> HttpFetcher:
    """Make the HTTP client of a log, and warn where the token could be read on its way.

    Raises:
        click.UsageError: the token is none, or a file of the TLS options cannot be used.
    """
    if token is not None and not is_private_transport(url):
        warn("the token travels unencrypted: use https")
    tls = client_context(click.get_current_context())
    try:
        return HttpFetcher(url, token=token, retries=retries, ssl=tls)
    except MalformedError as error:
        raise click.UsageError(str(error)) from None


def open_heads(state_path: str | None) -> HeadFile:
    """Name the state file: --state, or the default one.

    Raises:
        click.UsageError: there is no home directory for the default one.
    """
    try:
        return HeadFile(state_path or default_state_path(os.environ))
    except RuntimeError:
        raise click.UsageError("no home directory is known: expected --state FILE") from None
