"""Rebuilding a whole tree from its leaf hashes in memory that does not grow with the log: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tlog_proofs import (
    HASH_SIZE,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    subtree_root_in_tile,
    tile_root,
    tree_root,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FULL_TILE_BYTES = TILE_WIDTH * HASH_SIZE


class TreeRebuild:
    """Takes leaf hashes in order and gives every tile of the tree, and its root.

    Holds the right edge alone: at most 255 hashes a level.
    """

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self._size = 0
        # Level L: the hashes of its last tile, which is never full between two calls.
        self._edge: list[bytearray] = [bytearray()]

    @classmethod
    def restore(cls, size: int, edge: Sequence[bytes]) -> Self:
        """Return a tree of full tiles of level 0 as it was, from its right_edge's bytes by level.

        Args:
            size: number of leaves, a multiple of 256.
            edge: for each level from 1 up to the root's, the hashes of its last tile.

        Raises:
            ValueError: size and edge do not go together.
        """
        tree = cls()
        tree._size = size
        tree._edge += map(bytearray, edge)
        widths = [(size >> (TILE_HEIGHT * level)) % TILE_WIDTH for level in range(len(tree._edge))]
        if (
            [len(hashes) for hashes in tree._edge] != [HASH_SIZE * width for width in widths]
            or size >> (TILE_HEIGHT * len(widths))
            or (edge and not size >> (TILE_HEIGHT * len(edge)))
        ):
            raise ValueError("expected the right edge of a tree of that size")
        return tree

    @property
    def size(self) -> int:
        """How many leaves were added."""
        return self._size

    def edge(self) -> tuple[bytes, ...]:
        """Return for each level from 1 on the hashes of its last tile, as restore() takes them."""
        return tuple(bytes(hashes) for hashes in self._edge[1:])

    def add(self, leaf_hashes: Sequence[bytes]) -> tuple[tuple[Tile, bytes], ...]:
        """Add leaves; return the tiles of all levels that became full, lower levels first.

        Args:
            leaf_hashes: at most as many as the last tile of level 0 has room for, so that a caller
                who adds bundle by bundle gets each tile as its last leaf comes.

        Raises:
            ValueError: more than there is room for.
        """
        if len(leaf_hashes) > TILE_WIDTH - self._size % TILE_WIDTH:
            raise ValueError("expected leaves of one tile")
        self._edge[0] += b"".join(leaf_hashes)
        self._size += len(leaf_hashes)
        return tuple(self._take_full_tiles())

    def root(self) -> bytes:
        """Return the root hash of the tree of all leaves added."""
        return tree_root(self._size, self._read_subtree)

    def root_with(self, leaf_hashes: Sequence[bytes]) -> bytes:
        """Return the root that the tree would have with these leaves added, and add none.

        Raises:
            ValueError: more leaves than the last tile of level 0 has room for.
        """
        future = TreeRebuild()
        future._size = self._size
        future._edge = [bytearray(hashes) for hashes in self._edge]
        future.add(leaf_hashes)
        return future.root()

    def right_edge(self) -> tuple[tuple[Tile, bytes], ...]:
        """Return the partial tiles of the tree as it is, lower levels first."""
        return tuple(
            (
                Tile(
                    level,
                    self._size >> (TILE_HEIGHT * (level + 1)),
                    len(hashes) // HASH_SIZE,
                ),
                bytes(hashes),
            )
            for level, hashes in enumerate(self._edge)
            if hashes
        )

    def _take_full_tiles(self) -> Iterator[tuple[Tile, bytes]]:
        level = 0
        while len(self._edge[level]) == _FULL_TILE_BYTES:
            data = bytes(self._edge[level])
            self._edge[level].clear()
            if level + 1 == len(self._edge):
                self._edge.append(bytearray())
            self._edge[level + 1] += tile_root(data)
            yield Tile(level, (self._size >> (TILE_HEIGHT * (level + 1))) - 1), data
            level += 1

    def _read_subtree(self, start: int, end: int) -> bytes:
        # tree_root asks for the subtrees of the right edge only, each within one partial tile.
        level, height = divmod((end - start).bit_length() - 1, TILE_HEIGHT)
        first = (start >> (TILE_HEIGHT * level)) % TILE_WIDTH
        return subtree_root_in_tile(bytes(self._edge[level]), first, 1 << height)
