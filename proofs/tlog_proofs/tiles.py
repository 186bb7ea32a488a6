"""Tiles: how a tree is cut into files of 256 hashes; the paths of these and of entry bundles.

Tile (level, index) holds the roots of the full subtrees of 256**level leaves, from number
index * 256 on. A *partial* tile, on the right edge, holds fewer than 256. An entry bundle holds the
entries themselves, 256 in each.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from tlog_proofs.errors import MalformedError, MalformedProofError, MalformedTileError
from tlog_proofs.geometry import MAX_SIZE, check_full_subtree, check_size
from tlog_proofs.hashing import HASH_SIZE
from tlog_proofs.strict import parse_decimal, show

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_LEVEL = 63
"""Highest level that a path may name; trees of at most 2^63-1 leaves have levels 0 to 7."""

_MAX_PATH_CHARACTERS = 64


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile of hashes: level 0 to 63, index, and width, the number of its hashes (1 to 256).

    Raises:
        MalformedTileError: a number is out of its range.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not 0 <= self.level <= MAX_LEVEL:
            raise MalformedTileError(
                f"expected a tile level between 0 and {MAX_LEVEL}, got {show(self.level)}"
            )
        _check_index_and_width(self.index, self.width)

    @property
    def path(self) -> str:
        """Path below the log's prefix, such as `tile/0/x001/067.p/8`."""
        return f"tile/{self.level}/{_format_place(self.index, self.width)}"

    @property
    def start(self) -> int:
        """Index of the first leaf under the tile."""
        return self.index << (TILE_HEIGHT * (self.level + 1))

    @property
    def end(self) -> int:
        """Index after the last leaf under the tile's hashes."""
        return self.start + (self.width << (TILE_HEIGHT * self.level))

    @property
    def is_full(self) -> bool:
        """Whether the tile has all its 256 hashes, and so will never change."""
        return self.width == TILE_WIDTH


@dataclass(frozen=True, slots=True, order=True)
class EntryBundle:
    """A bundle of entries: index, and width, the number of its entries (1 to 256).

    Raises:
        MalformedTileError: a number is out of its range.
    """

    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        _check_index_and_width(self.index, self.width)

    @property
    def path(self) -> str:
        """Path below the log's prefix, such as `tile/entries/x001/067.p/8`."""
        return f"tile/entries/{_format_place(self.index, self.width)}"

    @property
    def start(self) -> int:
        """Index of the first entry."""
        return self.index * TILE_WIDTH

    @property
    def end(self) -> int:
        """Index after the last entry."""
        return self.start + self.width


def parse_tile_path(path: str) -> Tile | EntryBundle:
    """Read a whole path below the log's prefix, `tile/...`, in its one spelling.

    Raises:
        MalformedTileError: it names no tile and no bundle, or spells one otherwise than .path does.
    """
    if len(path) > _MAX_PATH_CHARACTERS:
        raise MalformedTileError(f"expected a tile path, got {len(path)} characters")
    try:
        tile = _read_tile_path(path)
    except MalformedError as error:
        raise MalformedTileError(f"expected a tile path, got {show(path)}: {error}") from error
    if tile.path != path:
        raise MalformedTileError(f"expected tile path {tile.path}, got {show(path)}")
    return tile


