"""The .tlog-proof file: an inclusion proof with its checkpoint, to be verified offline.

    c2sp.org/tlog-proof@v1
    extra BASE64                  if there is extra data, which nothing authenticates
    index DECIMAL
    BASE64                        one line a hash, the leaf's sibling first
    (an empty line)
    the checkpoint, a signed note, byte for byte

Source: C2SP tlog-proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

from tlog_proofs.checkpoint import parse_checkpoint
from tlog_proofs.errors import MalformedError, MalformedTlogProofError
from tlog_proofs.hashing import HASH_SIZE
from tlog_proofs.note import MAX_NOTE_BYTES, parse_note_unverified
from tlog_proofs.policy import Policy
from tlog_proofs.signed_checkpoint import (
    CosignedCheckpoint,
    SignedCheckpoint,
    Trust,
    open_checkpoint,
)
from tlog_proofs.strict import decode_base64, encode_base64, parse_decimal
from tlog_proofs.verify import verify_inclusion

MAX_EXTRA_BYTES = 1 << 22
MAX_INCLUSION_HASHES = 63

_FIRST_LINE = b"c2sp.org/tlog-proof@v1"
_MAX_HEADER_BYTES = (MAX_EXTRA_BYTES + 2) // 3 * 4 + 4096
MAX_TLOG_PROOF_BYTES = _MAX_HEADER_BYTES + MAX_NOTE_BYTES


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An inclusion proof with its checkpoint, nothing of it verified.

    `index` is the entry's, `proof` has 32-byte hashes, the leaf's sibling first; `checkpoint` is
    the signed note byte for byte; `extra` is unauthenticated data for the application, or None.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def parse_tlog_proof(data: bytes) -> TlogProof:
    """Read a .tlog-proof file; to know that it is true, use verify_tlog_proof.

    Raises:
        MalformedTlogProofError: it is none, or spells one otherwise than format_tlog_proof does.
    """
    if len(data) > MAX_TLOG_PROOF_BYTES:
        raise MalformedTlogProofError(
            f"expected a tlog-proof of at most {MAX_TLOG_PROOF_BYTES} bytes, got {len(data)}"
        )
    header, separator, checkpoint = data.partition(b"\n\n")
    lines = header.split(b"\n", MAX_INCLUSION_HASHES + 3)
    if lines.pop(0) != _FIRST_LINE or not separator:
        raise MalformedTlogProofError(
            f"expected a first line {_FIRST_LINE.decode()}, and an empty line before a checkpoint"
        )
    try:
        extra = None
        if lines and lines[0].startswith(b"extra "):
            text = lines.pop(0).removeprefix(b"extra ")
            extra = decode_base64(text, max_bytes=MAX_EXTRA_BYTES)
        if not lines or not lines[0].startswith(b"index "):
            raise MalformedTlogProofError("expected a line of index and a decimal number")
        index = parse_decimal(lines.pop(0).removeprefix(b"index "))
        proof = tuple(decode_base64(line, size=HASH_SIZE) for line in lines)
        parsed = TlogProof(index, proof, checkpoint, extra)
        spelled = format_tlog_proof(parsed)
    except MalformedTlogProofError:
        raise
    except MalformedError as error:
        raise MalformedTlogProofError(f"tlog-proof: {error}") from error
    if spelled != data:
        raise MalformedTlogProofError("expected the tlog-proof's own spelling")
    return parsed


def format_tlog_proof(proof: TlogProof) -> bytes:
    """Write a .tlog-proof file; the inverse of parse_tlog_proof.

    Raises:
        MalformedTlogProofError: a field cannot be one of such a file.
    """
    try:
        index = parse_decimal(str(proof.index))
        parse_checkpoint(parse_note_unverified(proof.checkpoint).text)
        lines = [encode_base64(value) for value in proof.proof]
        for line in lines:
            decode_base64(line, size=HASH_SIZE)
    except MalformedError as error:
        raise MalformedTlogProofError(f"tlog-proof: {error}") from error
    if len(proof.proof) > MAX_INCLUSION_HASHES:
        raise MalformedTlogProofError(
            f"expected at most {MAX_INCLUSION_HASHES} hashes, got {len(proof.proof)}"
        )
    parts = [_FIRST_LINE.decode()]
    if proof.extra is not None:
        if not 1 <= len(proof.extra) <= MAX_EXTRA_BYTES:
            raise MalformedTlogProofError(
                f"expected extra data of 1 to {MAX_EXTRA_BYTES} bytes, got {len(proof.extra)}"
            )
        parts.append(f"extra {encode_base64(proof.extra)}")
    parts += [f"index {index}", *lines, "", ""]
    return "\n".join(parts).encode("ascii") + proof.checkpoint


@overload
def verify_tlog_proof(proof: TlogProof, leaf_hash: bytes, trust: Policy) -> CosignedCheckpoint: ...
@overload
def verify_tlog_proof(proof: TlogProof, leaf_hash: bytes, trust: Trust) -> SignedCheckpoint: ...
def verify_tlog_proof(proof: TlogProof, leaf_hash: bytes, trust: Trust) -> SignedCheckpoint:
    """Verify that a log signed a tree with this leaf hash at the proof's index.

    By a policy, that its quorum cosigned the tree as well; by a key alone, cosignatures are not
    looked at. `extra` never is.

    Args:
        proof: as from parse_tlog_proof.
        leaf_hash: 32 bytes, computed by the caller from what it wants proved.
        trust: as of open_checkpoint: key or keys of the log, or a policy.

    Returns:
        The checkpoint under which the entry was proved.

    Raises:
        MalformedNoteError, MalformedKeyError, MalformedCheckpointError, UnknownKeyError,
        BadSignatureError, OriginMismatchError, UnsignedExtensionError, QuorumError: as
            open_checkpoint.
        MalformedProofError, RootMismatchError: as verify_inclusion.

    Source: C2SP tlog-proof, "Verifying a tlog proof".
    """
    signed = open_checkpoint(proof.checkpoint, trust)
    verify_inclusion(proof.index, signed.size, leaf_hash, proof.proof, signed.root)
    return signed
