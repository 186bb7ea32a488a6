"""Reading one log's tree up to a size: tiles, bundles, entries, proofs. All calls block.

The caller says up to which size; nothing beyond it is looked at. Full tiles come from the store,
the right edge from memory, so a partial tile of any published size is a slice of what is there.
"""

from __future__ import annotations

from collections.abc import Callable

from tlog.errors import (
    NotFoundError,
    NotPublishedError,
    OutOfRangeError,
    StoreError,
    UnreadableError,
)
from tlog.inclusion_path import inclusion_path, tails_of
from tlog.store.base import Store
from tlog.tile_cache import TileCache, TileNodes
from tlog.tree import RightEdge
from tlog_proofs import (
    HASH_SIZE,
    TILE_HEIGHT,
    TILE_WIDTH,
    EntryBundle,
    Tile,
    format_entry_bundle,
    prove_consistency,
    tile_width,
)

REMEMBERED_SIZES = 64  # most proofs are asked for at the newest published ones


class LogReader:
    """What is behind the answers by index and size; safe from any thread."""

    def __init__(
        self, name: str, store: Store, edge: Callable[[], RightEdge], cache: TileCache
    ) -> None:
        """Read `store`; edge() gives the committed right edge, never behind the published size."""
        self._name = name
        self._store = store
        self._edge = edge
        self._cache = cache
        self._partials: dict[int, TileNodes] = {}  # the right edge's tiles, by level
        self._tails_of: dict[int, tuple[bytes | None, ...]] = {}

    def tile(self, tile: Tile, published: int) -> bytes:
        """The 32 * width bytes of a tile of a tree of at most `published` entries.

        Raises:
            NotPublishedError: the tile has fewer hashes at that size.
        """
        if tile.width > tile_width(tile.level, tile.index, published):
            message = f"{tile.path} is not in the tree of size {published}"
            raise NotPublishedError(message)
        return self._hashes(tile.level, tile.index, tile.width)

    def bundle(self, bundle: EntryBundle, published: int) -> bytes:
        """The bytes of an entry bundle; NotPublishedError when it reaches beyond `published`."""
        if bundle.end > published:
            message = f"{bundle.path} is not in the tree of size {published}"
            raise NotPublishedError(message)
        return format_entry_bundle(self._store.read_leaves(bundle.start, bundle.end))

    def entry(self, index: int, published: int) -> bytes:
        """The entry's bytes; NotPublishedError when index >= published."""
        if index >= published:
            message = f"entry {index} is not in the tree of size {published}"
            raise NotPublishedError(message)
        return self._store.read_leaf(index)

    def leaf_hash(self, index: int) -> bytes:
        """The leaf hash (32 bytes) of a published entry, as the tree holds it."""
        tile, offset = divmod(index, TILE_WIDTH)
        return self._hashes(0, tile, offset + 1)[offset * HASH_SIZE :]

    def inclusion(self, index: int, size: int, published: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The leaf hash at index and its inclusion proof in the tree of size.

        Raises:
            OutOfRangeError: index >= size.
            NotPublishedError: size > published.
        """
        if index >= size:
            message = f"expected index < size, got {index} and {size}"
            raise OutOfRangeError(message)
        _check_published(size, published)
        return self.leaf_hash(index), inclusion_path(index, size, self._nodes, self._tails(size))

    def holds(self, index: int, size: int) -> bool:
        """Whether the proof of that entry at that size can be made without reading the store."""
        return size in self._tails_of and all(
            self._cached(level, index >> TILE_HEIGHT * (level + 1)) is not None
            for level in range(-(-(size - 1).bit_length() // TILE_HEIGHT))
        )

    def holds_tile(self, tile: Tile) -> bool:
        """Whether the bytes of a tile are here without reading the store."""
        return self._cached(tile.level, tile.index) is not None

    def consistency(self, old: int, new: int, published: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes.

        Raises:
            OutOfRangeError: old is 0 or above new.
            NotPublishedError: new > published.
        """
        if not 0 < old <= new:
            message = f"expected 0 < old <= new, got {old} and {new}"
            raise OutOfRangeError(message)
        _check_published(new, published)
        return prove_consistency(old, new, self.subtree_root)

    def find(self, leaf_hash: bytes, published: int) -> int:
        """An index at which the leaf hash stands.

        Raises:
            NotFoundError: there is none.
            UnreadableError: none was found, and not all entries are in the index.
        """
        before = self._store.indexed_size()
        index = self._store.find_leaf(leaf_hash, published)
        # Asked before and after: the index may be brought up to date meanwhile, or begun anew.
        indexed = min(before, self._store.indexed_size())
        if index is None and indexed < published:
            message = f"only {indexed} of {published} entries are in the index of leaf hashes now"
            raise UnreadableError(message)
        if index is None:
            message = f"no entry with that leaf hash below size {published}"
            raise NotFoundError(message)
        return index

    def subtree_root(self, start: int, end: int) -> bytes:
        """The root (32 bytes) of a committed full aligned subtree [start, end)."""
        level, height = divmod((end - start).bit_length() - 1, TILE_HEIGHT)
        first = start >> (TILE_HEIGHT * level)
        index, offset = divmod(first, TILE_WIDTH)
        return self._nodes(level, index, offset + (1 << height)).node(height, offset >> height)

    def _hashes(self, level: int, index: int, width: int) -> bytes:
        return self._nodes(level, index, width).tile[: width * HASH_SIZE]

    def _nodes(self, level: int, index: int, width: int) -> TileNodes:
        """The nodes of a committed tile of at least `width` hashes."""
        nodes = self._cached(level, index) or self._full_tile(level, index)
        if nodes is not None and len(nodes.tile) < width * HASH_SIZE:
            # The edge may have moved on since the cache was asked: then the tile is full by now.
            nodes = self._full_tile(level, index)
        if nodes is None:
            message = f"tile {level}/{index} of width {width} is missing"
            raise StoreError(message)
        return nodes

    def _cached(self, level: int, index: int) -> TileNodes | None:
        """A tile that is in memory: a full one in the cache, or the one at the right edge."""
        partial = self._edge().partial_tile(level, index)
        if partial is None:
            return self._cache.find((self._name, level, index))
        nodes = self._partials.get(level)
        if nodes is None or nodes.tile != partial:
            nodes = self._partials[level] = TileNodes(partial)
        return nodes

    def _full_tile(self, level: int, index: int) -> TileNodes | None:
        tile = self._store.read_tile(level, index)
        if tile is None:
            return None
        nodes = TileNodes(tile)
        self._cache.keep((self._name, level, index), nodes)
        return nodes

    def _tails(self, size: int) -> tuple[bytes | None, ...]:
        """See tails, remembered for the sizes that were asked for last."""
        tails = self._tails_of.get(size)
        if tails is None:
            if len(self._tails_of) >= REMEMBERED_SIZES:
                self._tails_of.clear()
            tails = self._tails_of[size] = tails_of(size, self._nodes)
        return tails


def _check_published(size: int, published: int) -> None:
    if size > published:
        message = f"size {size} is beyond the published size {published}"
        raise NotPublishedError(message)
