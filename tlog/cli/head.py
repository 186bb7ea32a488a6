"""`tlog head`: the newest head of a log, verified."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tlog.cli.options import (
    access_options,
    json_option,
    make_retries,
    open_fetcher,
    open_heads,
    retry_for_option,
    state_option,
    trust_options,
    url_option,
)
from tlog.cli.output import print_facts, warn
from tlog_clients import LogReader, Step
from tlog_proofs import encode_base64

if TYPE_CHECKING:
    from tlog_clients import HeadFile, HttpFetcher, LogTrust, TrustedHead


@click.command()
@url_option()
@trust_options()
@access_options
@retry_for_option
@state_option
@json_option
def command(
    *,
    url: str,
    trust: LogTrust,
    token: str | None,
    retry_for_s: float,
    state_path: str | None,
    as_json: bool,
) -> None:
    """Print the log's newest signed head, verified and consistent with all heads seen before."""
    trusted = asyncio.run(
        _check_head(
            open_fetcher(url, token, make_retries(retry_for_s)), trust, open_heads(state_path)
        )
    )
    if trusted.step is Step.BACKWARD:
        warn("the log answered with an older head; shown is the newest one seen")
    head = trusted.signed
    facts: dict[str, object] = {
        "origin": head.origin,
        "size": head.size,
        "root": encode_base64(head.root),
        "vkey": trust.vkey if len(trust.keys) == 1 else ", ".join(trust.vkeys),
    }
    if as_json:
        facts |= {"step": str(trusted.step), "checkpoint": head.note.decode("utf-8")}
    print_facts(facts, as_json=as_json)


async def _check_head(fetcher: HttpFetcher, trust: LogTrust, heads: HeadFile) -> TrustedHead:
    async with fetcher:
        return await LogReader(fetcher, trust, heads).check_head()
