"""`tlog prove`: a proof of an entry, a .tlog-proof or a COSE receipt, verified before written."""

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
from tlog.cli.output import STDIO, print_facts, write_file
from tlog_clients import LogReader, fetch_receipt
from tlog_proofs import MAX_SIZE, QuorumError, check_quorum, encode_base64, format_tlog_proof

if TYPE_CHECKING:
    from tlog_clients import HeadFile, HttpFetcher, LogTrust
    from tlog_proofs import Policy, SignedCheckpoint

TLOG_PROOF, RECEIPT = "tlog-proof", "receipt"


@click.command()
@click.argument("index", type=click.IntRange(0, MAX_SIZE))
@url_option()
@trust_options()
@access_options
@retry_for_option
@state_option
@click.option(
    "--format",
    "file_format",
    type=click.Choice([TLOG_PROOF, RECEIPT]),
    default=TLOG_PROOF,
    show_default=True,
    help="A C2SP tlog-proof, or the COSE receipt (RFC 9942) that the server makes.",
)
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
    file_format: str,
    output: str,
    as_json: bool,
) -> None:
    """Write a proof that entry INDEX is in the log, for `tlog verify` and other programs.

    The file proves without any network. A receipt is signed by the log alone: where a policy asks
    for cosignatures, only a tlog-proof can be verified.
    """
    if as_json and output == STDIO:
        raise click.UsageError("--json and -o - would both write to stdout")
    if file_format == RECEIPT and trust.policy is not None:
        _check_that_nobody_cosigns(trust.policy)
    fetcher = open_fetcher(url, token, make_retries(retry_for_s))
    prove = _prove if file_format == TLOG_PROOF else _fetch_receipt
    data, head = asyncio.run(prove(fetcher, trust, open_heads(state_path), index))
    write_file(output, data)
    if output == STDIO:
        return
    facts = {
        "origin": head.origin,
        "index": index,
        "size": head.size,
        "root": encode_base64(head.root),
        "format": file_format,
        "file": output,
    }
    print_facts(facts, as_json=as_json)


def _check_that_nobody_cosigns(policy: Policy) -> None:
    try:
        check_quorum(policy, ())
    except QuorumError as error:
        raise click.UsageError(
            "a receipt carries no cosignatures, and the policy asks for some: "
            f"expected --format {TLOG_PROOF}"
        ) from error


async def _prove(
    fetcher: HttpFetcher, trust: LogTrust, heads: HeadFile, index: int
) -> tuple[bytes, SignedCheckpoint]:
    async with fetcher:
        proof = await LogReader(fetcher, trust, heads).prove(index)
    return format_tlog_proof(proof), trust.open_head(proof.checkpoint)


async def _fetch_receipt(
    fetcher: HttpFetcher, trust: LogTrust, heads: HeadFile, index: int
) -> tuple[bytes, SignedCheckpoint]:
    async with fetcher:
        return await fetch_receipt(fetcher, LogReader(fetcher, trust, heads), trust, index)
