"""`tlog get`: the bytes of an entry, verified."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tlog.cli.options import (
    access_options,
    make_retries,
    open_fetcher,
    open_heads,
    retry_for_option,
    state_option,
    trust_options,
    url_option,
)
from tlog.cli.output import STDIO, write_file
from tlog_clients import LogReader
from tlog_proofs import MAX_SIZE

if TYPE_CHECKING:
    from tlog_clients import HeadFile, HttpFetcher, LogTrust


@click.command()
@click.argument("index", type=click.IntRange(0, MAX_SIZE))
@url_option()
@trust_options()
@access_options
@retry_for_option
@state_option
@click.option(
    "-o", "--output", default=STDIO, type=click.Path(), help="Write to this file.  [default: -]"
)
def command(
    *,
    index: int,
    url: str,
    trust: LogTrust,
    token: str | None,
    retry_for_s: float,
    state_path: str | None,
    output: str,
) -> None:
    """Print the bytes of entry INDEX, exactly as they stand in the signed tree."""
    entry = asyncio.run(
        _get(
            open_fetcher(url, token, make_retries(retry_for_s)),
            trust,
            open_heads(state_path),
            index,
        )
    )
    write_file(output, entry)


async def _get(fetcher: HttpFetcher, trust: LogTrust, heads: HeadFile, index: int) -> bytes:
    async with fetcher:
        return await LogReader(fetcher, trust, heads).get(index)
