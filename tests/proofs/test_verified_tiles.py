"""Verified tiles: one wrong hash anywhere raises before anything can be read."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference, strategies
from tlog_proofs import (
    EMPTY_ROOT,
    MalformedProofError,
    MalformedTileError,
    RootMismatchError,
    Tile,
    VerifiedTiles,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    right_edge,
    root_from_leaf_hashes,
    tile_width,
    tiles_for_consistency,
    tiles_for_inclusion,
    tiles_for_leaves,
    tree_root,
    verify_consistency,
    verify_inclusion,
)


@cache
def leaves(size: int) -> tuple[bytes, ...]:
    """Make the leaf hashes of a tree."""
    return tuple(hashlib.sha256(b"%d" % i).digest() for i in range(size))


@cache
def root(size: int) -> bytes:
    """Compute the root of a tree; root_from_leaf_hashes is held to the reference elsewhere."""
    return root_from_leaf_hashes(leaves(size))


@cache
def all_tiles(size: int) -> dict[Tile, bytes]:
    """Cut a tree into its tiles, as tlog-tiles defines them."""
    tiles = {}
    level, hashes = 0, list(leaves(size))
    while hashes:
        above = []
        for first in range(0, len(hashes), 256):
            part = hashes[first : first + 256]
            tiles[Tile(level, first // 256, len(part))] = b"".join(part)
            if len(part) == 256:
                above.append(reference.root(tuple(part)))
        level, hashes = level + 1, above
    return tiles


def closed_set(tile: Tile, size: int) -> dict[Tile, bytes]:
    """Give a tile with what ties it to the root: those above it, and the right edge."""
    tiles = set(right_edge(size))
    while tile not in tiles:
        tiles.add(tile)
        level, index = tile.level + 1, tile.index // 256
        tile = Tile(level, index, tile_width(level, index, size))
    return {member: all_tiles(size)[member] for member in tiles}


def refuse_each(tile: Tile, size: int, positions: range) -> None:
    """Expect an error for one changed bit of each of these hashes of a tile."""
    tiles = closed_set(tile, size)
    VerifiedTiles(size, root(size), tiles)
    for position in positions:
        data = bytearray(tiles[tile])
        data[position * 32 + position % 32] ^= 1 << position % 8
        with pytest.raises(RootMismatchError):
            VerifiedTiles(size, root(size), {**tiles, tile: bytes(data)})


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 513, 1000])
def test_every_hash_of_every_tile_counts(size: int) -> None:
    """In small trees, a wrong hash at any position of any tile raises."""
    for tile in all_tiles(size):
        refuse_each(tile, size, range(tile.width))


@pytest.mark.parametrize("size", [65537, 70000])
def test_every_hash_counts_in_taller_trees(size: int) -> None:
    """In trees of three levels, so does any position above the leaves, and of some leaf tiles.

    Of every other leaf tile it is each sixteenth, beginning elsewhere in each.
    """
    for tile in all_tiles(size):
        whole = tile.level > 0 or not tile.is_full or tile.index in {0, 1, 255}
        refuse_each(
            tile, size, range(tile.width) if whole else range(tile.index % 16, tile.width, 16)
        )


@pytest.mark.parametrize("size", [1, 256, 257, 70000])
def test_all_tiles_together(size: int) -> None:
    """All tiles of a tree verify, and give every leaf hash and every proof."""
    verified = VerifiedTiles(size, root(size), all_tiles(size))
    for index in {0, size // 2, size - 1}:
        assert verified.leaf_hash(index) == leaves(size)[index]
        proof = prove_inclusion(index, size, verified.read_subtree)
        verify_inclusion(index, size, leaves(size)[index], proof, root(size))
    assert tree_root(size, verified.read_subtree) == root(size)


def test_a_tile_that_is_not_tied_to_the_root() -> None:
    """A set without the right edge, or without a tile above a full one, is refused."""
    size = 70000
    tiles = closed_set(Tile(0, 5), size)
    assert len(tiles) == 5
    for missing in tiles:
        rest = {tile: data for tile, data in tiles.items() if tile != missing}
        if missing == Tile(0, 5):
            with pytest.raises(MalformedTileError, match="not among"):
                VerifiedTiles(size, root(size), rest).leaf_hash(5 * 256)
        else:
            with pytest.raises(MalformedTileError, match="missing"):
                VerifiedTiles(size, root(size), rest)


def test_tiles_of_another_width_or_length() -> None:
    """A tile wider, narrower, longer or elsewhere than at the tree's size is refused."""
    size = 257
    tiles = all_tiles(size)
    data = tiles[Tile(0, 0)]
    wrong: list[tuple[Tile, bytes]] = [
        (Tile(0, 0, 255), data[:-32]),
        (Tile(0, 1, 2), data[:64]),
        (Tile(0, 1), data),
        (Tile(0, 2, 1), data[:32]),
        (Tile(1, 0, 2), data[:64]),
        (Tile(2, 0, 1), data[:32]),
        (Tile(63, 0, 1), data[:32]),
        (Tile(0, 1, 1), data[:31]),
        (Tile(0, 0), data + b"\x00"),
        (Tile(0, 0), bytearray(data)),  # type: ignore[list-item]
    ]
    for tile, content in wrong:
        with pytest.raises(MalformedTileError):
            VerifiedTiles(size, root(size), {**tiles, tile: content})


