"""The right edge of a log's tree: what is needed to append, and nothing else.

Owned by one task; `extend` makes a new edge and leaves the old one as it was, so that a commit
that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from tlog.errors import StoreError
from tlog.store.base import FullTile, Store
from tlog_proofs import (
    EMPTY_ROOT,
    HASH_SIZE,
    TILE_HEIGHT,
    TILE_WIDTH,
    leaf_hash,
    node_hash,
    tile_root,
    tile_width,
)

_NODE_PREFIX = b"\x01"
_PAIR_BYTES = 2 * HASH_SIZE
_TILE_BYTES = TILE_WIDTH * HASH_SIZE


@dataclass(frozen=True, slots=True)
class RightEdge:
    """The state of a tree of `size` entries that an append needs.

    peaks: roots of the full subtrees of the size's binary form, largest first (32 bytes each).
    tiles: for each level the hashes of its partial tile, concatenated (32 bytes each).
    """

    size: int
    peaks: tuple[bytes, ...]
    tiles: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """The RFC 6962 root hash (32 bytes). Cost: at most 62 hashes."""
        if not self.peaks:
            return EMPTY_ROOT
        *others, root = self.peaks
        for peak in reversed(others):
            root = node_hash(peak, root)
        return root

    def partial_tile(self, level: int, index: int) -> bytes | None:
        """The hashes that partial tile (level, index) holds so far, None if not at the edge."""
        if level < len(self.tiles) and index == self.size >> (TILE_HEIGHT * (level + 1)):
            return self.tiles[level]
        return None

    def extend(self, leaf_hashes: Sequence[bytes]) -> tuple[RightEdge, tuple[FullTile, ...]]:
        """The edge after appending leaves, and the tiles that became full on the way.

        Cost: one hash a leaf, amortised, and a copy of at most 255 hashes a level.
        """
        peaks = list(self.peaks)
        new_peaks: list[bytes] = []  # lowest first
        tiles = list(self.tiles)
        full: list[FullTile] = []
        height = 0
        nodes = b"".join(leaf_hashes)  # the roots of this height that become known, left to right
        while nodes:
            if height % TILE_HEIGHT == 0:
                _put(tiles, full, height // TILE_HEIGHT, nodes, self.size >> height)
            if self.size >> height & 1:
                nodes = peaks.pop() + nodes
            if len(nodes) % _PAIR_BYTES:
                new_peaks.append(nodes[-HASH_SIZE:])
            nodes = parents(nodes)
            height += 1
        size = self.size + len(leaf_hashes)
        return RightEdge(size, (*peaks, *reversed(new_peaks)), tuple(tiles)), tuple(full)


def parents(nodes: bytes) -> bytes:
    """The parents of nodes (32 bytes each, the first a left one); the last may have none yet.

    Source: RFC 6962 section 2.1.
    """
    whole = len(nodes) // _PAIR_BYTES * _PAIR_BYTES
    # As node_hash, without a call for each: half of an extension's time went into those.
    return b"".join(
        [
            sha256(_NODE_PREFIX + nodes[at : at + _PAIR_BYTES]).digest()
            for at in range(0, whole, _PAIR_BYTES)
        ]
    )


def _put(tiles: list[bytes], full: list[FullTile], level: int, nodes: bytes, first: int) -> None:
    """Add nodes (32 bytes each) to the level's partial tile, the first at position `first`."""
    if level == len(tiles):
        tiles.append(b"")
    tile = tiles[level] + nodes
    whole = len(tile) // _TILE_BYTES * _TILE_BYTES
    for index, at in enumerate(range(0, whole, _TILE_BYTES), first >> TILE_HEIGHT):
        full.append(FullTile(level, index, tile[at : at + _TILE_BYTES]))
    tiles[level] = tile[whole:]


EMPTY_EDGE = RightEdge(0, (), ())


def load_right_edge(store: Store, size: int) -> RightEdge:
    """The edge of the tree of the store's first `size` entries, computed from stored rows.

    Reads fewer than 256 rows a level. Every full tile read is hashed, so the root that comes
    out is that of the stored tiles and entries; the caller compares it.

    Raises:
        StoreError: an entry or a tile is missing.
    """
    tiles: list[bytes] = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        index = size >> (TILE_HEIGHT * (level + 1))
        width = tile_width(level, index, size)
        start = index * TILE_WIDTH
        if level == 0:
            hashes = [leaf_hash(leaf) for leaf in store.read_leaves(start, start + width)]
        else:
            hashes = [
                tile_root(_full_tile(store, level - 1, start + offset)) for offset in range(width)
            ]
        tiles.append(b"".join(hashes))
        level += 1
    return RightEdge(size, _peaks(tiles), tuple(tiles))


def _full_tile(store: Store, level: int, index: int) -> bytes:
    tile = store.read_tile(level, index)
    if tile is None:
        message = f"tile {level}/{index} is missing"
        raise StoreError(message)
    return tile


def _peaks(tiles: Sequence[bytes]) -> tuple[bytes, ...]:
    """The full subtrees of the edge, largest first: each level's hashes, merged by pairs."""
    peaks: list[bytes] = []
    for tile in reversed(tiles):
        own: list[bytes] = []
        for count in range(len(tile) // HASH_SIZE):
            node = tile[count * HASH_SIZE : (count + 1) * HASH_SIZE]
            height = 0
            while count >> height & 1:
                node = node_hash(own.pop(), node)
                height += 1
            own.append(node)
        peaks += own
    return tuple(peaks)
