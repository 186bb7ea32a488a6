"""`tlog audit`: the whole tree of a log, rebuilt from its entries and compared."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tlog.cli.options import (
    json_option,
    open_fetcher,
    open_heads,
    state_option,
    token_option,
    url_option,
    vkey_option,
)
from tlog.cli.output import Progress, print_facts, warn
from tlog_clients import audit_log
from tlog_proofs import encode_base64

if TYPE_CHECKING:
    from tlog_clients import AuditReport, Fetcher, HeadFile, LogKey


@click.command()
@url_option(required=False)
@vkey_option(required=False)
@token_option
@click.option("--data", "data_dir", type=click.Path(), help="A data directory of this machine.")
@click.option("--log", "log_name", help="The log's name, with --data.")
@state_option
@json_option
def command(
    *,
    url: str | None,
    log_key: LogKey | None,
    token: str | None,
    data_dir: str | None,
    log_name: str | None,
    state_path: str | None,
    as_json: bool,
) -> None:
    """Rebuild a log's whole tree and compare every entry, tile and head with it.

    Over HTTP with --url and --vkey; or with --data and --log in a data directory of this machine,
    through its server when that runs.
    """
    heads = open_heads(state_path)
    if data_dir is not None:
        if log_name is None:
            raise click.UsageError("--data needs --log NAME")
        report = asyncio.run(_audit_data(Path(data_dir), log_name, heads))
    else:
        if log_name is not None:
            raise click.UsageError("--log goes with --data DIR")
        if url is None or log_key is None:
            raise click.UsageError("expected --url and --vkey, or --data and --log")
        report = asyncio.run(_audit_url(url, token, log_key, heads))
    _print_report(report, as_json=as_json)


async def _audit_url(url: str, token: str | None, log_key: LogKey, heads: HeadFile) -> AuditReport:
    async with open_fetcher(url, token) as fetcher:
        return await _audit(fetcher, log_key, heads)


async def _audit_data(data_dir: Path, log_name: str, heads: HeadFile) -> AuditReport:
    # Imported here: auditing over HTTP needs no database.
    from tlog.cli.data_dir import open_fetcher as open_local_fetcher  # noqa: PLC0415
    from tlog_proofs import parse_vkey  # noqa: PLC0415

    async with open_local_fetcher(data_dir, log_name) as (fetcher, vkey):
        return await _audit(fetcher, parse_vkey(vkey), heads)


async def _audit(fetcher: Fetcher, log_key: LogKey, heads: HeadFile) -> AuditReport:
    with Progress("auditing") as progress:
        return await audit_log(fetcher, log_key, heads=heads, progress=progress.update)


def _print_report(report: AuditReport, *, as_json: bool) -> None:
    facts: dict[str, object] = {**asdict(report), "root": encode_base64(report.root)}
    if not as_json:
        del facts["warnings"]
        facts = {name: value for name, value in facts.items() if value is not None}
    print_facts(facts, as_json=as_json)
    for warning in report.warnings:
        warn(warning)
    if not as_json:
        click.echo("clean: every entry, tile and head is of one tree")
