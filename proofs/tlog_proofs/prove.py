"""Making proofs from any reader of full subtree roots.

Every function raises MalformedProofError for positions that have no proof, and otherwise whatever
`read_subtree` raises. Hashes come lowest level first, as in RFC 6962 and tlog-proof.
"""

from __future__ import annotations

from tlog_proofs.errors import MalformedProofError
from tlog_proofs.geometry import (
    ReadSubtree,
    check_size,
    check_subtree,
    proof_subtrees,
    subtree_root,
)


def prove_inclusion(index: int, size: int, read_subtree: ReadSubtree) -> tuple[bytes, ...]:
    """Prove that the leaf at `index` is in the tree of `size`.

    Requires 0 <= index < size.

    Source: RFC 6962 section 2.1.1; RFC 9162 section 2.1.3.1.
    """
    check_size("index", index)
    check_size("tree size", size)
    if index >= size:
        raise MalformedProofError(f"expected index < size, got index {index} and size {size}")
    return prove_subtree_consistency(index, index + 1, size, read_subtree)


def prove_consistency(old: int, new: int, read_subtree: ReadSubtree) -> tuple[bytes, ...]:
    """Prove that the tree of `new` leaves begins with the tree of `old` leaves.

    Requires 1 <= old <= new; the proof is empty for old = new.

    Source: RFC 6962 section 2.1.2; RFC 9162 section 2.1.4.1.
    """
    check_size("old size", old)
    check_size("new size", new)
    if not 1 <= old <= new:
        raise MalformedProofError(f"expected sizes 1 <= old <= new, got old {old} and new {new}")
    return prove_subtree_consistency(0, old, new, read_subtree)


def prove_subtree_inclusion(
    start: int, end: int, index: int, read_subtree: ReadSubtree
) -> tuple[bytes, ...]:
    """Prove that the leaf at `index` of the log is in its subtree [start, end).

    Requires [start, end) to be a subtree, and start <= index < end.

    Source: draft-ietf-plants-merkle-tree-certs, "Subtree Inclusion Proofs".
    """
    check_subtree(start, end)
    check_size("index", index)
    if not start <= index < end:
        raise MalformedProofError(f"expected an index in [{start}, {end}), got {index}")
    # A subtree is a tree of its own: its full subtrees are the log's, shifted by start.
    return prove_inclusion(
        index - start, end - start, lambda low, high: read_subtree(start + low, start + high)
    )


def prove_subtree_consistency(
    start: int, end: int, size: int, read_subtree: ReadSubtree
) -> tuple[bytes, ...]:
    """Prove that the subtree [start, end) is part of the tree of `size`.

    Requires [start, end) to be a subtree, and end <= size; the proof is empty for start = end.

    Source: draft-ietf-plants-merkle-tree-certs, "Subtree Consistency Proofs".
    """
    return tuple(
        subtree_root(low, high, read_subtree) for low, high in proof_subtrees(start, end, size)
    )
