"""Full tiles with their inner nodes, shared by all logs, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from tlog.tree import parents
from tlog_proofs import HASH_SIZE, TILE_HEIGHT

TileKey = tuple[str, int, int]  # log name, level, tile index


class TileNodes:
    """All roots of full aligned subtrees inside one tile, in flat bytes; at most 510 hashes.

    Worked out when the first one is asked for: a tile may be wanted for its own bytes alone.
    """

    __slots__ = ("_heights", "tile")

    def __init__(self, tile: bytes) -> None:
        """The nodes over the 32 * width bytes of a tile, full or partial."""
        self.tile = tile
        self._heights: tuple[bytes, ...] | None = None

    def node(self, height: int, index: int) -> bytes:
        """Root of the index-th subtree of 2**height of the tile's hashes, height 0 to 7."""
        # Two threads may work it out at once: they come to the same.
        heights = self._heights or self._work_out()
        return heights[height][index * HASH_SIZE : (index + 1) * HASH_SIZE]

    def _work_out(self) -> tuple[bytes, ...]:
        """At most 254 hashes."""
        heights = [self.tile]
        for _ in range(TILE_HEIGHT - 1):
            heights.append(parents(heights[-1]))
        self._heights = tuple(heights)
        return self._heights


NODES_BYTES = 2 * 256 * HASH_SIZE + 1024  # of one TileNodes, overhead included


class TileCache:
    """The most recently used tiles; safe from any thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_tiles = max(1, max_bytes // NODES_BYTES)
        self._lock = Lock()
        self._tiles: OrderedDict[TileKey, TileNodes] = OrderedDict()

    def find(self, key: TileKey) -> TileNodes | None:
        """The tile, if it is here."""
        with self._lock:
            nodes = self._tiles.get(key)
            if nodes is not None:
                self._tiles.move_to_end(key)
            return nodes

    def keep(self, key: TileKey, nodes: TileNodes) -> None:
        """Remember a tile, forgetting the least recently used ones."""
        with self._lock:
            self._tiles[key] = nodes
            self._tiles.move_to_end(key)
            while len(self._tiles) > self._max_tiles:
                self._tiles.popitem(last=False)
