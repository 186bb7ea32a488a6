"""The derived index of a log: leaf hash -> log index, rebuilt whenever in doubt.

Keys are grouped by index >> 18: with keys of random order over the whole log, LevelDB's
compactions reached every table at once and commits waited 100 ms where now 23 ms is the worst.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from struct import error as StructError  # noqa: N812 - the library's own name is not CapWords

import plyvel

from tlog.errors import StoreError
from tlog.store.files import open_database
from tlog.store.keys import (
    INDEX_GROUP_BITS,
    group_leaf_key,
    index_key,
    mark_key,
    pack_index,
    unpack_index,
)

WRITE_BUFFER_BYTES = 2 * 1024 * 1024
CACHE_BYTES = 2 * 1024 * 1024


class LeafIndex:
    """The database `index/`; writes are unsynced, each with its mark, in order."""

    def __init__(self, directory: Path, log_size: int) -> None:
        """Open the index, or an empty one when it is missing, damaged or ahead of log_size."""
        self._directory = directory
        try:
            self._database = open_database(
                directory, write_buffer=WRITE_BUFFER_BYTES, cache=CACHE_BYTES
            )
            self.mark = self._read_mark()
        except (StoreError, plyvel.Error):
            self._start_again()
        if self.mark > log_size:
            self._start_again()

    def write(self, first_index: int, leaf_hashes: Sequence[bytes]) -> None:
        """Enter consecutive leaf hashes from the mark on; equal hashes keep the lowest index."""
        if first_index != self.mark:
            message = f"expected index rows from {self.mark}, got {first_index}"
            raise StoreError(message)
        if not leaf_hashes:
            return
        rows: dict[bytes, int] = {}
        get = self._database.get
        for index, leaf_hash in enumerate(leaf_hashes, first_index):
            key = index_key(index, leaf_hash)
            if key not in rows and get(key, verify_checksums=True) is None:
                rows[key] = index
        mark = first_index + len(leaf_hashes)
        with self._database.write_batch(transaction=True) as batch:
            for key, index in rows.items():
                batch.put(key, pack_index(index))
            batch.put(mark_key(mark), pack_index(mark))
        self.mark = mark

    def find(self, leaf_hash: bytes, size: int) -> tuple[int, ...]:
        """Indexes below size whose leaf hash begins alike, ascending; the caller compares."""
        end = min(size, self.mark)
        found = []
        for group in range(((end - 1) >> INDEX_GROUP_BITS) + 1 if end else 0):
            row = self._database.get(group_leaf_key(group, leaf_hash), verify_checksums=True)
            if row is not None:
                found.append(_index_of(row))
        return tuple(index for index in found if index < end)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _read_mark(self) -> int:
        with self._database.iterator(reverse=True, verify_checksums=True) as rows:
            last = next(iter(rows), None)
        if last is None:
            return 0
        key, value = last
        mark = _index_of(value)
        if mark < 1 or key != mark_key(mark):
            message = "index/ is damaged: its last row is no mark"
            raise StoreError(message)
        return mark

    def _start_again(self) -> None:
        """Replace the index by an empty one: it holds nothing that the log does not."""
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._database = open_database(
            self._directory, write_buffer=WRITE_BUFFER_BYTES, cache=CACHE_BYTES, create=True
        )
        self.mark = 0


def _index_of(row: bytes) -> int:
    try:
        return unpack_index(row)
    except StructError as error:
        message = f"index/ is damaged: expected 8 bytes, got {len(row)}"
        raise StoreError(message) from error
