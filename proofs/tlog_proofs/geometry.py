"""Geometry of an RFC 6962 tree: which full subtrees make up a range, a root, a proof.

A *subtree* is a half-open range [start, end) of leaf indexes whose start is a multiple of the
smallest power of two that is not below its length; it is *full* when the length is a power of two.
Full subtrees are what a log stores, and what never changes as it grows; every root and every hash
of every proof is folded from them.

Source: RFC 6962 section 2.1; draft-ietf-plants-merkle-tree-certs, "Subtrees".
"""

from __future__ import annotations

from collections.abc import Callable

from tlog_proofs.errors import MalformedProofError
from tlog_proofs.hashing import EMPTY_ROOT, node_hash
from tlog_proofs.strict import MAX_DECIMAL, show

MAX_SIZE = MAX_DECIMAL
"""Largest tree size: 2^63-1, one above the largest index."""

ReadSubtree = Callable[[int, int], bytes]
"""Gives the 32-byte root of the full subtree [start, end): its length a power of two that divides
start."""


def check_size(what: str, value: object) -> None:
    """Refuse what is not an integer with 0 <= value <= MAX_SIZE, with a MalformedProofError."""
    if not (isinstance(value, int) and 0 <= value <= MAX_SIZE):
        raise MalformedProofError(f"expected {what} between 0 and 2^63-1, got {show(value)}")


def check_subtree(start: int, end: int) -> None:
    """Refuse what is not a subtree: 0 <= start <= end <= MAX_SIZE, start aligned to its length.

    Raises:
        MalformedProofError: one of these does not hold.
    """
    check_size("subtree start", start)
    check_size("subtree end", end)
    if start > end or start % _power_of_two_from(end - start):
        raise MalformedProofError(
            f"[{start}, {end}) is not a subtree: start > end, or start not aligned to the length"
        )


def check_full_subtree(start: int, end: int) -> None:
    """Refuse what is not a full subtree: a subtree whose length is a power of two.

    Raises:
        MalformedProofError: it is not one.
    """
    check_subtree(start, end)
    length = end - start
    if length != _power_of_two_from(length):
        raise MalformedProofError(
            f"[{start}, {end}) is not a full subtree: its length is not a power of two"
        )


def aligned_subtrees(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Split any range 0 <= start <= end into the fewest full subtrees, from left to right.

    Raises:
        MalformedProofError: the range is none, or beyond MAX_SIZE.
    """
    check_size("range start", start)
    check_size("range end", end)
    if start > end:
        raise MalformedProofError(f"expected a range with start <= end, got [{start}, {end})")
    subtrees = []
    while start < end:
        length = 1 << ((end - start).bit_length() - 1)
        if start:
            length = min(length, start & -start)
        subtrees.append((start, start + length))
        start += length
    return tuple(subtrees)


def subtree_root(start: int, end: int, read_subtree: ReadSubtree) -> bytes:
    """Compute the root hash of the subtree [start, end), full or not.

    Raises:
        MalformedProofError: [start, end) is no subtree.

    Cost: one read_subtree a bit set in end - start.
    """
    check_subtree(start, end)
    roots = [read_subtree(*subtree) for subtree in aligned_subtrees(start, end)]
    if not roots:
        return EMPTY_ROOT
    root = roots.pop()
    while roots:
        root = node_hash(roots.pop(), root)
    return root


def tree_root(size: int, read_subtree: ReadSubtree) -> bytes:
    """Compute the root hash of the tree of the first `size` leaves, EMPTY_ROOT for none.

    Raises:
        MalformedProofError: size is negative or above MAX_SIZE.
    """
    return subtree_root(0, size, read_subtree)


def proof_subtrees(start: int, end: int, size: int) -> tuple[tuple[int, int], ...]:
    """List the subtrees whose roots prove [start, end) part of the tree of `size`, in proof order.

    This one recursion serves inclusion (end = start + 1), consistency (start = 0) and subtrees.

    Raises:
        MalformedProofError: [start, end) is no subtree, or end > size.

    Source: draft-ietf-plants-merkle-tree-certs, "Generating a Subtree Consistency Proof".
    """
    check_subtree(start, end)
    check_size("tree size", size)
    if end > size:
        raise MalformedProofError(
            f"expected a subtree within the tree, got [{start}, {end}) and tree size {size}"
        )
    if start == end:
        return ()
    siblings = []
    # The node above [start, end) that the walk down from the root has reached, and whether the
    # verifier knows the hash of that node when the walk ends there.
    low, high, known = 0, size, True
    while (low, high) != (start, end):
        split = low + (1 << ((high - low - 1).bit_length() - 1))
        if end <= split:
            siblings.append((split, high))
            high = split
            continue
        siblings.append((low, split))
        if start < split:
            # [start, end) begins with the whole left child: go on with its remainder on the right,
            # whose hash nobody knows yet.
            start, known = split, False
        low = split
    if not known:
        siblings.append((low, high))
    return tuple(reversed(siblings))


def _power_of_two_from(length: int) -> int:
    """Give the smallest power of two that is not below length; 1 for 0."""
    return 1 << max(length - 1, 0).bit_length()
