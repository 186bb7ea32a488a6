"""Proofs of entries, to be kept: with one, the entry and the log's key nobody needs the server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tlog_clients.log_trust import LogTrust, TrustSource
from tlog_proofs import (
    Checkpoint,
    TlogProof,
    format_tlog_proof,
    leaf_hash,
    parse_checkpoint,
    parse_note_unverified,
    parse_tlog_proof,
)
from tlog_proofs.tlog_proof import MAX_TLOG_PROOF_BYTES

if TYPE_CHECKING:
    from tlog_proofs import SignedCheckpoint


@dataclass(frozen=True, slots=True)
class EntryProof:
    """A proof that an entry stands in a log, as a .tlog-proof file holds it (C2SP tlog-proof).

    What verify_entry has not verified is a claim, whoever made it.
    """

    tlog_proof: TlogProof

    @property
    def index(self) -> int:
        """The entry's index, as the proof claims it."""
        return self.tlog_proof.index

    @property
    def checkpoint(self) -> Checkpoint:
        """The tree head of the proof, as it claims it: origin, size and root."""
        return parse_checkpoint(parse_note_unverified(self.tlog_proof.checkpoint).text)

    def to_bytes(self) -> bytes:
        """Write the proof as the bytes of a .tlog-proof file."""
        return format_tlog_proof(self.tlog_proof)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a proof; the inverse of to_bytes.

        Raises:
            MalformedTlogProofError: it is none.
        """
        return cls(parse_tlog_proof(data))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the proof to a file.

        Raises:
            OSError: it cannot be written.
        """
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a proof from a file.

        Raises:
            MalformedTlogProofError: it is none.
            OSError: it cannot be read.
        """
        with Path(path).open("rb") as file:
            return cls.from_bytes(file.read(MAX_TLOG_PROOF_BYTES + 1))


def verify_entry(
    proof: EntryProof | TlogProof | bytes,
    entry: bytes,
    trust: TrustSource | LogTrust,
    *,
    origin: str | None = None,
) -> SignedCheckpoint:
    """Verify, without any network, that a log has the entry at the proof's index.

    Args:
        proof: as Log.prove gives it, or the bytes of a .tlog-proof file.
        entry: its bytes.
        trust: the log's key, several of them, or a policy, as LogTrust.of takes it.
        origin: the log's, where a policy has several.

    Returns:
        The signed head under which it is proved.

    Raises:
        MalformedError, VerificationError: it is not proved.
        OSError: the policy file cannot be read.
    """
    if isinstance(proof, bytes):
        proof = parse_tlog_proof(proof)
    elif isinstance(proof, EntryProof):
        proof = proof.tlog_proof
    return LogTrust.of(trust, origin=origin).verify(proof, leaf_hash(entry))
