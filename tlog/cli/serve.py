"""`tlog serve`: the server of a data directory."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from dataclasses import replace
from pathlib import Path

import click
import uvloop

from tlog.addresses import Address, parse_address
from tlog.app import Addresses, Urls, serve
from tlog.cli.data_dir import data_option
from tlog.cli.serve_checks import combination_problems
from tlog.cli.settings import config_option
from tlog.collector import collecting_by_time, settle_collector
from tlog.config import Config
from tlog.errors import UsageError
from tlog.heap import map_large_blocks
from tlog.program_log import FORMATS, TEXT, configure_log
from tlog.signals import StopSignals

# Connections get what the rest leaves: control.db, sockets, and the databases of every log.
OWN_DESCRIPTORS = 40
DESCRIPTORS_A_LOG = 16
FEW_CONNECTIONS = 16
MANY_DESCRIPTORS = 2**20
MAX_WORKERS = 64
_FILE = click.Path(dir_okay=False, path_type=Path)
_LEVELS = ("debug", "info", "warning", "error")


def _read_address(ctx: click.Context, param: click.Parameter, value: str | None) -> Address | None:
    try:
        return None if value is None else parse_address(value)
    except UsageError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command()
@config_option
@data_option
@click.option(
    "--listen",
    "address",
    metavar="HOST:PORT",
    required=True,
    callback=_read_address,
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--admin-listen",
    "admin_address",
    metavar="HOST:PORT",
    callback=_read_address,
    help="Where to serve administration and reads to tokens of scope admin.",
)
@click.option(
    "--behind-tls-proxy",
    is_flag=True,
    help="Listen off loopback: a proxy in front speaks TLS.",
)
@click.option(
    "--tls-cert",
    metavar="FILE",
    type=_FILE,
    help="Speak TLS with this certificate and its chain (PEM), read again when it changes.",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    type=_FILE,
    help="Its private key (PEM), which no other user can read.",
)
@click.option(
    "--tls-client-ca",
    metavar="FILE",
    type=_FILE,
    help="Ask clients for certificates of these authorities (PEM).",
)
@click.option(
    "--tls-client-required",
    is_flag=True,
    help="Refuse clients that show no such certificate.",
)
@click.option(
    "--disk-reserve",
    "disk_reserve_bytes",
    metavar="BYTES",
    type=click.IntRange(0),
    help="Refuse appends at so little free space.  [default: 2 GiB or 5 %, the larger]",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, MAX_WORKERS),
    default=1,
    show_default=True,
    help="Processes that do HTTP; beside 2 and more, one that writes.",
)
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS),
    default="warning",
    show_default=True,
    help="What goes to stderr; info shows every request.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default=TEXT,
    show_default=True,
    help="Lines for people, or one JSON object a line.",
)
def command(  # noqa: PLR0913 - one an option
    *,
    data_dir: Path,
    address: Address,
    admin_address: Address | None,
    behind_tls_proxy: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tls_client_required: bool,
    disk_reserve_bytes: int | None,
    workers: int,
    log_level: str,
    log_format: str,
) -> None:
    """Serve the logs of a data directory until SIGTERM or SIGINT."""
    if tls_cert is not None:
        # Whoever asks for the files to be read again ends no server that has not come so far.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    del behind_tls_proxy  # which is weighed with the addresses
    problems = combination_problems(click.get_current_context().params)
    if sentences := [sentence for _, sentence in problems]:
        raise click.UsageError("; ".join(sentences))
    level = getattr(logging, log_level.upper())
    configure_log(level, log_format, "core" if workers > 1 else None)
    config = Config(
        data_dir=data_dir,
        disk_reserve_bytes=disk_reserve_bytes,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        tls_client_required=tls_client_required,
        workers=workers,
        log_level=level,
        log_format=log_format,
    )
    connections = _connections(data_dir, _raise_descriptor_limit())
    if admin_address is not None:
        admin_connections = min(config.admin_connections, connections // 4)
        connections -= admin_connections
        config = replace(config, admin_connections=admin_connections)
    wanted = config.connections
    if tls_cert is not None:
        wanted = config.tls_connections
        map_large_blocks()
    config = replace(config, connections=min(wanted, connections))
    settle_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(config, Addresses(address, admin_address)))


def _connections(data_dir: Path, descriptors: int) -> int:
    """How many connections so many descriptors carry, beside what the logs need."""
    logs = data_dir / "logs"
    count = len(list(logs.iterdir())) if logs.is_dir() else 0
    left = descriptors - OWN_DESCRIPTORS - DESCRIPTORS_A_LOG * count
    if left < FEW_CONNECTIONS:
        needed = descriptors - left + FEW_CONNECTIONS
        raise click.UsageError(
            f"{count} logs and {FEW_CONNECTIONS} connections take {needed} file descriptors, "
            f"{descriptors} are allowed: raise the limit (ulimit -n)"
        )
    return min(left, descriptors // 2)


def _raise_descriptor_limit() -> int:
    """Let the process have as many descriptors as it may; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return MANY_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard


async def _run(config: Config, addresses: Addresses) -> None:
    with StopSignals(config.stop_timeout_s) as signals:
        async with collecting_by_time():
            await serve(config, addresses, signals.stop, _announce)


def _announce(urls: Urls) -> None:
    """The `ready:` line is the last: whoever waits for it has read what stands before it."""
    if urls.admin is not None:
        click.echo(f"admin: {urls.admin}")
    click.echo(f"ready: {urls.public}")
