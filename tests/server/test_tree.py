"""The right edge: roots and tiles against the recursion, and no change by a failed extension."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from tlog.tree import EMPTY_EDGE
from tlog_proofs import tile_width


def hashes(count: int) -> list[bytes]:
    """Leaf hashes of entries that tell their index."""
    return [reference.leaf(b"%d" % index) for index in range(count)]


def test_every_root_to_size_600_is_that_of_the_recursion() -> None:
    """One entry at a time."""
    edge = EMPTY_EDGE
    leaves = hashes(600)
    assert edge.root == reference.root(())
    for size in range(1, 601):
        edge, _ = edge.extend([leaves[size - 1]])
        assert edge.size == size
        assert edge.root == reference.root(tuple(leaves[:size]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_batches_of_any_size_make_the_same_tree_and_each_full_tile_once(counts: list[int]) -> None:
    """Root, partial tiles and full tiles do not depend on how the entries were batched."""
    leaves = hashes(sum(counts))
    edge = EMPTY_EDGE
    tiles = {}
    start = 0
    for count in counts:
        edge, full = edge.extend(leaves[start : start + count])
        start += count
        for tile in full:
            assert (tile.level, tile.index) not in tiles
            tiles[tile.level, tile.index] = tile.data
    assert edge.root == reference.root(tuple(leaves))
    assert len(tiles) == start // 256
    for (level, index), data in tiles.items():
        assert level == 0
        assert data == b"".join(leaves[index * 256 : (index + 1) * 256])
    if start:
        index = start // 256
        width = tile_width(0, index, start)
        assert edge.partial_tile(0, index) == b"".join(leaves[index * 256 :])
        assert len(edge.partial_tile(0, index) or b"") == 32 * width


def test_a_tile_of_the_second_level_holds_the_roots_of_the_first() -> None:
    """65,536 entries fill a level-1 tile, whose last log index is the last entry's."""
    leaves = hashes(65_536)
    edge, full = EMPTY_EDGE.extend(leaves)
    *lower, upper = full
    assert (upper.level, upper.index, upper.last_index) == (1, 0, 65_535)
    assert [tile.index for tile in lower] == list(range(256))
    assert upper.data == b"".join(
        reference.root(tuple(leaves[start : start + 256])) for start in range(0, 65_536, 256)
    )
    assert edge.root == reference.root(tuple(leaves))
    assert [len(tile) for tile in edge.tiles] == [0, 0, 32]


@pytest.mark.parametrize("count", [70, 71, 72, 73, 328, 500])
def test_a_batch_over_the_end_of_a_tile_of_the_second_level(count: int) -> None:
    """From 131,000 entries on: every tile that the batch fills stands at its place, none twice."""
    leaves = hashes(131_000 + count)
    size = len(leaves)
    before, _ = EMPTY_EDGE.extend(leaves[:131_000])
    edge, full = before.extend(leaves[131_000:])
    lower = [tile for tile in full if tile.level == 0]
    assert [tile.index for tile in lower] == list(range(131_000 // 256, size // 256))
    for tile in lower:
        assert tile.data == b"".join(leaves[tile.index * 256 : (tile.index + 1) * 256])
    roots = [
        reference.root(tuple(leaves[start : start + 256]))
        for start in range(65_536, size - 255, 256)
    ]
    upper = [(tile.index, tile.data) for tile in full if tile.level == 1]
    assert upper == ([(1, b"".join(roots[:256]))] if size >= 131_072 else [])
    assert len(full) == len(lower) + len(upper)
    assert edge.partial_tile(0, size // 256) == b"".join(leaves[size // 256 * 256 :])
    assert edge.partial_tile(1, size // 65_536) == b"".join(
        roots[256:] if size >= 131_072 else roots
    )
    assert edge.root == reference.root(tuple(leaves))


def test_extending_leaves_the_old_edge_as_it_was() -> None:
    """A commit that fails has changed nothing: the same extension comes out again."""
    leaves = hashes(300)
    edge, _ = EMPTY_EDGE.extend(leaves[:250])
    before = (edge.size, edge.root, edge.peaks, edge.tiles)
    first = edge.extend(leaves[250:])
    assert (edge.size, edge.root, edge.peaks, edge.tiles) == before
    assert edge.extend(leaves[250:]) == first


@pytest.mark.parametrize(("level", "index"), [(0, 0), (0, 2), (1, 1), (2, 0)])
def test_only_the_tile_at_the_edge_is_partial(level: int, index: int) -> None:
    """Tiles left and right of the edge, and levels that do not exist, are not there."""
    edge, _ = EMPTY_EDGE.extend(hashes(300))
    assert edge.partial_tile(level, index) is None
