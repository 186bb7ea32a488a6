"""Cosigners: private keys that sign checkpoints and subtrees at a time which the caller gives.

What a cosigner states is its user's to know to be true: that the tree is the largest that it has
seen of that origin, and consistent with all that it saw before.

Source: C2SP tlog-cosignature.
"""

from __future__ import annotations

from tlog_proofs.checkpoint import parse_checkpoint
from tlog_proofs.cosignature import (
    TIMESTAMP_SIZE,
    Ed25519CosignatureVerifier,
    MlDsa44CosignatureVerifier,
    check_timestamp,
    cosignature_message,
    subtree_message,
)
from tlog_proofs.named_key import NamedPrivateKey
from tlog_proofs.note import NoteSignature
from tlog_proofs.signatures import (
    ed25519_public_key,
    ed25519_sign,
    ml_dsa_44_public_key,
    ml_dsa_44_sign,
)


class Ed25519Cosigner(NamedPrivateKey[Ed25519CosignatureVerifier]):
    """A named Ed25519 key of a cosigner, held as its 32-byte seed.

    Its signatures do not cover its name: each cosigner of an operator MUST have its own key.

    Raises:
        MalformedKeyError: the name or the length of the seed is wrong.
        MissingDependencyError: cryptography is not installed.
    """

    __slots__ = ()

    def cosign(self, text: bytes, timestamp: int) -> NoteSignature:
        """Sign a checkpoint's text at a time, POSIX seconds from 1: the same for the same input.

        Raises:
            MalformedCosignatureError: the timestamp is out of range.
            MalformedCheckpointError: the text is no checkpoint's.
        """
        check_timestamp(timestamp, minimum=1)
        signature = ed25519_sign(self.seed, cosignature_message(timestamp, text))
        return NoteSignature(
            self.name, self.key_id, timestamp.to_bytes(TIMESTAMP_SIZE, "big") + signature
        )

    def _make_verifier(self) -> Ed25519CosignatureVerifier:
        return Ed25519CosignatureVerifier(self.name, ed25519_public_key(self.seed))


class MlDsa44Cosigner(NamedPrivateKey[MlDsa44CosignatureVerifier]):
    """A named ML-DSA-44 key of a cosigner or a log, held as its 32-byte seed.

    Signing one message twice gives two different signatures (see signatures.py).

    Raises:
        MalformedKeyError: the name or the length of the seed is wrong.
        MissingDependencyError: cryptography is not installed, or was built without ML-DSA.
    """

    __slots__ = ()

    def cosign(self, text: bytes, timestamp: int) -> NoteSignature:
        """Sign a checkpoint's text at a time, POSIX seconds; 0 states none.

        The extension lines are not covered. A witness never states 0 (tlog-witness).

        Raises:
            MalformedCosignatureError: the timestamp is out of range.
            MalformedCheckpointError: the text is no checkpoint's.
        """
        checkpoint = parse_checkpoint(text)
        return self._sign(timestamp, checkpoint.origin, 0, checkpoint.size, checkpoint.root)

    def cosign_subtree(self, origin: str, start: int, end: int, root: bytes) -> NoteSignature:
        """Sign the subtree [start, end) of a log's tree, stating no time.

        Raises:
            MalformedCheckpointError: the origin cannot be one.
            MalformedProofError: [start, end) is no subtree, or the root is not 32 bytes.
            RootMismatchError: the subtree is empty and the root is not EMPTY_ROOT.
        """
        return self._sign(0, origin, start, end, root)

    def _sign(
        self, timestamp: int, origin: str, start: int, end: int, root: bytes
    ) -> NoteSignature:
        message = subtree_message(self.name, timestamp, origin, start, end, root)
        signature = ml_dsa_44_sign(self.seed, message)
        return NoteSignature(
            self.name, self.key_id, timestamp.to_bytes(TIMESTAMP_SIZE, "big") + signature
        )

    def _make_verifier(self) -> MlDsa44CosignatureVerifier:
        return MlDsa44CosignatureVerifier(self.name, ml_dsa_44_public_key(self.seed))
