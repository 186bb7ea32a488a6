"""Full tiles with their inner nodes worked out, shared by all logs, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from tlog_proofs import HASH_SIZE, TILE_HEIGHT, node_hash

TileKey = tuple[str, int, int]  # log name, level, tile index


class TileNodes:
    """All roots of full aligned subtrees inside one full tile: 510 hashes in flat bytes."""

    __slots__ = ("_heights",)

    def __init__(self, tile: bytes) -> None:
        """Work out the nodes of 8,192 bytes. Cost: 254 hashes."""
        heights = [tile]
        for _ in range(TILE_HEIGHT - 1):
            below = heights[-1]
            heights.append(
                b"".join(
                    node_hash(
                        below[at : at + HASH_SIZE], below[at + HASH_SIZE : at + 2 * HASH_SIZE]
                    )
                    for at in range(0, len(below), 2 * HASH_SIZE)
                )
            )
        self._heights = tuple(heights)

    @property
    def tile(self) -> bytes:
        """The 256 hashes that the tile is served as."""
        return self._heights[0]

    def node(self, height: int, index: int) -> bytes:
        """Root of the index-th subtree of 2**height of the tile's hashes, height 0 to 7."""
        return self._heights[height][index * HASH_SIZE : (index + 1) * HASH_SIZE]


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
