"""Fetching a COSE receipt: as good as a proof that the client made itself, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tlog_clients.errors import LogMisbehaviourError, MalformedAnswerError
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    MAX_NOTE_BYTES,
    MAX_RECEIPT_BYTES,
    leaf_hash,
    parse_receipt,
    root_from_inclusion,
    verify_receipt,
)

if TYPE_CHECKING:
    from tlog_clients.log_reader import LogReader
    from tlog_clients.log_trust import LogTrust
    from tlog_proofs import SignedCheckpoint

COSE = "application/cose"


class AcceptingFetcher(Protocol):
    """A Fetcher that can ask for one of several forms of a resource."""

    async def fetch(self, path: str, *, max_bytes: int, accept: str | None = None) -> bytes:
        """Return the whole resource, as Fetcher says, of the media type `accept`."""
        ...


async def fetch_receipt(
    fetcher: AcceptingFetcher, reader: LogReader, trust: LogTrust, index: int
) -> tuple[bytes, SignedCheckpoint]:
    """Return a verified receipt of an entry, and the checkpoint of its tree.

    The receipt is verified with the entry's bytes; its root must be that of the log's checkpoint of
    that size, and this one consistent with the trusted head, of which `reader` knows.

    Raises:
        MalformedAnswerError: a receipt of another entry, one that does not sign its tree size, or a
            checkpoint of another size than was asked for.
        LogMisbehaviourError: the log signed two roots for one size.
        QuorumError: the policy asks for cosignatures, which a receipt does not carry.
        MalformedError, VerificationError: as verify_receipt and LogReader.check_head.
        FetchError: something could not be had; 409 where the log has no such receipt.

    Source: RFC 9942; spec/receipt.md, "One statement".
    """
    path = f"proof/inclusion/{index}"
    data = await fetcher.fetch(path, max_bytes=MAX_RECEIPT_BYTES, accept=COSE)
    receipt = parse_receipt(data)
    size = receipt.signed_size
    if size is None or {proof.index for proof in receipt.inclusion} != {index}:
        raise MalformedAnswerError(
            f"{path}: expected a receipt of entry {index} that signs its tree size"
        )
    entry = await fetcher.fetch(f"entries/{index}", max_bytes=MAX_ENTRY_BYTES)
    leaf = leaf_hash(entry)
    verify_receipt(data, leaf, trust.keys if trust.policy is None else trust.policy)
    note = await fetcher.fetch(f"checkpoints/{size}", max_bytes=MAX_NOTE_BYTES)
    head = trust.open_head(note)
    if head.size != size:
        raise MalformedAnswerError(
            f"checkpoints/{size}: expected the checkpoint of that size, got that of {head.size}"
        )
    root = root_from_inclusion(index, size, leaf, receipt.inclusion[0].proof)
    if root != head.root:
        raise LogMisbehaviourError(
            f"the log signed two roots for size {size}: {head.root.hex()} in its checkpoint, "
            f"{root.hex()} in a receipt"
        )
    await reader.accept_head(head)
    return data, head
