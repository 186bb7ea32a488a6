"""`tlog audit`: the whole tree of a log, rebuilt from its entries and compared."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tlog.cli.log_names import complete_log_name
from tlog.cli.options import (
    access_options,
    is_typed,
    json_option,
    make_retries,
    open_fetcher,
    open_heads,
    retry_for_option,
    state_option,
    trust_options,
    url_option,
)
from tlog.cli.output import Progress, print_facts, warn
from tlog_clients import LogTrust, ProgressFiles, audit_log
from tlog_proofs import encode_base64

if TYPE_CHECKING:
    from tlog_clients import AuditReport, Fetcher, HeadFile, Retries


@click.command()
@url_option(required=False)
@trust_options(required=False)
@access_options
@click.option("--data", "data_dir", type=click.Path(), help="A data directory of this machine.")
@click.option(
    "--log", "log_name", shell_complete=complete_log_name, help="The log's name, with --data."
)
@click.option("--fresh", is_flag=True, help="Compare everything, whatever an interrupted run has.")
@retry_for_option
@state_option
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    url: str | None,
    trust: LogTrust | None,
    token: str | None,
    data_dir: str | None,
    log_name: str | None,
    fresh: bool,
    retry_for_s: float,
    state_path: str | None,
    as_json: bool,
) -> None:
    """Rebuild a log's whole tree and compare every entry, tile and head with it.

    Over HTTP with --url and --vkey; or with --data and --log in a data directory of this machine,
    through its server when that runs, against the key that the directory names unless --vkey or
    --policy is given. A run that was interrupted is gone on with, from a file
    beside the state file; the report then says which entries were compared in this run, and --fresh
    compares all of them.
    """
    audit = _Audit(open_heads(state_path), make_retries(retry_for_s), fresh=fresh)
    if data_dir is not None:
        if log_name is None:
            raise click.UsageError("--data needs --log NAME")
        if is_typed("url"):
            raise click.UsageError("--url and --data exclude each other")
        pinned = trust if is_typed("log_key") or is_typed("policy") else None
        report = asyncio.run(audit.of_data(Path(data_dir), log_name, pinned))
    else:
        if log_name is not None:
            raise click.UsageError("--log goes with --data DIR")
        if url is None or trust is None:
            raise click.UsageError("expected --url and --vkey or --policy, or --data and --log")
        report = asyncio.run(audit.of_url(url, token, trust))
    _print_report(report, as_json=as_json)


class _Audit:
    """One run of the command: where its state is, and whether it may go on with another one."""

    def __init__(self, heads: HeadFile, retries: Retries, *, fresh: bool) -> None:
        self._heads = heads
        self._retries = retries
        self._fresh = fresh

    async def of_url(self, url: str, token: str | None, trust: LogTrust) -> AuditReport:
        """Audit over HTTP."""
        async with open_fetcher(url, token, self._retries) as fetcher:
            return await self._run(fetcher, trust)

    async def of_data(self, data_dir: Path, log_name: str, pinned: LogTrust | None) -> AuditReport:
        """Audit a log of a data directory, by its own key unless one is pinned."""
        # Imported here: auditing over HTTP needs no database.
        from tlog.cli.data_dir import open_fetcher as open_local_fetcher  # noqa: PLC0415

        async with open_local_fetcher(data_dir, log_name, self._retries) as (fetcher, vkey):
            return await self._run(fetcher, pinned or LogTrust.of(vkey))

    async def _run(self, fetcher: Fetcher, trust: LogTrust) -> AuditReport:
        with Progress("auditing") as progress:
            return await audit_log(
                fetcher,
                trust,
                heads=self._heads,
                unfinished=ProgressFiles(self._heads.path),
                fresh=self._fresh,
                progress=progress.update,
            )


def _print_report(report: AuditReport, *, as_json: bool) -> None:
    begun = datetime.fromtimestamp(report.begun_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    facts: dict[str, object] = {**asdict(report), "root": encode_base64(report.root)}
    del facts["begun_s"]
    facts["begun"] = begun
    if not as_json:
        del facts["warnings"]
        facts = {name: value for name, value in facts.items() if value is not None}
    print_facts(facts, as_json=as_json)
    for warning in report.warnings:
        warn(warning)
    if as_json:
        return
    if report.resumed_at is None:
        click.echo("clean: every entry, tile and head is of one tree")
        return
    click.echo(
        f"clean: the entries from {report.resumed_at} on, their tiles and every head are of one "
        f"tree; the entries below were compared by interrupted runs since {begun}, and what is "
        "served of them may have changed (--fresh compares everything)"
    )
