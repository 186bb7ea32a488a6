"""The oracle: RFC 6962's recursions as its section 2.1 writes them, slow and obvious.

Nothing here imports the code under test. `leaves` are always the leaves' hashes; a tree is the list
of them, and D[a:b] of the RFC is a slice. Cached, because the recursions meet the same lists again.
"""

from __future__ import annotations

import hashlib
from functools import cache


def leaf(entry: bytes) -> bytes:
    """Hash an entry to a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


@cache
def root(leaves: tuple[bytes, ...]) -> bytes:
    """MTH(D) of RFC 6962 section 2.1."""
    n = len(leaves)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return leaves[0]
    k = split(n)
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m: int, leaves: tuple[bytes, ...]) -> list[bytes]:
    """PATH(m, D) of RFC 6962 section 2.1.1."""
    n = len(leaves)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def consistency(m: int, leaves: tuple[bytes, ...]) -> list[bytes]:
    """PROOF(m, D) of RFC 6962 section 2.1.2."""
    return _subproof(m, leaves, whole=True)


def _subproof(m: int, leaves: tuple[bytes, ...], *, whole: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if whole else [root(leaves)]
    k = split(n)
    if m <= k:
        return [*_subproof(m, leaves[:k], whole=whole), root(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], whole=False), root(leaves[:k])]


def subtree_consistency(start: int, end: int, leaves: tuple[bytes, ...]) -> list[bytes]:
    """SUBTREE_PROOF(start, end, D) of draft-ietf-plants-merkle-tree-certs."""
    return [] if start == end else _subtree_subproof(start, end, leaves, whole=True)


def _subtree_subproof(
    start: int, end: int, leaves: tuple[bytes, ...], *, whole: bool
) -> list[bytes]:
    n = len(leaves)
    if (start, end) == (0, n):
        return [] if whole else [root(leaves)]
    k = split(n)
    if end <= k:
        return [*_subtree_subproof(start, end, leaves[:k], whole=whole), root(leaves[k:])]
    if k <= start:
        return [*_subtree_subproof(start - k, end - k, leaves[k:], whole=whole), root(leaves[:k])]
    return [*_subtree_subproof(0, end - k, leaves[k:], whole=False), root(leaves[:k])]


def roots_from_proof(
    start: int, end: int, size: int, proof: list[bytes], subtree_root: bytes
) -> tuple[bytes, bytes]:
    """Take SUBTREE_PROOF apart by its own recursion: the subtree's root and the tree's.

    A ValueError means that a proof of these positions has another number of hashes.
    """
    if start == end:
        if proof:
            raise ValueError
        return root(()), root(())
    return _roots(start, end, size, proof, subtree_root)


def _roots(
    start: int, end: int, n: int, proof: list[bytes], known: bytes | None
) -> tuple[bytes, bytes]:
    if (start, end) == (0, n):
        (node,) = proof if known is None else [*proof, known]
        return node, node
    *rest, sibling = proof
    k = split(n)
    if end <= k:
        inner, outer = _roots(start, end, k, rest, known)
        return inner, _node(outer, sibling)
    if k <= start:
        inner, outer = _roots(start - k, end - k, n - k, rest, known)
        return inner, _node(sibling, outer)
    inner, outer = _roots(0, end - k, n - k, rest, None)
    return _node(sibling, inner), _node(sibling, outer)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(n: int) -> int:
    """Give the largest power of two smaller than n, by counting up."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def is_subtree(start: int, end: int) -> bool:
    """Say whether [start, end) is a subtree: start divisible by the length's next power of two."""
    ceiling = 1
    while ceiling < end - start:
        ceiling *= 2
    return 0 <= start <= end and start % ceiling == 0


def subtrees(size: int) -> list[tuple[int, int]]:
    """List all subtrees within a tree of `size`, in the order of the draft's test vectors."""
    return [
        (start, end)
        for end in range(size + 1)
        for start in range(end + 1)
        if is_subtree(start, end)
    ]
