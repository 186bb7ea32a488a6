"""`tlog verify`: what a .tlog-proof proves, without any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tlog.cli.errors import CHECK_FAILED, Failure
from tlog.cli.options import json_option, vkey_option
from tlog.cli.output import STDIO, print_facts, read_file
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    MalformedError,
    VerificationError,
    encode_base64,
    leaf_hash,
    parse_tlog_proof,
    verify_tlog_proof,
)
from tlog_proofs.tlog_proof import MAX_TLOG_PROOF_BYTES

if TYPE_CHECKING:
    from tlog_clients import LogKey


@click.command()
@click.argument("file", type=click.Path())
@click.option(
    "--entry",
    "entry_path",
    required=True,
    type=click.Path(),
    help="The entry that is to be proved, byte for byte; - for stdin.",
)
@vkey_option()
@json_option
def command(*, file: str, entry_path: str, log_key: LogKey, as_json: bool) -> None:
    """Verify that FILE, a .tlog-proof, proves the entry to stand in the log of the key.

    Nothing is asked of any server. Exit code 1: not proved.
    """
    if file == entry_path == STDIO:
        raise click.UsageError("FILE and --entry cannot both be stdin")
    data = read_file(file, MAX_TLOG_PROOF_BYTES)
    entry = read_file(entry_path, MAX_ENTRY_BYTES)
    if len(entry) > MAX_ENTRY_BYTES:
        sentence = f"{entry_path}: not proved: no entry is longer than {MAX_ENTRY_BYTES} bytes"
        raise Failure(sentence, CHECK_FAILED)
    try:
        proof = parse_tlog_proof(data)
        head = verify_tlog_proof(proof, leaf_hash(entry), log_key)
    except (MalformedError, VerificationError) as error:
        raise Failure(f"{file}: not proved: {error}", CHECK_FAILED) from error
    if not as_json:
        click.echo(f"proved: the {len(entry)} bytes are entry {proof.index} of the log")
    facts = {
        "origin": head.origin,
        "index": proof.index,
        "size": head.size,
        "root": encode_base64(head.root),
        "leaf_hash": encode_base64(leaf_hash(entry)),
    }
    print_facts(facts, as_json=as_json)
