"""Verifying proofs: each function returns None, or raises.

All raise MalformedProofError when a position, a length or the number of hashes is impossible, and
RootMismatchError when the hashes lead elsewhere. One walk serves inclusion, consistency and
subtrees. Roots are arguments: that a root is a log's is for the caller to have verified (see
checkpoint.open_checkpoint and tlog_proof.verify_tlog_proof).
"""

from __future__ import annotations

from collections.abc import Sequence

from tlog_proofs.errors import MalformedProofError, RootMismatchError
from tlog_proofs.geometry import check_size, check_subtree
from tlog_proofs.hashing import EMPTY_ROOT, HASH_SIZE, node_hash
from tlog_proofs.strict import show

MAX_PROOF_HASHES = 64
"""The longest proof of a tree of at most 2^63-1 leaves: 63 levels, and the first hash of a
consistency proof."""


def verify_inclusion(
    index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Verify that `leaf_hash` is the leaf at `index` of the tree of `size` with `root`.

    Requires 0 <= index < size. For size 1 the proof is empty.

    Args:
        index: zero-based index of the leaf.
        size: tree size.
        leaf_hash: 32 bytes, as from leaf_hash().
        proof: at most 63 hashes of 32 bytes, the leaf's sibling first.
        root: root hash of the tree, 32 bytes.

    Raises:
        MalformedProofError: index >= size, or a count or length is impossible for them.
        RootMismatchError: the proof leads to another root.

    Source: RFC 9162 section 2.1.3.2.
    """
    computed = root_from_inclusion(index, size, leaf_hash, proof)
    check_hash(root)
    _check_root(root, computed)


def root_from_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes]) -> bytes:
    """Compute the root hash (32 bytes) that a proof gives the tree of `size` with that leaf.

    Requires 0 <= index < size. Whose root it is, is for the caller to find out.

    Raises:
        MalformedProofError: index >= size, or a count or length is impossible for them.

    Source: RFC 9162 section 2.1.3.2.
    """
    check_size("index", index)
    check_size("tree size", size)
    if index >= size:
        raise MalformedProofError(f"expected index < size, got index {index} and size {size}")
    _check_hashes(proof, leaf_hash)
    return _roots_from_proof(index, index + 1, size, proof, leaf_hash)[1]


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Verify that the tree of `new` leaves begins with the tree of `old` leaves.

    Requires 1 <= old <= new. For old = new the proof is empty and the roots are equal; every tree
    begins with the empty one, so old = 0 would prove nothing and is refused.

    Raises:
        MalformedProofError: the sizes, a count or a length are impossible.
        RootMismatchError: the proof leads to another root, old or new.

    Source: RFC 9162 section 2.1.4.2.
    """
    check_size("old size", old)
    check_size("new size", new)
    if not 1 <= old <= new:
        raise MalformedProofError(f"expected sizes 1 <= old <= new, got old {old} and new {new}")
    verify_subtree_consistency(0, old, new, proof, old_root, new_root)


def verify_subtree_inclusion(
    start: int, end: int, index: int, leaf_hash: bytes, proof: Sequence[bytes], subtree_root: bytes
) -> None:
    """Verify that `leaf_hash` is the leaf at `index` of the log, within its subtree [start, end).

    Requires [start, end) to be a subtree, and start <= index < end.

    Raises:
        MalformedProofError: the range, the index, a count or a length are impossible.
        RootMismatchError: the proof leads to another subtree root.

    Source: draft-ietf-plants-merkle-tree-certs, "Verifying a Subtree Inclusion Proof".
    """
    check_subtree(start, end)
    check_size("index", index)
    if not start <= index < end:
        raise MalformedProofError(f"expected an index in [{start}, {end}), got {index}")
    verify_inclusion(index - start, end - start, leaf_hash, proof, subtree_root)


def verify_subtree_consistency(
    start: int, end: int, size: int, proof: Sequence[bytes], subtree_root: bytes, root: bytes
) -> None:
    """Verify that the subtree [start, end) with `subtree_root` is part of the tree with `root`.

    Requires [start, end) to be a subtree, and end <= size. The empty subtree is part of every tree:
    its proof is empty and says nothing about `root`.

    Raises:
        MalformedProofError: the range, the size, a count or a length are impossible.
        RootMismatchError: the proof leads to another root, of the subtree or of the tree.

    Source: draft-ietf-plants-merkle-tree-certs, "Verifying a Subtree Consistency Proof".
    """
    check_subtree(start, end)
    check_size("tree size", size)
    if end > size:
        raise MalformedProofError(
            f"expected a subtree within the tree, got [{start}, {end}) and tree size {size}"
        )
    if proof:
        # Without a proof nothing is hashed, only compared.
        _check_hashes(proof, subtree_root, root)
    if start == end:
        if proof:
            raise MalformedProofError(
                f"expected an empty proof for an empty subtree, got {len(proof)} hashes"
            )
        _check_root(EMPTY_ROOT, subtree_root)
        return
    computed_subtree_root, computed_root = _roots_from_proof(start, end, size, proof, subtree_root)
    _check_root(subtree_root, computed_subtree_root)
    _check_root(root, computed_root)


def _roots_from_proof(
    start: int, end: int, size: int, proof: Sequence[bytes], subtree_root: bytes
) -> tuple[bytes, bytes]:
    """Compute the roots of the subtree [start, end) and of the tree of `size` that a proof implies.

    first, last and tree_last are the positions, on the level reached, of the nodes over the leaves
    start, end - 1 and size - 1.
    """
    first, last, tree_last = start, end - 1, size - 1
    # Go up to the lowest node that the tree and the subtree share on the subtree's right edge.
    while first != last and (last == tree_last or last & 1):
        first, last, tree_last = first >> 1, last >> 1, tree_last >> 1
    siblings = proof
    if first == last:
        subtree_hash = tree_hash = subtree_root
    elif proof:
        # The subtree's root is no node of the tree; the proof begins with the node they share.
        subtree_hash = tree_hash = proof[0]
        siblings = proof[1:]
    else:
        raise _wrong_count(0, "more")
    for sibling in siblings:
        if not tree_last:
            raise _wrong_count(len(proof), "fewer")
        if last & 1 or last == tree_last:
            if first < last:
                subtree_hash = node_hash(sibling, subtree_hash)
            tree_hash = node_hash(sibling, tree_hash)
            # The right edge of the tree may skip levels on which it has no sibling.
            while not last & 1:
                first, last, tree_last = first >> 1, last >> 1, tree_last >> 1
        else:
            tree_hash = node_hash(tree_hash, sibling)
        first, last, tree_last = first >> 1, last >> 1, tree_last >> 1
    if tree_last:
        raise _wrong_count(len(proof), "more")
    return subtree_hash, tree_hash


def _check_hashes(proof: Sequence[bytes], *roots: bytes) -> None:
    if len(proof) > MAX_PROOF_HASHES:
        raise _wrong_count(len(proof), f"at most {MAX_PROOF_HASHES}")
    for value in (*roots, *proof):
        check_hash(value)


def check_hash(value: object) -> None:
    """Refuse what is not 32 bytes, with a MalformedProofError."""
    if not (isinstance(value, bytes) and len(value) == HASH_SIZE):
        raise MalformedProofError(f"expected a hash of {HASH_SIZE} bytes, got {show(value)}")


def _check_root(expected: bytes, actual: bytes) -> None:
    if expected != actual:
        raise RootMismatchError(expected, actual)


def _wrong_count(count: int, wanted: str) -> MalformedProofError:
    return MalformedProofError(f"expected {wanted} hashes for these sizes, got {count}")
