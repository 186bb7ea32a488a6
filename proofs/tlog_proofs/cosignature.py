"""Cosignatures: what a cosigner signs about a checkpoint or a subtree, and verifying it.

A signature is a timestamp, 8 bytes, and an Ed25519 or ML-DSA-44 signature over

    cosignature/v1 LF time TIMESTAMP LF text of the checkpoint              Ed25519 (type 0x04)
    "subtree/v1" LF NUL, cosigner, timestamp, origin, start, end, root      ML-DSA-44 (type 0x06)

The first covers the whole text and not the cosigner's name, so each cosigner needs a key of its
own; the second covers the name and not the extension lines. Timestamps are POSIX seconds, 0 where
ML-DSA-44 states no time.

Source: C2SP tlog-cosignature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tlog_proofs.checkpoint import check_origin_line, parse_checkpoint
from tlog_proofs.errors import (
    BadSignatureError,
    MalformedCosignatureError,
    MalformedError,
    RootMismatchError,
)
from tlog_proofs.geometry import check_subtree
from tlog_proofs.hashing import EMPTY_ROOT
from tlog_proofs.key_text import ED25519_COSIGNATURE_TYPE, ML_DSA_44_COSIGNATURE_TYPE
from tlog_proofs.named_key import NamedPublicKey
from tlog_proofs.note import NoteSignature, check_key_name
from tlog_proofs.signatures import (
    ED25519_PUBLIC_KEY_SIZE,
    ED25519_SIGNATURE_SIZE,
    ML_DSA_44_PUBLIC_KEY_SIZE,
    ML_DSA_44_SIGNATURE_SIZE,
    ed25519_verifies,
    ml_dsa_44_verifies,
)
from tlog_proofs.strict import show
from tlog_proofs.verify import check_hash

MAX_TIMESTAMP = 2**63 - 1
TIMESTAMP_SIZE = 8

_SUBTREE_LABEL = b"subtree/v1\n\x00"


@dataclass(frozen=True, slots=True)
class Ed25519CosignatureVerifier(NamedPublicKey):
    """A named Ed25519 key (32 bytes) of a cosigner: a note.Verifier of checkpoints.

    Raises:
        MalformedKeyError: the name or the length of the key is wrong.
    """

    key_type: ClassVar[int] = ED25519_COSIGNATURE_TYPE
    public_key_size: ClassVar[int] = ED25519_PUBLIC_KEY_SIZE

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` (72 bytes) is this key's over the checkpoint text `message`.

        Raises:
            BadSignatureError: it is not, or the text is no checkpoint's.
            MissingDependencyError: cryptography is not installed.
        """
        timestamp, rest = _split(self, signature, ED25519_SIGNATURE_SIZE)
        try:
            signed = cosignature_message(timestamp, message)
        except MalformedError as error:
            raise BadSignatureError(self.name, self.key_id) from error
        if not ed25519_verifies(self.public_key, signed, rest):
            raise BadSignatureError(self.name, self.key_id)


