"""Proofs against the recursions of RFC 6962: exhaustive for small trees, sampled for all others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given

from tests import reference, strategies
from tlog_proofs import (
    EMPTY_ROOT,
    MalformedProofError,
    RootMismatchError,
    TlogError,
    aligned_subtrees,
    leaf_hash,
    leaf_hashes,
    node_hash,
    prove_consistency,
    prove_inclusion,
    prove_subtree_consistency,
    prove_subtree_inclusion,
    root_from_leaf_hashes,
    tree_root,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)

LIMIT = 64
LEAVES = tuple(reference.leaf(bytes([i])) for i in range(LIMIT))

WRONG = b"\x5a" * 32


def read_small(start: int, end: int) -> bytes:
    """Give roots of full aligned subtrees of the small tree, by the reference, and no others."""
    length = end - start
    assert length & (length - 1) == 0, (start, end)
    assert start % length == 0, (start, end)
    return reference.root(LEAVES[start:end])


def read_synthetic(start: int, end: int) -> bytes:
    """Give subtree roots of a tree with 2^63 equal leaves, whose nodes are equal on each level."""
    node = leaf_hash(b"same")
    while end - start > 1:
        node, end = node_hash(node, node), start + (end - start) // 2
    return node


def read_labelled(start: int, end: int) -> bytes:
    """Give a label for each subtree: enough to compare two makers of proofs."""
    return hashlib.sha256(f"[{start}, {end})".encode()).digest()


def labelled_path(index: int, low: int, high: int) -> list[bytes]:
    """PATH of RFC 6962 over ranges of indexes: like the reference, for trees that fit no memory."""
    if high - low == 1:
        return []
    k = low + reference.split(high - low)
    if index < k:
        return [*labelled_path(index, low, k), labelled_root(k, high)]
    return [*labelled_path(index, k, high), labelled_root(low, k)]


def labelled_root(low: int, high: int) -> bytes:
    """MTH of RFC 6962 over ranges; a full subtree has its label."""
    n = high - low
    if n & (n - 1) == 0:
        return read_labelled(low, high)
    k = low + reference.split(n)
    return node_hash(labelled_root(low, k), labelled_root(k, high))


def test_hashes_and_roots() -> None:
    """Leaf hashes, node hashes and the roots of all small trees are the RFC's."""
    assert leaf_hash(b"abc") == hashlib.sha256(b"\x00abc").digest()
    assert node_hash(LEAVES[0], LEAVES[1]) == reference.root(LEAVES[:2])
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT
    for size in range(LIMIT + 1):
        expected = reference.root(LEAVES[:size])
        assert root_from_leaf_hashes(LEAVES[:size]) == expected
        assert tree_root(size, read_small) == expected


def test_many_leaves_are_hashed_as_each_is() -> None:
    """SHA-256 of a zero byte and the entry, by the standard library, in the order given."""
    entries = [b"", b"\x00", bytes(65_535), *(b"%d" % number for number in range(300))]
    expected = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    assert leaf_hashes(entries) == expected
    assert leaf_hashes(iter(entries)) == list(map(leaf_hash, entries))


def test_root_refuses_other_lengths() -> None:
    """A leaf hash that is not 32 bytes long is refused, also when the sum of lengths fits."""
    with pytest.raises(MalformedProofError):
        root_from_leaf_hashes([b"\x00" * 31, b"\x00" * 33])


def test_aligned_subtrees_tile_the_range() -> None:
    """Any range is cut into the fewest full subtrees that touch each other from start to end."""
    for start in range(LIMIT + 1):
        for end in range(start, LIMIT + 1):
            parts = aligned_subtrees(start, end)
            edges = [start, *(part_end for _, part_end in parts)]
            assert [low for low, _ in parts] == edges[:-1]
            assert edges[-1] == end
            assert all(reference.is_subtree(low, high) for low, high in parts)
            assert all((high - low).bit_count() == 1 for low, high in parts)
            # Fewest: no two neighbours make one full subtree together.
            assert not any(
                b - a == d - c and a % (2 * (b - a)) == 0 for (a, b), (c, d) in pairwise(parts)
            )


@pytest.mark.parametrize("size", range(1, LIMIT + 1))
def test_inclusion_exhaustive(size: int) -> None:
    """Every leaf of every small tree has the RFC's inclusion proof, and it verifies."""
    leaves = LEAVES[:size]
    root = reference.root(leaves)
    for index in range(size):
        proof = prove_inclusion(index, size, read_small)
        assert list(proof) == reference.path(index, leaves)
        verify_inclusion(index, size, leaves[index], proof, root)

        def verify(wrong: Sequence[bytes], index: int = index) -> None:
            verify_inclusion(index, size, leaves[index], wrong, root)

        refuse_neighbours(verify, proof)


@pytest.mark.parametrize("new", range(1, LIMIT + 1))
def test_consistency_exhaustive(new: int) -> None:
    """Every pair of small trees has the RFC's consistency proof, and it verifies."""
    leaves = LEAVES[:new]
    root = reference.root(leaves)
    for old in range(1, new + 1):
        old_root = reference.root(leaves[:old])
        proof = prove_consistency(old, new, read_small)
        assert list(proof) == reference.consistency(old, leaves)
        verify_consistency(old, new, proof, old_root, root)

        def verify(wrong: Sequence[bytes], old: int = old, old_root: bytes = old_root) -> None:
            verify_consistency(old, new, wrong, old_root, root)

        refuse_neighbours(verify, proof)


