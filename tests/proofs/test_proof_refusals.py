"""Proofs that cannot be: positions, numbers and hashes that are refused, each by a TlogError."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference, strategies
from tlog_proofs import (
    EMPTY_ROOT,
    MAX_SIZE,
    MalformedProofError,
    RootMismatchError,
    TlogError,
    aligned_subtrees,
    prove_consistency,
    prove_inclusion,
    prove_subtree_consistency,
    prove_subtree_inclusion,
    tree_root,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)

LEAVES = tuple(reference.leaf(bytes([i])) for i in range(20))


def read_small(start: int, end: int) -> bytes:
    """Give roots of subtrees of the small tree, by the reference."""
    return reference.root(LEAVES[start:end])


@settings(max_examples=200)
@given(
    st.tuples(*[st.integers(-2, 2**63 + 2) | st.integers(-1, 20)] * 3),
    st.lists(strategies.hashes() | st.binary(max_size=40), max_size=6),
    st.lists(strategies.hashes() | st.binary(max_size=40), min_size=2, max_size=2),
)
def test_verifiers_raise_only_tlog_errors(
    numbers: tuple[int, int, int], proof: list[bytes], roots: list[bytes]
) -> None:
    """Whatever numbers and hashes come, nothing but a TlogError leaves a verifier."""
    a, b, c = numbers
    attempts: list[Callable[[], None]] = [
        lambda: verify_inclusion(a, b, roots[0], proof, roots[1]),
        lambda: verify_consistency(a, b, proof, roots[0], roots[1]),
        lambda: verify_subtree_inclusion(a, b, c, roots[0], proof, roots[1]),
        lambda: verify_subtree_consistency(a, b, c, proof, roots[0], roots[1]),
    ]
    for attempt in attempts:
        with suppress(TlogError):
            attempt()


@pytest.mark.parametrize(
    "number",
    [-1, MAX_SIZE + 1, pytest.param(10**5000, id="huge"), "3", None, 1.0, b"1"],
)
def test_numbers_out_of_range_are_refused(number: int) -> None:
    """What is no integer from 0 to 2^63-1 is refused in every place, with a bounded message."""
    root = EMPTY_ROOT
    attempts: list[Callable[[], object]] = [
        lambda: verify_inclusion(number, 5, root, [], root),
        lambda: verify_inclusion(0, number, root, [], root),
        lambda: verify_consistency(number, 5, [], root, root),
        lambda: verify_consistency(1, number, [], root, root),
        lambda: verify_subtree_inclusion(number, 5, 0, root, [], root),
        lambda: verify_subtree_inclusion(0, 5, number, root, [], root),
        lambda: verify_subtree_consistency(0, number, 5, [], root, root),
        lambda: verify_subtree_consistency(0, 0, number, [], root, root),
        lambda: prove_inclusion(number, 5, read_small),
        lambda: prove_inclusion(0, number, read_small),
        lambda: prove_consistency(number, 5, read_small),
        lambda: prove_consistency(1, number, read_small),
        lambda: prove_subtree_inclusion(0, 5, number, read_small),
        lambda: prove_subtree_consistency(0, 1, number, read_small),
        lambda: aligned_subtrees(number, 5),
        lambda: aligned_subtrees(0, number),
        lambda: tree_root(number, read_small),
    ]
    for attempt in attempts:
        with pytest.raises(MalformedProofError) as caught:
            attempt()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: prove_inclusion(5, 5, read_small),
        lambda: prove_inclusion(0, 0, read_small),
        lambda: prove_consistency(0, 5, read_small),
        lambda: prove_consistency(6, 5, read_small),
        lambda: prove_subtree_inclusion(4, 8, 3, read_small),
        lambda: prove_subtree_inclusion(4, 8, 8, read_small),
        lambda: prove_subtree_consistency(4, 8, 7, read_small),
        lambda: aligned_subtrees(3, 2),
    ],
)
def test_positions_without_proof_are_refused(attempt: Callable[[], object]) -> None:
    """No proof is made of an index beyond the tree, from size 0, or from a larger size."""
    with pytest.raises(MalformedProofError):
        attempt()


@pytest.mark.parametrize("bad", [b"", b"\x00" * 31, b"\x00" * 33, "x" * 32, None, bytearray(32)])
def test_hashes_of_another_length_are_refused(bad: bytes) -> None:
    """A hash that is not exactly 32 bytes is refused in every place where something is hashed."""
    roots = [reference.root(LEAVES[:size]) for size in range(8)]
    inclusion = reference.path(2, LEAVES[:7])
    consistency = reference.consistency(3, LEAVES[:7])
    attempts: list[Callable[[], object]] = [
        lambda: verify_inclusion(2, 7, bad, inclusion, roots[7]),
        lambda: verify_inclusion(2, 7, LEAVES[2], inclusion, bad),
        lambda: verify_inclusion(2, 7, LEAVES[2], [*inclusion[:1], bad, *inclusion[2:]], roots[7]),
        lambda: verify_inclusion(0, 1, bad, [], bad),
        lambda: verify_consistency(3, 7, consistency, bad, roots[7]),
        lambda: verify_consistency(3, 7, consistency, roots[3], bad),
        lambda: verify_consistency(3, 7, [bad, *consistency[1:]], roots[3], roots[7]),
        lambda: verify_subtree_inclusion(4, 6, 4, LEAVES[4], [bad], roots[2]),
    ]
    for attempt in attempts:
        with pytest.raises(MalformedProofError):
            attempt()


def test_proofs_of_absurd_length_are_refused_at_once() -> None:
    """More hashes than any tree has levels are refused before any is looked at."""
    for count in (65, 1_000_000):
        with pytest.raises(MalformedProofError, match="at most 64"):
            verify_inclusion(0, MAX_SIZE, EMPTY_ROOT, [b"not a hash"] * count, EMPTY_ROOT)


@settings(max_examples=300)
@given(
    st.sampled_from(reference.subtrees(20)),
    st.integers(0, 40),
    st.lists(st.sampled_from(LEAVES), max_size=7),
    st.sampled_from(LEAVES),
)
def test_any_proof_is_judged_as_the_recursion_does(
    subtree: tuple[int, int], size: int, proof: list[bytes], node: bytes
) -> None:
    """For any hashes, what a proof leads to, and whether it has the right number, is the RFC's."""
    start, end = subtree
    try:
        expected = reference.roots_from_proof(start, end, max(size, end), proof, node)
    except ValueError:
        with pytest.raises(MalformedProofError):
            verify_subtree_consistency(start, end, max(size, end), proof, node, node)
        return
    inner = EMPTY_ROOT if start == end else node
    if expected[0] == inner:
        verify_subtree_consistency(start, end, max(size, end), proof, inner, expected[1])
    else:
        with pytest.raises(RootMismatchError) as caught:
            verify_subtree_consistency(start, end, max(size, end), proof, node, expected[1])
        assert (caught.value.expected, caught.value.actual) == (node, expected[0])
