"""`tlog prove`: a .tlog-proof of an entry, verified before it is written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tlog.cli.options import (
    json_option,
    make_retries,
    open_fetcher,
    open_heads,
    retry_for_option,
    state_option,
    token_option,
    trust_options,
    url_option,
)
from tlog.cli.output import STDIO, print_facts, write_file
from tlog_clients import LogReader
from tlog_proofs import MAX_SIZE, encode_base64, format_tlog_proof

if TYPE_CHECKING:
    from tlog_clients import HeadFile, HttpFetcher, LogTrust
    from tlog_proofs import TlogProof


@click.command()
@click.argument("index", type=click.IntRange(0, MAX_SIZE))
@url_option()
@trust_options()
@token_option
@retry_for_option
@state_option
@click.option(
    "-o", "--output", required=True, type=click.Path(), help="Write to this file, - for stdout."
)
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    index: int,
    url: str,
    trust: LogTrust,
    token: str | None,
    retry_for_s: float,
    state_path: str | None,
    output: str,
    as_json: bool,
) -> None:
    """Write a proof that entry INDEX is in the log, for `tlog verify` and other programs.

    The file is a c2sp.org/tlog-proof and proves without any network.
    """
    if as_json and output == STDIO:
        raise click.UsageError("--json and -o - would both write to stdout")
    proof = asyncio.run(
        _prove(
            open_fetcher(url, token, make_retries(retry_for_s)),
            trust,
            open_heads(state_path),
            index,
        )
    )
    write_file(output, format_tlog_proof(proof))
    if output == STDIO:
        return
    head = trust.open_head(proof.checkpoint)
    facts = {
        "origin": head.origin,
        "index": index,
        "size": head.size,
        "root": encode_base64(head.root),
        "file": output,
    }
    print_facts(facts, as_json=as_json)


async def _prove(fetcher: HttpFetcher, trust: LogTrust, heads: HeadFile, index: int) -> TlogProof:
    async with fetcher:
        return await LogReader(fetcher, trust, heads).prove(index)
