"""`tlog verify`: what a proof proves, a .tlog-proof or a COSE receipt, without any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tlog.cli.errors import CHECK_FAILED, Failure
from tlog.cli.options import any_trust_options, json_option
from tlog.cli.output import STDIO, print_facts, read_file
from tlog_clients import printable
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    MAX_TLOG_PROOF_BYTES,
    CosignedCheckpoint,
    MalformedError,
    Policy,
    QuorumError,
    VerificationError,
    encode_base64,
    leaf_hash,
    parse_receipt,
    parse_tlog_proof,
    root_from_inclusion,
    verify_receipt,
    verify_tlog_proof,
)

if TYPE_CHECKING:
    from tlog_clients import LogKey

_TLOG_PROOF = b"c2sp.org/tlog-proof@"
_RECEIPT = b"\xd2"  # tag 18 of CBOR: a COSE_Sign1


@click.command()
@click.argument("file", type=click.Path())
@click.option(
    "--entry",
    "entry_path",
    required=True,
    type=click.Path(),
    help="The entry that is to be proved, byte for byte; - for stdin.",
)
@any_trust_options
@json_option
def command(*, file: str, entry_path: str, trust: LogKey | Policy, as_json: bool) -> None:
    """Verify that FILE proves the entry to stand in the log of the key, or in one of the policy's.

    FILE is a .tlog-proof or a COSE receipt (RFC 9942); which of them, its first bytes say. By a
    policy its quorum must have cosigned the checkpoint, too. A receipt carries no cosignatures: a
    policy accepts one only if its quorum is none.

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
        facts = _verify(data, leaf_hash(entry), trust)
    except (MalformedError, VerificationError) as error:
        reason = printable(str(error), max_chars=2000)
        raise Failure(f"{file}: not proved: {reason}", CHECK_FAILED) from error
    if not as_json:
        index = facts["index"]
        which = f"entry {index}" if index is not None else "an entry"
        click.echo(f"proved: the {len(entry)} bytes are {which} of the log")
        facts = {name: _as_text(value) for name, value in facts.items()}
    print_facts(facts, as_json=as_json)


def _verify(data: bytes, leaf: bytes, trust: LogKey | Policy) -> dict[str, object]:
    if data.startswith(_RECEIPT):
        return _verify_receipt(data, leaf, trust)
    if data.startswith(_TLOG_PROOF):
        return _verify_tlog_proof(data, leaf, trust)
    raise MalformedError(
        "expected a .tlog-proof, which begins c2sp.org/tlog-proof@v1, or a COSE receipt, whose "
        "first byte is 0xd2"
    )


def _verify_tlog_proof(data: bytes, leaf: bytes, trust: LogKey | Policy) -> dict[str, object]:
    proof = parse_tlog_proof(data)
    head = verify_tlog_proof(proof, leaf, trust)
    facts: dict[str, object] = {
        "origin": head.origin,
        "index": proof.index,
        "size": head.size,
        "root": encode_base64(head.root),
        "leaf_hash": encode_base64(leaf),
        "format": "tlog-proof",
    }
    if isinstance(head, CosignedCheckpoint):
        names = dict.fromkeys(item.witness for item in head.cosignatures)
        facts["witnesses"] = [name.decode(errors="backslashreplace") for name in names]
    return facts


def _verify_receipt(data: bytes, leaf: bytes, trust: LogKey | Policy) -> dict[str, object]:
    receipt = parse_receipt(data)
    try:
        verify_receipt(data, leaf, trust)
    except QuorumError as error:
        quorum = error.quorum.decode(errors="backslashreplace")
        raise VerificationError(
            "a receipt is signed by the log alone, and the policy asks for cosignatures by "
            f"{quorum}: expected a .tlog-proof"
        ) from error
    proof, is_bound = receipt.inclusion[0], receipt.signed_size is not None
    keys = [log.key for log in trust.logs] if isinstance(trust, Policy) else [trust]
    origins = {receipt.issuer} if receipt.issuer is not None else {key.name for key in keys}
    return {
        "origin": origins.pop() if len(origins) == 1 else None,
        # Where the size is not signed, neither number is proved.
        "index": proof.index if is_bound else None,
        "size": proof.size if is_bound else None,
        "root": encode_base64(root_from_inclusion(proof.index, proof.size, leaf, proof.proof)),
        "leaf_hash": encode_base64(leaf),
        "format": "receipt",
    }


def _as_text(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "not proved" if value is None else value