@pytest.mark.parametrize("size", range(LIMIT + 1))
def test_subtree_consistency_exhaustive(size: int) -> None:
    """Every subtree of every small tree has the draft's proof, and it verifies."""
    leaves = LEAVES[:size]
    root = reference.root(leaves)
    for start, end in reference.subtrees(size):
        subtree_root = reference.root(leaves[start:end])
        proof = prove_subtree_consistency(start, end, size, read_small)
        assert list(proof) == reference.subtree_consistency(start, end, leaves)
        verify_subtree_consistency(start, end, size, proof, subtree_root, root)
        with pytest.raises(RootMismatchError):
            verify_subtree_consistency(start, end, size, proof, WRONG, root)


def test_subtree_inclusion_exhaustive() -> None:
    """Every leaf of every small subtree has the RFC's proof within it, and it verifies."""
    for start, end in reference.subtrees(LIMIT):
        leaves = LEAVES[start:end]
        root = reference.root(leaves)
        for index in range(start, end):
            proof = prove_subtree_inclusion(start, end, index, read_small)
            assert list(proof) == reference.path(index - start, leaves)
            verify_subtree_inclusion(start, end, index, LEAVES[index], proof, root)


def test_what_is_no_subtree_is_refused() -> None:
    """Ranges that are not aligned have no proofs, neither made nor verified."""
    valid = set(reference.subtrees(20))
    for start in range(21):
        for end in range(21):
            if (start, end) in valid:
                continue
            with pytest.raises(MalformedProofError):
                prove_subtree_consistency(start, end, 20, read_small)
            with pytest.raises(MalformedProofError):
                prove_subtree_inclusion(start, end, start, read_small)
            with pytest.raises(MalformedProofError):
                verify_subtree_consistency(start, end, 20, [], EMPTY_ROOT, EMPTY_ROOT)
            with pytest.raises(MalformedProofError):
                verify_subtree_inclusion(start, end, start, EMPTY_ROOT, [], EMPTY_ROOT)


def refuse_neighbours(
    verify: Callable[[tuple[bytes, ...]], None], proof: tuple[bytes, ...]
) -> None:
    """Expect an error for a proof with a hash more, a hash less, or two exchanged."""
    for wrong in {(*proof, LEAVES[0]), (LEAVES[0], *proof), proof[1:], proof[:-1], proof[::-1]}:
        if wrong != proof:
            with pytest.raises(TlogError):
                verify(wrong)


@pytest.mark.parametrize(
    ("old", "new"), [(1, 2), (3, 4), (4, 7), (6, 13), (8, 13), (7, 64), (21, 63)]
)
def test_every_byte_of_a_proof_counts(old: int, new: int) -> None:
    """Changing any byte of a consistency proof or a root makes it fail."""
    old_root, new_root = reference.root(LEAVES[:old]), reference.root(LEAVES[:new])
    proof = prove_consistency(old, new, read_small)
    parts = [*proof, old_root, new_root]
    for number, part in enumerate(parts):
        for position in range(32):
            changed = bytearray(part)
            changed[position] ^= 0x40
            wrong = [*parts[:number], bytes(changed), *parts[number + 1 :]]
            with pytest.raises(RootMismatchError):
                verify_consistency(old, new, wrong[:-2], wrong[-2], wrong[-1])


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (12, 13), (6, 7), (31, 64), (40, 61)])
def test_every_byte_of_an_inclusion_counts(index: int, size: int) -> None:
    """Changing any byte of an inclusion proof, the leaf hash or the root makes it fail."""
    parts = [
        *prove_inclusion(index, size, read_small),
        LEAVES[index],
        reference.root(LEAVES[:size]),
    ]
    for number, part in enumerate(parts):
        for position in range(32):
            changed = bytearray(part)
            changed[position] ^= 0x01
            wrong = [*parts[:number], bytes(changed), *parts[number + 1 :]]
            with pytest.raises(RootMismatchError):
                verify_inclusion(index, size, wrong[-2], wrong[:-2], wrong[-1])


@given(strategies.sizes_with_index())
def test_inclusion_in_big_trees(pair: tuple[int, int]) -> None:
    """In trees up to 2^63-1 leaves, inclusion proofs are the RFC's and verify."""
    index, size = pair
    assert list(prove_inclusion(index, size, read_labelled)) == labelled_path(index, 0, size)
    proof = prove_inclusion(index, size, read_synthetic)
    verify_inclusion(index, size, leaf_hash(b"same"), proof, tree_root(size, read_synthetic))
    with pytest.raises(TlogError):
        verify_inclusion(index, size, leaf_hash(b"other"), proof, tree_root(size, read_synthetic))


@given(strategies.size_pairs())
def test_consistency_in_big_trees(pair: tuple[int, int]) -> None:
    """In trees up to 2^63-1 leaves, consistency proofs verify, and fail for another root."""
    old, new = pair
    old_root, new_root = tree_root(old, read_synthetic), tree_root(new, read_synthetic)
    proof = prove_consistency(old, new, read_synthetic)
    assert len(proof) <= 64
    verify_consistency(old, new, proof, old_root, new_root)
    with pytest.raises(RootMismatchError):
        verify_consistency(old, new, proof, old_root, EMPTY_ROOT)
    with pytest.raises(RootMismatchError):
        verify_consistency(old, new, proof, EMPTY_ROOT, new_root)
