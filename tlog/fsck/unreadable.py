"""Which row cannot be read: an iterator tells of a damaged block before it comes to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from tlog.errors import StoreError
from tlog.fsck.damage import DamageError, Place, row_place
from tlog.store.base import MAX_TILE_LEVEL, StoredRows, last_index_of_tile
from tlog.store.keys import COMMIT_RECORD, FULL_TILE, LEAF, log_key


def check_opens(stored: StoredRows, database: str, file: str, advice: str = "") -> None:
    """Check that a database can be opened; `advice` follows the sentence.

    Raises:
        DamageError: it cannot: names the file, for no row was seen.
    """
    try:
        with closing(stored.values(database, ())) as values:
            next(values, None)
    except StoreError as error:
        raise DamageError(Place(file, "database"), f"{error}{advice}") from error


def first_unreadable(stored: StoredRows, start: int, stop: int) -> Place | None:
    """The first row of `log/` of the entries [start, stop) that cannot be read, or None."""
    asked: list[Place] = []

    def keys() -> Iterator[bytes]:
        for index in range(start, stop):
            for row_type in _types_at(index):
                key = log_key(index, row_type)
                asked[:] = [row_place(key, index, row_type)]
                yield key

    try:
        with closing(stored.values("log", keys())) as values:
            for _ in values:
                pass
    except StoreError:
        return asked[0] if asked else None
    return None


def _types_at(index: int) -> Iterator[int]:
    """The types of the rows that stand at an index, or may."""
    yield LEAF
    for level in range(MAX_TILE_LEVEL):
        if (index + 1) % (last_index_of_tile(level, 0) + 1):
            break
        yield FULL_TILE + level
    yield COMMIT_RECORD