def tile_width(level: int, index: int, size: int) -> int:
    """Count the hashes, 0 to 256, that tile (level, index) has in a tree of `size`.

    At level 0 this is also the number of entries of the bundle `index`. Width 0: no such tile.
    """
    return min(max((size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH, 0), TILE_WIDTH)


def right_edge(size: int) -> tuple[Tile, ...]:
    """List the partial tiles of a tree of `size`, level ascending; levels without one are absent.

    Raises:
        MalformedProofError: size is negative or above 2^63-1.
    """
    check_size("tree size", size)
    tiles = []
    level, hashes = 0, size
    while hashes:
        if hashes % TILE_WIDTH:
            tiles.append(Tile(level, hashes // TILE_WIDTH, hashes % TILE_WIDTH))
        level, hashes = level + 1, hashes // TILE_WIDTH
    return tuple(tiles)


def tile_of_subtree(start: int, end: int, size: int) -> Tile:
    """Find the tile, as wide as it is at `size`, whose hashes make the full subtree [start, end).

    Raises:
        MalformedProofError: [start, end) is not a full subtree, or ends beyond `size`.
    """
    level, index, _, _ = place_of_subtree(start, end)
    check_size("tree size", size)
    if end > size:
        raise MalformedProofError(
            f"expected a subtree within the tree, got [{start}, {end}) and tree size {size}"
        )
    return Tile(level, index, tile_width(level, index, size))


def place_of_subtree(start: int, end: int) -> tuple[int, int, int, int]:
    """Find where the hashes of the full subtree [start, end) lie.

    Returns:
        level and index of the tile, number of the first hash in it, and how many hashes, a power
        of two from 1 to 128.

    Raises:
        MalformedProofError: [start, end) is not a full subtree.
    """
    check_full_subtree(start, end)
    level, height_in_tile = divmod((end - start).bit_length() - 1, TILE_HEIGHT)
    first = start >> (TILE_HEIGHT * level)
    return level, first // TILE_WIDTH, first % TILE_WIDTH, 1 << height_in_tile


def check_tile(tile: Tile, data: object) -> None:
    """Refuse data that cannot be the tile's: its length is not 32 bytes a hash.

    Raises:
        MalformedTileError: another length, or no bytes.
    """
    if not isinstance(data, bytes):
        raise MalformedTileError(f"expected the bytes of {tile.path}, got {type(data).__name__}")
    if len(data) != tile.width * HASH_SIZE:
        raise MalformedTileError(
            f"expected {tile.width * HASH_SIZE} bytes of {tile.path}, got {len(data)}"
        )


def tile_root(data: bytes) -> bytes:
    """Compute the root of a full tile's 256 hashes: one hash of the level above.

    Raises:
        MalformedTileError: data is not 8,192 bytes long.
    """
    if len(data) != TILE_WIDTH * HASH_SIZE:
        raise MalformedTileError(
            f"expected the {TILE_WIDTH * HASH_SIZE} bytes of a full tile, got {len(data)}"
        )
    return _fold(data)


def subtree_root_in_tile(data: bytes, first: int, count: int) -> bytes:
    """Compute the root over `count` hashes of a tile, from number `first` on.

    Requires count to be a power of two that divides first, and first + count <= the tile's width.

    Raises:
        MalformedTileError: these do not hold.
    """
    if not (count > 0 and count & (count - 1) == 0 and first >= 0 and first % count == 0):
        raise MalformedTileError(
            f"expected an aligned power of two of hashes, got {count} from {first}"
        )
    hashes = data[first * HASH_SIZE : (first + count) * HASH_SIZE]
    if len(hashes) != count * HASH_SIZE:
        raise MalformedTileError(
            f"expected hashes {first} to {first + count} in a tile of {len(data)} bytes"
        )
    return _fold(hashes)


def _fold(hashes: bytes) -> bytes:
    """Compute the root over concatenated hashes whose number is a power of two."""
    digest = sha256
    pair = 2 * HASH_SIZE
    while len(hashes) > HASH_SIZE:
        hashes = b"".join(
            [digest(b"\x01" + hashes[i : i + pair]).digest() for i in range(0, len(hashes), pair)]
        )
    return hashes


def _check_index_and_width(index: int, width: int) -> None:
    if not 0 <= index <= MAX_SIZE:
        raise MalformedTileError(f"expected a tile index between 0 and 2^63-1, got {show(index)}")
    if not 1 <= width <= TILE_WIDTH:
        raise MalformedTileError(
            f"expected a tile width between 1 and {TILE_WIDTH}, got {show(width)}"
        )


def _format_place(index: int, width: int) -> str:
    """Write an index in groups of three digits, all but the last marked with x, and a width."""
    groups = f"{index % 1000:03}"
    while index := index // 1000:
        groups = f"x{index % 1000:03}/{groups}"
    return groups if width == TILE_WIDTH else f"{groups}.p/{width}"


def _read_tile_path(path: str) -> Tile | EntryBundle:
    """Read what a path means; the caller compares the spelling."""
    _, _, rest = path.partition("/")
    level, _, rest = rest.partition("/")
    index_text, partial, width_text = rest.partition(".p/")
    width = parse_decimal(width_text, maximum=TILE_WIDTH - 1) if partial else TILE_WIDTH
    digits = index_text.replace("x", "").replace("/", "").lstrip("0") or "0"
    index = parse_decimal(digits)
    if level == "entries":
        return EntryBundle(index, width)
    return Tile(parse_decimal(level, maximum=MAX_LEVEL), index, width)
