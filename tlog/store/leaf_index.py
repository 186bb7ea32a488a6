"""The derived index of a log: leaf hash -> index, id -> index; rebuilt whenever in doubt.

Keys are grouped by index >> 18: with keys of random order over the whole log, LevelDB's
compactions reached every table at once and commits waited 100 ms where now 23 ms is the worst.
Ids are grouped alike: larger groups made lookups cheaper (28 ms a batch of 1,000 instead of 52 at
7 million ids) and the worst commit four times longer (846 ms instead of 219).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

import plyvel

from tlog.errors import StoreError
from tlog.measures import DatabaseFacts
from tlog.store.commit_record import MAC_BYTES, IdRow
from tlog.store.files import open_database, wrapping
from tlog.store.keys import (
    INDEX_GROUP_BITS,
    INDEX_HASH_BYTES,
    group_id_key,
    group_leaf_key,
    mark_key,
    pack_index,
    unpack_index,
)
from tlog.store.leveldb_facts import read_facts
from tlog.store.seen_ids import SeenIds
from tlog.store.seen_keys import SeenKeys

# When LevelDB's own write buffer is full, it goes on in the next WAL before the rows of the last
# one are synced: a power cut could leave newer rows without older ones. So the index is flushed by
# hand, long before that: what is not durable then always lies in one WAL, of which a cut leaves a
# prefix, or something that opening refuses. Fewer, larger flushes are merged less often: at 8 MiB
# LevelDB's thread does a quarter of what it did at 2. What a kill leaves takes 0.14 s to read.
FLUSH_BYTES = 8 * 1024 * 1024
WRITE_BUFFER_BYTES = 16 * 1024 * 1024
ROW_OVERHEAD_BYTES = 32  # of a row in LevelDB's memory, beside its key and value
BEYOND_KEYS = (b"\xff" * 5, b"\xff" * 6)
# A look-up in so many groups or more asks SeenIds first, and reads back so many old ids for each.
FEW_GROUPS = 2
READ_BACK = 64
READ_AT_ONCE = 4096  # a writer waits no longer than these take
WINDOWS = 2  # that ids are looked for in: this week's and last week's
CACHE_BYTES = 2 * 1024 * 1024
# A lookup asks a table of every group: one that has to be opened first costs 100 times more.
OPEN_FILES = 500


@dataclass(frozen=True, slots=True)
class IndexRows:
    """What consecutive entries from first_index on add: their leaf hashes, the ids among them."""

    first_index: int
    leaf_hashes: Sequence[bytes]
    ids: Sequence[IdRow] = ()


class LeafIndex:
    """The database `index/`; writes are unsynced, each with its mark, in order."""

    def __init__(self, directory: Path, log_size: int) -> None:
        """Open the index, or an empty one when it is missing, damaged or ahead of log_size."""
        self._directory = directory
        self._lock = Lock()  # held by readers, so that none is inside a database that is dropped
        self._database: plyvel.DB | None = None
        self.mark = 0
        self._unflushed = 0  # bytes of rows in memory; none after opening, which writes them out
        self._seen: SeenKeys | None = None  # of the newest group
        self._seen_ids: dict[int, SeenIds] = {}  # by the first entry of a window
        self._noting = Lock()  # held while ids are noted and written, so that none is missed
        try:
            self._database = self._open()
            self.mark = self._read_mark(self._database)
        except StoreError:
            self._drop_if_possible()
        if self.mark > log_size:
            self._drop_if_possible()

    def belong_to(self, first_leaf_hash: bytes) -> None:
        """Begin anew if this is another log's index: entry 0 is the genesis, no two are alike."""
        try:
            other = self.mark > 0 and self.find(first_leaf_hash, 1) != (0,)
        except StoreError:
            other = True
        if other:
            self._drop_if_possible()

    def write(self, new: IndexRows) -> None:
        """Enter consecutive entries from the mark on; equal keys keep the lowest index.

        Raises:
            StoreError: the index is damaged or cannot be written: `drop` it and begin again.
        """
        if new.first_index != self.mark:
            message = f"expected index rows from {self.mark}, got {new.first_index}"
            raise StoreError(message)
        if not new.leaf_hashes:
            return
        mark = new.first_index + len(new.leaf_hashes)
        database = self._opened()
        with (
            self._noting,
            wrapping("writing index/"),
            database.write_batch(transaction=True) as batch,
        ):
            if new.ids:
                macs = [row.id_mac for row in new.ids]
                for seen in self._seen_ids.values():
                    seen.note(macs)
            put = batch.put
            for group, rows in _rows_of_groups(new):
                for key in self._seen_of(group, database).note(rows):
                    if database.get(key, verify_checksums=True) is not None:
                        del rows[key]
                for key, value in rows.items():
                    put(key, value)
                self._unflushed += ROW_OVERHEAD_BYTES * len(rows)
                self._unflushed += sum(map(len, rows)) + sum(map(len, rows.values()))
            batch.put(mark_key(mark), pack_index(mark))
            self._unflushed += ROW_OVERHEAD_BYTES
        self.mark = mark
        if self._unflushed >= FLUSH_BYTES:
            self._flush(database)

    def find(self, leaf_hash: bytes, size: int) -> tuple[int, ...]:
        """Indexes below size whose leaf hash begins alike, ascending; the caller compares."""
        end = min(size, self.mark)
        with self._lock, wrapping("reading index/"):
            database = self._opened()
            rows = [
                database.get(group_leaf_key(group, leaf_hash), verify_checksums=True)
                for group in _groups(0, end)
            ]
            found = [unpack_index(row) for row in rows if row is not None]
        return tuple(index for index in found if index < end)

    def find_ids(self, id_macs: Sequence[bytes], start: int) -> list[IdRow | None]:
        """For each MAC the row of the lowest entry in [start, mark) that has it, or None."""
        with self._lock, wrapping("reading index/"):
            database = self._opened()
            groups = _groups(start, self.mark)
            if len(groups) < FEW_GROUPS:
                return [self._find_id(id_mac, groups) for id_mac in id_macs]
            seen = self._seen_ids_from(start)
            unread = range(groups.start, max(groups.start, min(groups.stop, seen.complete_from)))
            rows = [
                self._find_id(id_mac, groups if maybe else unread)
                for id_mac, maybe in zip(id_macs, seen.may_hold(id_macs), strict=True)
            ]
            count = READ_BACK * len(id_macs)
            while count > 0 and seen.complete_from > groups.start:
                self._read_back(seen, min(count, READ_AT_ONCE), database)
                count -= READ_AT_ONCE
        return rows

    def drop(self) -> None:
        """Replace the index by an empty one: it holds nothing that the log does not.

        Raises:
            StoreError: not even an empty one can be made.
        """
        with self._lock, wrapping("dropping index/"):
            if self._database is not None:
                self._database.close()
                self._database = None
            self.mark = 0
            self._unflushed = 0
            self._seen = None
            self._seen_ids.clear()
            if self._directory.is_symlink() or self._directory.is_file():
                self._directory.unlink()
            elif self._directory.exists():
                shutil.rmtree(self._directory)
            self._database = self._open(create=True)

    def _drop_if_possible(self) -> None:
        """At opening: a log whose index can neither be read nor made anew can still be read."""
        with suppress(StoreError):
            self.drop()

    def facts(self) -> DatabaseFacts:
        """What the database uses."""
        with self._lock:
            return read_facts([self._opened()])

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _open(self, *, create: bool = False) -> plyvel.DB:
        return open_database(
            self._directory,
            write_buffer=WRITE_BUFFER_BYTES,
            cache=CACHE_BYTES,
            open_files=OPEN_FILES,
            create=create,
        )

    def _flush(self, database: plyvel.DB) -> None:
        """Make all rows so far durable; returns when they are."""
        with wrapping("writing index/"):
            # Compacting a range without rows writes out the memory and does nothing else.
            database.compact_range(start=BEYOND_KEYS[0], stop=BEYOND_KEYS[1])
        self._unflushed = 0

    def _seen_of(self, group: int, database: plyvel.DB) -> SeenKeys:
        """What the group holds; read once, by the first write to it after the index was opened."""
        if self._seen is None or self._seen.group != group:
            with database.iterator(
                start=group_leaf_key(group, b""),
                stop=mark_key((group + 1) << INDEX_GROUP_BITS),
                include_value=False,
                verify_checksums=True,
                fill_cache=False,
            ) as keys:
                self._seen = SeenKeys(group, keys)
        return self._seen

    def _seen_ids_from(self, start: int) -> SeenIds:
        """What is known of the ids of entries from start on; of the newest windows only."""
        with self._noting:
            entries = self.mark - start
            seen = self._seen_ids.get(start)
            if seen is None or seen.outgrown(entries):
                seen = SeenIds(entries, _groups(start, self.mark).stop)
                self._seen_ids[start] = seen
                if len(self._seen_ids) > WINDOWS:
                    del self._seen_ids[min(self._seen_ids)]
        return seen

    def _read_back(self, seen: SeenIds, count: int, database: plyvel.DB) -> None:
        """Take note of the next count ids that were written before seen began, or less."""
        group = seen.complete_from - 1
        with database.iterator(
            start=seen.resume_after or group_id_key(group, b""),
            include_start=False,  # no id has an empty MAC
            stop=mark_key((group + 1) << INDEX_GROUP_BITS),
            include_value=False,
            verify_checksums=True,
            fill_cache=False,
        ) as keys:
            some = list(islice(keys, count))
        with self._noting:
            seen.read_back(some, count)

    def _opened(self) -> plyvel.DB:
        if self._database is None:
            message = "index/ is closed, or could not be made"
            raise StoreError(message)
        return self._database

    def _find_id(self, id_mac: bytes, groups: range) -> IdRow | None:
        database = self._opened()
        for group in groups:
            row = database.get(group_id_key(group, id_mac), verify_checksums=True)
            if row is not None and row[8 : 8 + MAC_BYTES] == id_mac:
                return IdRow(unpack_index(row[:8]), id_mac, row[8 + MAC_BYTES :])
        return None

    @staticmethod
    def _read_mark(database: plyvel.DB) -> int:
        with (
            wrapping("reading index/"),
            database.iterator(reverse=True, verify_checksums=True) as rows,
        ):
            last = next(iter(rows), None)
            if last is None:
                return 0
            key, value = last
            mark = unpack_index(value)
            if mark < 1 or key != mark_key(mark):
                message = "index/ is damaged: its last row is no mark"
                raise StoreError(message)
            return mark


def _rows_of_groups(new: IndexRows) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Key and value of each row, by group; of equal keys the one with the lowest index."""
    end = new.first_index + len(new.leaf_hashes)
    start = new.first_index
    for group in _groups(start, end):
        stop = min(end, (group + 1) << INDEX_GROUP_BITS)
        prefix = group_leaf_key(group, b"")
        hashes = new.leaf_hashes[start - new.first_index : stop - new.first_index]
        keys = [prefix + leaf_hash[:INDEX_HASH_BYTES] for leaf_hash in hashes]
        values = list(map(pack_index, range(start, stop)))
        # Backwards: of equal keys the last one given stays.
        rows = dict(zip(reversed(keys), reversed(values), strict=True))
        for row in new.ids:
            if start <= row.index < stop:
                value = pack_index(row.index) + row.id_mac + row.bytes_mac
                rows.setdefault(group_id_key(group, row.id_mac), value)
        yield group, rows
        start = stop


def _groups(start: int, end: int) -> range:
    """The groups of entries [start, end)."""
    if start >= end:
        return range(0)
    return range(start >> INDEX_GROUP_BITS, ((end - 1) >> INDEX_GROUP_BITS) + 1)