@dataclass(frozen=True, slots=True)
class MlDsa44CosignatureVerifier(NamedPublicKey):
    """A named ML-DSA-44 key (1,312 bytes) of a cosigner or a log: a note.Verifier of checkpoints.

    Raises:
        MalformedKeyError: the name or the length of the key is wrong.
    """

    key_type: ClassVar[int] = ML_DSA_44_COSIGNATURE_TYPE
    public_key_size: ClassVar[int] = ML_DSA_44_PUBLIC_KEY_SIZE

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` (2,428 bytes) is this key's over the checkpoint text `message`.

        Nothing is said of the checkpoint's extension lines.

        Raises:
            BadSignatureError: it is not, or the text is no checkpoint's.
            MissingDependencyError: cryptography is not installed, or was built without ML-DSA.
        """
        try:
            checkpoint = parse_checkpoint(message)
        except MalformedError as error:
            raise BadSignatureError(self.name, self.key_id) from error
        self.verify_subtree(checkpoint.origin, 0, checkpoint.size, checkpoint.root, signature)

    def verify_subtree(
        self, origin: str, start: int, end: int, root: bytes, signature: bytes
    ) -> None:
        """Return when `signature` (2,428 bytes) is this key's over the subtree [start, end).

        A checkpoint's cosignature is one of the subtree [0, size).

        Raises:
            BadSignatureError: it is not, or it states a time although start is not 0.
            MalformedProofError: [start, end) is no subtree, or the root is not 32 bytes.
            MalformedCheckpointError: the origin cannot be one.
            RootMismatchError: the subtree is empty and the root is not EMPTY_ROOT.
            MissingDependencyError: cryptography is not installed, or was built without ML-DSA.
        """
        timestamp, rest = _split(self, signature, ML_DSA_44_SIGNATURE_SIZE)
        if start and timestamp:
            raise BadSignatureError(self.name, self.key_id)
        signed = subtree_message(self.name, timestamp, origin, start, end, root)
        if not ml_dsa_44_verifies(self.public_key, signed, rest):
            raise BadSignatureError(self.name, self.key_id)


def cosignature_timestamp(signature: NoteSignature) -> int:
    """Read the time of a cosignature, POSIX seconds; 0 where it states none.

    Only of a signature by a key of type 0x04 or 0x06, and true only when that was verified.

    Raises:
        MalformedCosignatureError: it is too short, or the time is above 2^63-1.
    """
    if len(signature.signature) <= TIMESTAMP_SIZE:
        raise MalformedCosignatureError(
            f"expected a timestamp and a signature, got {len(signature.signature)} bytes"
        )
    timestamp = int.from_bytes(signature.signature[:TIMESTAMP_SIZE], "big")
    check_timestamp(timestamp)
    return timestamp


def check_timestamp(timestamp: object, *, minimum: int = 0) -> None:
    """Refuse what is not an integer with minimum <= timestamp <= 2^63-1.

    Raises:
        MalformedCosignatureError: it is not.
    """
    if not (isinstance(timestamp, int) and minimum <= timestamp <= MAX_TIMESTAMP):
        raise MalformedCosignatureError(
            f"expected a timestamp between {minimum} and 2^63-1, got {show(timestamp)}"
        )


def cosignature_message(timestamp: int, text: bytes) -> bytes:
    """Build what an Ed25519 cosigner signs: two lines, and the checkpoint's text.

    Raises:
        MalformedCosignatureError: the timestamp is out of range.
        MalformedCheckpointError: the text is no checkpoint's.
    """
    check_timestamp(timestamp)
    parse_checkpoint(text)
    return b"cosignature/v1\ntime %d\n%b" % (timestamp, text)


def subtree_message(
    cosigner: str, timestamp: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """Build what an ML-DSA-44 cosigner signs; for a checkpoint start is 0 and end its tree size.

    Requires timestamp = 0 where start is not 0.

    Raises:
        MalformedCosignatureError: the timestamp is out of range, or not 0 where it must be.
        MalformedKeyError: the cosigner's name cannot be a key name.
        MalformedCheckpointError: the origin cannot be one.
        MalformedProofError: [start, end) is no subtree, or the root is not 32 bytes.
        RootMismatchError: the subtree is empty and the root is not EMPTY_ROOT.
    """
    check_timestamp(timestamp)
    check_key_name(cosigner)
    check_origin_line(origin)
    check_subtree(start, end)
    check_hash(root)
    if start and timestamp:
        raise MalformedCosignatureError(
            f"expected timestamp 0 for a subtree that starts at {start}, got {timestamp}"
        )
    if start == end and root != EMPTY_ROOT:
        raise RootMismatchError(EMPTY_ROOT, root)
    return b"".join(
        (
            _SUBTREE_LABEL,
            _short(cosigner),
            timestamp.to_bytes(8, "big"),
            _short(origin),
            start.to_bytes(8, "big"),
            end.to_bytes(8, "big"),
            root,
        )
    )


def _split(key: NamedPublicKey, signature: bytes, size: int) -> tuple[int, bytes]:
    """Take timestamp and signature apart; whatever cannot be one is a bad signature of the key."""
    timestamp = int.from_bytes(signature[:TIMESTAMP_SIZE], "big")
    if len(signature) != TIMESTAMP_SIZE + size or timestamp > MAX_TIMESTAMP:
        raise BadSignatureError(key.name, key.key_id)
    return timestamp, signature[TIMESTAMP_SIZE:]


def _short(text: str) -> bytes:
    """Encode a text of at most 255 bytes after its length."""
    data = text.encode()
    return bytes([len(data)]) + data
