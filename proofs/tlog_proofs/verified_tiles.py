"""Tiles whose every hash is tied to a root before anything is read from them.

The partial tiles of the right edge together fold to the root, and each full tile's root is a hash
of the tile above it. So a set of tiles is *closed* when it holds the whole right edge, and with
each full tile the one above: then nothing in it is free, and a single wrong hash is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tlog_proofs.errors import MalformedProofError, MalformedTileError, RootMismatchError
from tlog_proofs.geometry import aligned_subtrees, check_size, proof_subtrees, tree_root
from tlog_proofs.hashing import HASH_SIZE
from tlog_proofs.tiles import (
    TILE_WIDTH,
    Tile,
    check_tile,
    place_of_subtree,
    right_edge,
    subtree_root_in_tile,
    tile_of_subtree,
    tile_root,
    tile_width,
)
from tlog_proofs.verify import check_hash


def tiles_for_inclusion(index: int, size: int) -> tuple[Tile, ...]:
    """List the tiles that the inclusion proof of `index` and its leaf hash are read from.

    Requires 0 <= index < size. Sorted, closed (see the module).

    Raises:
        MalformedProofError: these do not hold.
    """
    check_size("leaf index", index)
    _check_leaves(index, index + 1, size)
    return _closed(size, [(index, index + 1), *proof_subtrees(index, index + 1, size)])


def tiles_for_consistency(old: int, new: int) -> tuple[Tile, ...]:
    """List the tiles of the tree of `new` leaves that the proof from `old` is read from.

    Requires 1 <= old <= new. Sorted, closed (see the module).

    Raises:
        MalformedProofError: these do not hold.
    """
    check_size("old size", old)
    check_size("new size", new)
    if not 1 <= old <= new:
        raise MalformedProofError(f"expected sizes 1 <= old <= new, got old {old} and new {new}")
    return _closed(new, proof_subtrees(0, old, new))


def tiles_for_leaves(start: int, end: int, size: int) -> tuple[Tile, ...]:
    """List the tiles that hold the leaf hashes [start, end) of the tree of `size`.

    Requires 0 <= start <= end <= size; (end - start) / 256 tiles and a few more. Sorted, closed.

    Raises:
        MalformedProofError: these do not hold.
    """
    _check_leaves(start, end, size)
    # One leaf of each tile stands for all: from start, then at each further tile's first leaf.
    first_of_next = (start // TILE_WIDTH + 1) * TILE_WIDTH
    leaves = [*range(start, end)[:1], *range(first_of_next, end, TILE_WIDTH)]
    return _closed(size, [(leaf, leaf + 1) for leaf in leaves])


class VerifiedTiles:
    """Tiles of the tree of `size` with `root`, all of them verified when the constructor returns.

    Args:
        size: tree size.
        root: root hash of that tree, 32 bytes, which the caller trusts.
        tiles: a closed set, as the functions of this module list it, with the tiles' bytes.

    Raises:
        MalformedProofError: size or root is none.
        MalformedTileError: a tile has another width or length than at `size`, or is not tied to the
            root because a tile of the right edge or above it is missing.
        RootMismatchError: a hash is wrong.
    """

    __slots__ = ("_hashes", "root", "size")

    def __init__(self, size: int, root: bytes, tiles: Mapping[Tile, bytes]) -> None:
        check_size("tree size", size)
        check_hash(root)
        self.size = size
        self.root = root
        # Filled from the root downwards: nothing that is in it is unverified.
        self._hashes: dict[tuple[int, int], bytes] = {}
        given = dict(tiles)
        self._check_shapes(given)
        self._verify_right_edge(given)
        for tile in sorted(given, reverse=True):
            if tile.is_full:
                self._verify_full(tile, given[tile])

    def read_subtree(self, start: int, end: int) -> bytes:
        """Give the verified root of the full subtree [start, end): a geometry.ReadSubtree.

        Raises:
            MalformedProofError: [start, end) is not a full subtree.
            MalformedTileError: its tile was not given.
        """
        level, index, first, count = place_of_subtree(start, end)
        try:
            hashes = self._hashes[level, index]
        except KeyError:
            raise MalformedTileError(
                f"tile {level}/{index}, with subtree [{start}, {end}), is not among those given"
            ) from None
        return subtree_root_in_tile(hashes, first, count)

    def leaf_hash(self, index: int) -> bytes:
        """Give the verified leaf hash at `index`; raises as read_subtree does."""
        return self.read_subtree(index, index + 1)

    def _check_shapes(self, tiles: Mapping[Tile, bytes]) -> None:
        for tile, data in tiles.items():
            check_tile(tile, data)
            width = tile_width(tile.level, tile.index, self.size)
            if tile.width != width:
                raise MalformedTileError(
                    f"expected width {width} of {tile.path} at tree size {self.size}"
                )

    def _verify_right_edge(self, tiles: Mapping[Tile, bytes]) -> None:
        edge = {}
        for tile in right_edge(self.size):
            try:
                edge[tile.level, tile.index] = tiles[tile]
            except KeyError:
                raise MalformedTileError(
                    f"partial tile {tile.path}, which the root is made of, is missing"
                ) from None

        def read_edge(start: int, end: int) -> bytes:
            level, index, first, count = place_of_subtree(start, end)
            return subtree_root_in_tile(edge[level, index], first, count)

        # The subtrees that make the root use every hash of every partial tile exactly once.
        root = tree_root(self.size, read_edge)
        if root != self.root:
            raise RootMismatchError(self.root, root)
        self._hashes.update(edge)

    def _verify_full(self, tile: Tile, data: bytes) -> None:
        parent, position = divmod(tile.index, TILE_WIDTH)
        try:
            above = self._hashes[tile.level + 1, parent]
        except KeyError:
            raise MalformedTileError(
                f"tile {tile.path} is not tied to the root: the tile above it is missing"
            ) from None
        expected = above[position * HASH_SIZE : (position + 1) * HASH_SIZE]
        actual = tile_root(data)
        if actual != expected:
            raise RootMismatchError(expected, actual)
        self._hashes[tile.level, tile.index] = data


def _check_leaves(start: int, end: int, size: int) -> None:
    check_size("leaf index", start)
    check_size("leaf index", end)
    check_size("tree size", size)
    if not start <= end <= size:
        raise MalformedProofError(
            f"expected leaves within the tree, got [{start}, {end}) and tree size {size}"
        )


def _closed(size: int, ranges: Iterable[tuple[int, int]]) -> tuple[Tile, ...]:
    """List the tiles of the ranges' full subtrees, those above them, and the right edge."""
    tiles = set(right_edge(size))
    for low, high in ranges:
        for subtree in aligned_subtrees(low, high):
            tile = tile_of_subtree(*subtree, size)
            while tile not in tiles:
                tiles.add(tile)
                # A tile that is not on the right edge is full, so one hash above stands for it.
                tile = _tile_above(tile, size)
    return tuple(sorted(tiles))


def _tile_above(tile: Tile, size: int) -> Tile:
    level, index = tile.level + 1, tile.index // TILE_WIDTH
    return Tile(level, index, tile_width(level, index, size))
