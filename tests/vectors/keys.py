"""Keys of the vectors: their seeds are hashes of their names, for anybody to make again."""

from __future__ import annotations

import hashlib

from tlog_proofs import Ed25519Signer

ORIGIN = "log.example/one"


def signer(name: str, number: int = 0) -> Ed25519Signer:
    """Make the key that vectors use under a name; with another number, another key."""
    return Ed25519Signer(name, hashlib.sha256(f"tlog test key {number}: {name}".encode()).digest())


LOG = signer(ORIGIN)
WITNESS = signer("witness.example/w1")
STRANGER = signer("stranger.example")
