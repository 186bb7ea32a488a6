"""Tiles: their paths and geometry against the definitions of tlog-tiles."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reference, strategies
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    MAX_SIZE,
    EntryBundle,
    MalformedProofError,
    MalformedTileError,
    Tile,
    check_tile,
    format_entry_bundle,
    parse_entry_bundle,
    parse_tile_path,
    right_edge,
    subtree_root_in_tile,
    tile_of_subtree,
    tile_root,
    tile_width,
)

HASHES = tuple(reference.leaf(b"%d" % i) for i in range(256))
DATA = b"".join(HASHES)


def width_by_definition(level: int, index: int, size: int) -> int:
    """Count the i for which tlog-tiles defines Tile(level, index)[i] in a tree of `size`."""
    return sum((index * 256 + i + 1) * 256**level <= size for i in range(256))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 65535, 65536, 65537, 70000, 2**24])
def test_width_is_as_defined(size: int) -> None:
    """A tile has exactly the hashes whose subtrees are complete at the tree's size."""
    for level in range(4):
        last = size // 256 ** (level + 1)
        for index in {0, 1, last - 1, last, last + 1} - {-1}:
            assert tile_width(level, index, size) == width_by_definition(level, index, size)
    partial = [(level, size // 256**level % 256) for level in range(9)]
    assert [(tile.level, tile.width) for tile in right_edge(size)] == [
        (level, width) for level, width in partial if width
    ]


@given(strategies.sizes(0))
def test_right_edge_has_the_widths_of_the_tree(size: int) -> None:
    """Each tile of the right edge is partial, and ends where the tree does."""
    for tile in right_edge(size):
        assert not tile.is_full
        assert tile.width == tile_width(tile.level, tile.index, size)
        assert tile.end <= size < tile.end + 256**tile.level
        assert tile.start == tile.index * 256 ** (tile.level + 1)


@given(st.integers(0, 62), st.integers(0, 2**20), st.integers(0, 10**6))
def test_a_subtree_lies_in_its_tile(height: int, number: int, more: int) -> None:
    """The tile named for a full subtree spans it, and no higher level has its hashes."""
    start, end = number << height, (number + 1) << height
    size = min(end + more, MAX_SIZE)
    if end > size:
        with pytest.raises(MalformedProofError):
            tile_of_subtree(start, end, size)
        return
    tile = tile_of_subtree(start, end, size)
    assert tile.start <= start < end <= tile.end <= size
    assert 256**tile.level <= end - start < 256 ** (tile.level + 1)


@pytest.mark.parametrize(
    ("start", "end", "size"),
    [(0, 0, 5), (0, 3, 5), (1, 3, 5), (4, 8, 7), (-1, 0, 5), (0, 1, -1), (2, 1, 5)],
)
def test_what_is_no_full_subtree_has_no_tile(start: int, end: int, size: int) -> None:
    """Ranges that are empty, unaligned, not full, or beyond the tree are refused."""
    with pytest.raises(MalformedProofError):
        tile_of_subtree(start, end, size)


def test_roots_within_a_tile() -> None:
    """Every aligned power of two of hashes in a tile has the RFC's root, other choices none."""
    assert tile_root(DATA) == reference.root(HASHES)
    for count in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        for first in range(0, 256, count):
            expected = reference.root(HASHES[first : first + count])
            assert subtree_root_in_tile(DATA, first, count) == expected
    for first, count in [(0, 0), (0, 3), (1, 2), (-1, 1), (-2, 2), (0, -1), (256, 1), (0, 512)]:
        with pytest.raises(MalformedTileError):
            subtree_root_in_tile(DATA, first, count)
    for wrong in (b"", DATA[:-1], DATA + b"\x00", DATA[:32]):
        with pytest.raises(MalformedTileError):
            tile_root(wrong)
    with pytest.raises(MalformedTileError):
        subtree_root_in_tile(DATA[: 7 * 32], 4, 4)


@pytest.mark.parametrize("data", [b"", bytes(63), bytes(65), bytes(96), "x" * 64, None])
def test_tile_data_has_its_length(data: bytes) -> None:
    """Data that is not 32 bytes a hash, or no bytes, is not a tile's."""
    check_tile(Tile(0, 0, 2), bytes(64))
    with pytest.raises(MalformedTileError):
        check_tile(Tile(0, 0, 2), data)


@given(st.integers(0, 63), st.integers(0, MAX_SIZE), st.integers(1, 256))
def test_paths_read_back(level: int, index: int, width: int) -> None:
    """Every tile and bundle has a path of the documented form, which reads back as itself."""
    pattern = r"tile/(\d+|entries)/(x\d{3}/)*\d{3}(\.p/\d+)?"
    for tile in (Tile(level, index, width), EntryBundle(index, width)):
        assert re.fullmatch(pattern, tile.path)
        assert parse_tile_path(tile.path) == tile
        assert int(re.sub(r"\D", "", tile.path.split("/", 2)[2].partition(".p/")[0])) == index


def test_bundle_spans_its_entries() -> None:
    """A bundle's start and end are the indexes of its entries."""
    bundle = EntryBundle(3, 7)
    assert (bundle.start, bundle.end) == (768, 775)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tile(-1, 0),
        lambda: Tile(64, 0),
        lambda: Tile(0, -1),
        lambda: Tile(0, MAX_SIZE + 1),
        lambda: Tile(0, 10**5000),
        lambda: Tile(0, 0, 0),
        lambda: Tile(0, 0, 257),
        lambda: EntryBundle(-1),
        lambda: EntryBundle(0, 0),
        lambda: EntryBundle(0, 257),
    ],
)
def test_tiles_out_of_range_cannot_be_made(make: Callable[[], object]) -> None:
    """Levels above 63, indexes from 2^63 on, and widths but 1 to 256 are refused."""
    with pytest.raises(MalformedTileError):
        make()


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=256))
def test_entry_bundles_read_back(entries: list[bytes]) -> None:
    """Entries in a bundle come out as they went in, and in no other number."""
    data = format_entry_bundle(entries)
    assert parse_entry_bundle(data, len(entries)) == tuple(entries)
    for width in {len(entries) - 1, len(entries) + 1, 0, 257}:
        with pytest.raises(MalformedTileError):
            parse_entry_bundle(data, width)
    with pytest.raises(MalformedTileError):
        parse_entry_bundle(data[:-1], len(entries))
    with pytest.raises(MalformedTileError):
        parse_entry_bundle(data + b"\x00", len(entries))


def test_entry_bundle_bounds() -> None:
    """A bundle has 1 to 256 entries of at most 65,535 bytes."""
    longest = bytes(MAX_ENTRY_BYTES)
    assert parse_entry_bundle(format_entry_bundle([longest]), 1) == (longest,)
    wrong: list[list[bytes]] = [[], [b""] * 257, [longest + b"\x00"]]
    for entries in wrong:
        with pytest.raises(MalformedTileError):
            format_entry_bundle(entries)
