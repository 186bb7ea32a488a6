"""Inclusion paths from whole tiles are those that tlog_proofs makes."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest

from tlog.inclusion_path import inclusion_path, tails_of
from tlog.reader import LogReader
from tlog.store.base import Batch
from tlog.store.commit_record import CommitRecord
from tlog.store.memory import MemoryDisk, MemoryStore
from tlog.tile_cache import TileCache, TileNodes
from tlog.tree import EMPTY_EDGE, RightEdge
from tlog_proofs import leaf_hash, prove_inclusion, subtree_root_in_tile, verify_inclusion

HASHES = [sha256(b"%d" % number).digest() for number in range(256 * 256 * 2 + 700)]


class Tiles:
    """The tiles of a tree over HASHES, whole from the start: what the paths are read from."""

    def __init__(self, size: int) -> None:
        edge, full = EMPTY_EDGE.extend(HASHES[:size])
        self._tiles = {(tile.level, tile.index): TileNodes(tile.data) for tile in full}
        for level, tile in enumerate(edge.tiles):
            self._tiles[level, size >> 8 * (level + 1)] = TileNodes(tile)

    def read(self, level: int, index: int, width: int) -> TileNodes:
        """The nodes of a tile that has at least width hashes."""
        nodes = self._tiles[level, index]
        assert len(nodes.tile) >= 32 * width
        return nodes

    def subtree(self, start: int, end: int) -> bytes:
        """The root of a full aligned subtree, folded from one tile's hashes."""
        level, height = divmod((end - start).bit_length() - 1, 8)
        index, offset = divmod(start >> 8 * level, 256)
        return subtree_root_in_tile(self._tiles[level, index].tile, offset, 1 << height)


def _check(tiles: Tiles, index: int, size: int) -> None:
    path = inclusion_path(index, size, tiles.read, tails_of(size, tiles.read))
    assert path == prove_inclusion(index, size, tiles.subtree), (index, size)


def test_every_path_of_small_trees() -> None:
    """All positions of all sizes up to 40, read from a larger tree."""
    tiles = Tiles(700)
    for size in range(1, 41):
        for index in range(size):
            _check(tiles, index, size)


@pytest.mark.parametrize(
    "size", [255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 131072, 131500]
)
def test_paths_at_the_edges_of_tiles(size: int) -> None:
    """Sizes about full tiles of every level; positions at both ends and some drawn by seed."""
    tiles = Tiles(len(HASHES))
    draw = random.Random(size)
    positions = {0, 1, 254, 255, 256, size // 2, size - 2, size - 1}
    for index in [*positions, *(draw.randrange(size) for _ in range(40))]:
        if index < size:
            _check(tiles, index, size)


def test_the_reader_answers_from_memory_what_it_answers_from_the_store() -> None:
    """A log's proofs and tiles, cold, warm, and while the right edge moves on."""
    store, edge = MemoryStore(MemoryDisk()), EMPTY_EDGE
    reader = LogReader("a", store, lambda: edge, TileCache(64 * 1024 * 1024))
    for count in (1, 200, 54, 1, 1, 300, 700):
        entries = [b"%d" % number for number in range(edge.size, edge.size + count)]
        edge = _append(store, edge, entries)
        for index in (0, edge.size // 2, edge.size - 1):
            for _ in range(2):  # the second time it may be in memory
                hashed, proof = reader.inclusion(index, edge.size, edge.size)
                assert hashed == leaf_hash(b"%d" % index)
                verify_inclusion(index, edge.size, hashed, proof, edge.root)
            assert reader.holds(index, edge.size)
    cold = LogReader("a", store, lambda: edge, TileCache(64 * 1024 * 1024))
    assert not cold.holds(0, edge.size)
    assert not cold.holds(edge.size - 1, edge.size)
    cold.inclusion(edge.size - 1, edge.size, edge.size)
    assert cold.holds(edge.size - 1, edge.size)


class CountedStore(MemoryStore):
    """A store that counts the tiles that are read."""

    reads = 0

    def read_tile(self, level: int, index: int) -> bytes | None:
        self.reads += 1
        return super().read_tile(level, index)


def test_what_the_reader_says_it_holds_it_makes_without_the_store() -> None:
    """Of entries and sizes drawn by seed, older sizes too: the event loop makes such proofs."""
    store, edge = CountedStore(MemoryDisk()), EMPTY_EDGE
    edge = _append(store, edge, [b"%d" % number for number in range(70_000)])
    reader = LogReader("a", store, lambda: edge, TileCache(64 * 1024 * 1024))
    draw, held = random.Random(5), 0
    for _ in range(2000):
        size = draw.choice((edge.size, draw.randrange(1, edge.size), 65_537))
        index = draw.randrange(size)
        holds, before = reader.holds(index, size), store.reads
        reader.inclusion(index, size, edge.size)
        assert not (holds and store.reads > before), (index, size)
        held += holds
    assert held > 500


def _append(store: MemoryStore, edge: RightEdge, entries: list[bytes]) -> RightEdge:
    hashes = [leaf_hash(entry) for entry in entries]
    extended, tiles = edge.extend(hashes)
    record = CommitRecord(edge.size, extended.size, extended.root, 1)
    store.commit(Batch(record=record, leaves=entries, leaf_hashes=hashes, tiles=tiles))
    return extended
