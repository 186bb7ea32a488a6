"""Cosigners of the vectors: keys, messages and lines put together here, byte by byte.

Nothing of tlog_proofs is used: Ed25519 is cryptography's, ML-DSA-44 that of tests/ml_dsa_44.py.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import ml_dsa_44

NOTE, ED25519, ML_DSA = 0x01, 0x04, 0x06


def b64(data: bytes) -> str:
    """Encode as base64."""
    return base64.b64encode(data).decode()


def ed25519_message(text: str, timestamp: int) -> bytes:
    """Put together what an Ed25519 cosigner signs."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def subtree_message(
    name: str, timestamp: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """Put together what an ML-DSA-44 cosigner signs."""
    cosigner, log = name.encode(), origin.encode()
    return struct.pack(
        f">12sB{len(cosigner)}sQB{len(log)}sQQ32s",
        b"subtree/v1\n\x00",
        len(cosigner),
        cosigner,
        timestamp,
        len(log),
        log,
        start,
        end,
        root,
    )


def vkey_of(name: str, public_key: bytes, key_type: int = NOTE) -> str:
    """Write a vkey with the key id that signed-note recommends, for a key of any length."""
    typed = bytes([key_type]) + public_key
    digest = hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()
    return f"{name}+{digest[:8]}+{b64(typed)}"


@dataclass(frozen=True)
class Key:
    """A key of a type under a name; its seed is as spec/vectors/README.md says.

    With `seed_of`, it is the same private key as that name's.
    """

    name: str
    key_type: int = ED25519
    number: int = 0
    seed_of: str = ""

    @property
    def seed(self) -> bytes:
        """The 32-byte seed."""
        name = self.seed_of or self.name
        return hashlib.sha256(f"tlog test key {self.number}: {name}".encode()).digest()

    @property
    def public_key(self) -> bytes:
        """The public key."""
        if self.key_type == ML_DSA:
            return _ml_dsa_key(self.seed).public_key
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        """The key id."""
        typed = bytes([self.key_type]) + self.public_key
        return hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:4]

    @property
    def vkey(self) -> str:
        """The vkey."""
        return vkey_of(self.name, self.public_key, self.key_type)

    @property
    def signer_key(self) -> str:
        """The private key as text."""
        typed = bytes([self.key_type]) + self.seed
        return f"PRIVATE+KEY+{self.name}+{self.key_id.hex()}+{b64(typed)}"

    def sign(self, message: bytes) -> bytes:
        """Sign any bytes."""
        if self.key_type == ML_DSA:
            return _ml_dsa_key(self.seed).sign(message)
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def signature(self, text: str, timestamp: int = 0) -> bytes:
        """Sign a note's text, at a time if the type has one."""
        if self.key_type == NOTE:
            return self.sign(text.encode())
        if self.key_type == ED25519:
            message = ed25519_message(text, timestamp)
        else:
            origin, size, root = text.split("\n")[:3]
            message = subtree_message(
                self.name, timestamp, origin, 0, int(size), base64.b64decode(root)
            )
        return struct.pack(">Q", timestamp) + self.sign(message)

    def line(self, text: str, timestamp: int = 0) -> str:
        """Write the signature line."""
        return self.raw_line(self.signature(text, timestamp))

    def raw_line(self, signature: bytes) -> str:
        """Write a signature line of these bytes, right or wrong."""
        return f"\u2014 {self.name} {b64(self.key_id + signature)}\n"


@functools.cache
def _ml_dsa_key(seed: bytes) -> ml_dsa_44.Key:
    return ml_dsa_44.Key(seed)
