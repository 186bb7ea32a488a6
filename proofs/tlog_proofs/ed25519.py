"""Ed25519 keys that sign the text of a note as it is: what a log signs its checkpoints with.

Source: C2SP signed-note, "Ed25519 signatures" (type byte 0x01).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tlog_proofs.errors import BadSignatureError
from tlog_proofs.key_text import ED25519_TYPE
from tlog_proofs.named_key import NamedPrivateKey, NamedPublicKey
from tlog_proofs.signatures import (
    ED25519_PUBLIC_KEY_SIZE,
    ed25519_public_key,
    ed25519_sign,
    ed25519_verifies,
)


@dataclass(frozen=True, slots=True)
class Ed25519Verifier(NamedPublicKey):
    """A named Ed25519 public key (32 bytes): a note.Verifier.

    Raises:
        MalformedKeyError: the name or the length of the key is wrong.
    """

    key_type: ClassVar[int] = ED25519_TYPE
    public_key_size: ClassVar[int] = ED25519_PUBLIC_KEY_SIZE

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` (64 bytes) is this key's over `message`.

        Raises:
            BadSignatureError: it is not.
            MissingDependencyError: cryptography is not installed.
        """
        if not ed25519_verifies(self.public_key, message, signature):
            raise BadSignatureError(self.name, self.key_id)


class Ed25519Signer(NamedPrivateKey[Ed25519Verifier]):
    """A named Ed25519 private key, held as its 32-byte seed: a note.Signer.

    Raises:
        MalformedKeyError: the name or the length of the seed is wrong.
        MissingDependencyError: cryptography is not installed.
    """

    __slots__ = ()

    def sign(self, message: bytes) -> bytes:
        """Sign a note's text: 64 bytes, the same for the same text (RFC 8032)."""
        return ed25519_sign(self.seed, message)

    def _make_verifier(self) -> Ed25519Verifier:
        return Ed25519Verifier(self.name, ed25519_public_key(self.seed))
