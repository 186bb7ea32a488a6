"""The keys of the three databases (spec/store.md); integers are big-endian, so keys only grow."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from tlog.errors import StoreError
from tlog.store.base import last_index_of_tile

LEAF = 0x00
FULL_TILE = 0x10  # plus the level
COMMIT_RECORD = 0xFF

INDEX_GROUP_BITS = 18  # leaf hashes of 262,144 entries share a key prefix
INDEX_HASH_BYTES = 12
INDEX_LEAF = 0x00
INDEX_ID = 0x01
INDEX_MARK = 0xFF

DAY_S = 86_400

_U64 = struct.Struct(">Q")
_LOG_KEY = struct.Struct(">QB")
_GROUP_KEY = struct.Struct(">IB")

LOG_KEY_BYTES = _LOG_KEY.size
U64_BYTES = _U64.size


def log_key(index: int, row_type: int) -> bytes:
    """`u64(index) || type`: 9 bytes."""
    return _LOG_KEY.pack(index, row_type)


def leaf_keys(first_index: int, count: int) -> list[bytes]:
    """The keys of consecutive entries."""
    pack = _LOG_KEY.pack
    return [pack(index, LEAF) for index in range(first_index, first_index + count)]


def split_log_key(key: bytes) -> tuple[int, int]:
    """(index, type) of a 9-byte key; struct.error otherwise."""
    index, row_type = _LOG_KEY.unpack(key)
    return int(index), int(row_type)


def tile_key(level: int, index: int) -> bytes:
    """The key of full tile (level, index): at its last log index, type 0x10 + level."""
    return _LOG_KEY.pack(last_index_of_tile(level, index), FULL_TILE + level)


def index_key(index: int, leaf_hash: bytes) -> bytes:
    """`u32(index >> 18) || 0x00 || leaf hash[:12]`: 17 bytes."""
    return group_leaf_key(index >> INDEX_GROUP_BITS, leaf_hash)


def group_leaf_key(group: int, leaf_hash: bytes) -> bytes:
    """The key of a leaf hash in one group of the index."""
    return _GROUP_KEY.pack(group, INDEX_LEAF) + leaf_hash[:INDEX_HASH_BYTES]


def id_key(index: int, id_mac: bytes) -> bytes:
    """`u32(index >> 18) || 0x01 || id MAC[:12]`: 17 bytes."""
    return group_id_key(index >> INDEX_GROUP_BITS, id_mac)


def group_id_key(group: int, id_mac: bytes) -> bytes:
    """The key of an id's MAC in one group of the index."""
    return _GROUP_KEY.pack(group, INDEX_ID) + id_mac[:INDEX_HASH_BYTES]


def mark_key(mark: int) -> bytes:
    """`u32((mark - 1) >> 18) || 0xFF`: the last key of the group of the last indexed entry."""
    return _GROUP_KEY.pack((mark - 1) >> INDEX_GROUP_BITS, INDEX_MARK)


def pack_index(index: int) -> bytes:
    """`u64(index)`: 8 bytes."""
    return _U64.pack(index)


def unpack_index(data: bytes) -> int:
    """The index of 8 bytes; struct.error otherwise."""
    return int(_U64.unpack(data)[0])


def month_of(t: int) -> str:
    """The UTC month `YYYY-MM` of t, POSIX seconds.

    Raises:
        StoreError: t lies beyond the year 9999.
    """
    try:
        return datetime.fromtimestamp(t, UTC).strftime("%Y-%m")
    except (ValueError, OverflowError, OSError) as error:
        message = f"expected a time before the year 10000, got {t} s"
        raise StoreError(message) from error


def start_of_month(month: str) -> int:
    """The first second of a UTC month `YYYY-MM`, POSIX seconds."""
    return int(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp())


def month_after(month: str) -> str:
    """The month that follows `YYYY-MM`."""
    return month_of(start_of_month(month) + 32 * DAY_S)
