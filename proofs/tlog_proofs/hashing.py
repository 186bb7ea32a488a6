"""Hashes of an RFC 6962 Merkle tree over SHA-256 (RFC 6962 section 2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from tlog_proofs.errors import MalformedProofError

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry to the 32 bytes of its leaf: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Hash many entries as leaf_hash does each, without a call for each."""
    digest = sha256
    return [digest(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two nodes of 32 bytes to their parent: SHA-256(0x01 || left || right).

    The lengths are the caller's to check: this is the innermost loop of everything.
    """
    return sha256(b"\x01" + left + right).digest()


def root_from_leaf_hashes(hashes: Iterable[bytes]) -> bytes:
    """Compute the root hash of the tree that has exactly these leaf hashes.

    Args:
        hashes: leaf hashes of 32 bytes each, in the order of their indexes; none for size 0.

    Raises:
        MalformedProofError: a hash is not 32 bytes long.

    Cost: one hash a node; memory for one level of the tree.
    Source: RFC 6962 section 2.1.
    """
    level = list(hashes)
    if not level:
        return EMPTY_ROOT
    if set(map(len, level)) != {HASH_SIZE}:
        raise MalformedProofError(f"expected leaf hashes of {HASH_SIZE} bytes each")
    digest = sha256
    while len(level) > 1:
        # The RFC splits at the largest power of two, which is the same as pairing from the left
        # and handing an odd last node up unchanged.
        parents = [
            digest(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        if len(level) % 2:
            parents.append(level[-1])
        level = parents
    return level[0]