def test_the_empty_tree() -> None:
    """A tree of size 0 has no tiles and one root."""
    VerifiedTiles(0, EMPTY_ROOT, {})
    assert tiles_for_leaves(0, 0, 0) == ()
    with pytest.raises(RootMismatchError):
        VerifiedTiles(0, root(1), {})
    with pytest.raises(MalformedTileError):
        VerifiedTiles(0, EMPTY_ROOT, {Tile(0, 0, 1): root(1)})


@pytest.mark.parametrize(("size", "hash_"), [(-1, EMPTY_ROOT), (2**63, EMPTY_ROOT), (1, b"short")])
def test_no_tree_head(size: int, hash_: bytes) -> None:
    """A size or root that no tree has is refused."""
    with pytest.raises(MalformedProofError):
        VerifiedTiles(size, hash_, {})


@settings(max_examples=60)
@given(st.integers(0, 69999), st.integers(1, 70000))
def test_proofs_from_the_tiles_they_name(index: int, old: int) -> None:
    """The tiles named for a proof suffice to make it, and are sorted without repetition."""
    size = 70000
    for names in (tiles_for_inclusion(index, size), tiles_for_consistency(old, size)):
        assert list(names) == sorted(set(names))
    tiles = {tile: all_tiles(size)[tile] for tile in tiles_for_inclusion(index, size)}
    verified = VerifiedTiles(size, root(size), tiles)
    proof = prove_inclusion(index, size, verified.read_subtree)
    verify_inclusion(index, size, verified.leaf_hash(index), proof, root(size))
    tiles = {tile: all_tiles(size)[tile] for tile in tiles_for_consistency(old, size)}
    proof = prove_consistency(old, size, VerifiedTiles(size, root(size), tiles).read_subtree)
    verify_consistency(old, size, proof, root_from_leaf_hashes(leaves(size)[:old]), root(size))


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_tiles_for_leaves_hold_them(start: int, length: int) -> None:
    """The tiles named for a range hold each of its leaf hashes, and no more of them are named."""
    size = 1000
    end = min(start + length, size)
    names = tiles_for_leaves(start, end, size)
    verified = VerifiedTiles(size, root(size), {tile: all_tiles(size)[tile] for tile in names})
    assert [verified.leaf_hash(i) for i in range(start, end)] == list(leaves(size)[start:end])
    needed = {i // 256 for i in range(start, end)} | {size // 256}
    assert {tile.index for tile in names if tile.level == 0} == needed


@cache
def equal_node(level: int) -> bytes:
    """Give the root over 256**level equal leaves."""
    node = leaf_hash(b"same")
    for _ in range(8 * level):
        node = node_hash(node, node)
    return node


@settings(max_examples=60)
@given(strategies.sizes_with_index(), st.integers(0, 7), st.integers(0, 10**6))
def test_big_trees(pair: tuple[int, int], number: int, noise: int) -> None:
    """In trees up to 2^63-1 leaves the named tiles are enough, and one wrong hash raises."""
    index, size = pair
    tiles = {
        tile: equal_node(tile.level) * tile.width
        for tile in (*tiles_for_inclusion(index, size), *tiles_for_consistency(index + 1, size))
    }

    def read(start: int, end: int) -> bytes:
        node, length = leaf_hash(b"same"), end - start
        while length > 1:
            node, length = node_hash(node, node), length // 2
        return node

    head = tree_root(size, read)
    verified = VerifiedTiles(size, head, tiles)
    proof = prove_inclusion(index, size, verified.read_subtree)
    assert proof == prove_inclusion(index, size, read)
    verify_inclusion(index, size, verified.leaf_hash(index), proof, head)
    assert prove_consistency(index + 1, size, verified.read_subtree) == prove_consistency(
        index + 1, size, read
    )
    tile = sorted(tiles)[number % len(tiles)]
    data = bytearray(tiles[tile])
    data[noise % len(data)] ^= 1
    with pytest.raises(RootMismatchError):
        VerifiedTiles(size, head, {**tiles, tile: bytes(data)})


@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (tiles_for_inclusion, (5, 5)),
        (tiles_for_inclusion, (-1, 5)),
        (tiles_for_inclusion, ("1", 5)),
        (tiles_for_consistency, (0, 5)),
        (tiles_for_consistency, (6, 5)),
        (tiles_for_leaves, (3, 2, 5)),
        (tiles_for_leaves, (0, 6, 5)),
        (tiles_for_leaves, (0, 1, 2**63)),
    ],
)
def test_positions_without_tiles(function: object, numbers: tuple[int, ...]) -> None:
    """Positions that no tree of the size has are refused."""
    assert callable(function)
    with pytest.raises(MalformedProofError):
        function(*numbers)
