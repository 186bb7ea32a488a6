"""The store on LevelDB: `log/`, `bodies/YYYY-MM/` and `index/` in one directory.

Hazards it is written around (measured on LevelDB 1.22): reads verify checksums only when told
to on every call; a write batch used without transaction=True is written even when its body
raised; `create_if_missing` with a lost CURRENT deletes the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import plyvel

from tlog.errors import FatalLogError, StoreError
from tlog.measures import DatabaseFacts
from tlog.store.base import TILE_BYTES, Batch
from tlog.store.bodies import MonthlyBodies
from tlog.store.commit_record import (
    CommitRecord,
    IdRow,
    format_commit_record,
    parse_commit_record,
)
from tlog.store.files import blaming_log, open_database, sync_directory, wrapping
from tlog.store.keys import COMMIT_RECORD, LEAF, leaf_keys, log_key, split_log_key, tile_key
from tlog.store.leaf_index import IndexRows, LeafIndex
from tlog.store.leveldb_facts import read_facts
from tlog_proofs import leaf_hash as hash_of_leaf

LOG_WRITE_BUFFER_BYTES = 4 * 1024 * 1024
LOG_CACHE_BYTES = 8 * 1024 * 1024
LOG_OPEN_FILES = 128

# What follows the index in a key; compared whole, so that a row of another form is no row.
_LEAF = bytes([LEAF])
_COMMIT_RECORD = bytes([COMMIT_RECORD])


class LevelDBStore:
    """A Store on three LevelDB databases under one directory."""

    def __init__(self, directory: Path) -> None:
        """Open the databases of an existing log; only `index/`, which is derived, may be made.

        Raises:
            StoreError: a database is missing or damaged, or the last row is no commit record.
        """
        self._directory = directory
        self._failed = False
        self._closed = False
        self._bodies = MonthlyBodies(directory / "bodies")
        self._log = _open_log(directory)
        try:
            self._newest = self._read_newest_commit()
            self._bodies.open_newest(self._newest.t)
            self._index = LeafIndex(directory / "index", log_size=self._newest.size)
            self._check_index()
        except BaseException:
            self._bodies.close()
            self._log.close()
            raise

    @classmethod
    def create(cls, directory: Path, genesis: Batch) -> LevelDBStore:
        """Make the databases of a new log, with its first batch, all of it durable.

        Raises:
            StoreError: something is there already, or could not be written.
        """
        with wrapping(f"creating {directory.name}"):
            directory.mkdir(mode=0o700, exist_ok=True)
            (directory / "bodies").mkdir(mode=0o700)
            log = _open_log(directory, create=True)
            try:
                _write_log(log, genesis)
            finally:
                log.close()
            MonthlyBodies(directory / "bodies").create_month(genesis.record.t)
            for made in ("log", "bodies", "."):
                sync_directory(directory / made)
        store = cls(directory)
        store.index(genesis)
        return store

    def newest_commit(self) -> CommitRecord:
        """See Store."""
        return self._newest

    def commit_of(self, index: int) -> CommitRecord:
        """See Store."""
        with (
            self._reading(),
            self._log.iterator(
                start=log_key(index, LEAF), verify_checksums=True, fill_cache=False
            ) as rows,
        ):
            for key, value in rows:
                if key[8:] == _COMMIT_RECORD:
                    return parse_commit_record(value)
        message = f"entry {index} belongs to no batch"
        raise StoreError(message)

    def commit(self, batch: Batch) -> None:
        """See Store."""
        self._check_writable()
        if batch.record.first_index != self._newest.size:
            message = f"expected a batch at {self._newest.size}, got {batch.record.first_index}"
            raise StoreError(message)
        with self._failing():
            self._bodies.write(batch, newest_t=self._newest.t)
            _write_log(self._log, batch)
            self._newest = batch.record

    def index(self, batch: Batch) -> None:
        """See Store."""
        self._check_writable()
        record = batch.record
        self._index.write(IndexRows(record.first_index, batch.leaf_hashes, record.ids))

    def index_missing(self, entries: int) -> None:
        """See Store."""
        self._check_writable()
        start = self._index.mark
        hashes: list[bytes] = []
        ids: list[IdRow] = []
        complete = 0  # of the hashes: those of whole batches
        with (
            blaming_log(),
            self._reading(),
            self._log.iterator(
                start=log_key(start, LEAF), verify_checksums=True, fill_cache=False
            ) as rows,
        ):
            for key, value in rows:
                if key[8:] == _LEAF:
                    hashes.append(hash_of_leaf(value))
                elif key[8:] == _COMMIT_RECORD:
                    record = parse_commit_record(value)
                    ids += record.ids
                    complete = record.size - start
                    if complete >= entries:
                        break
        if complete != len(hashes):
            message = f"log/: expected {complete} entries from {start} on, got {len(hashes)}"
            raise FatalLogError(message)
        self._index.write(IndexRows(start, hashes, ids))

    def drop_index(self) -> None:
        """See Store."""
        self._check_writable()
        self._index.drop()

    def indexed_size(self) -> int:
        """See Store."""
        return self._index.mark

    def find_leaf(self, leaf_hash: bytes, size: int) -> int | None:
        """See Store."""
        with self._reading():
            candidates = self._index.find(leaf_hash, size)
        # The index keeps 12 bytes of a hash: only the entry itself says whether it is the one.
        for index in candidates:
            with blaming_log():
                leaf = self.read_leaf(index)
            if hash_of_leaf(leaf) == leaf_hash:
                return index
        return None

    def find_ids(self, id_macs: Sequence[bytes], start: int) -> list[IdRow | None]:
        """See Store."""
        with self._reading():
            return self._index.find_ids(id_macs, start)

    def _check_index(self) -> None:
        try:
            genesis = self.read_leaf(0)
        except StoreError:
            return  # whoever reads the log finds out
        self._index.belong_to(hash_of_leaf(genesis))

    def read_leaf(self, index: int) -> bytes:
        """See Store."""
        with self._reading():
            leaf = self._log.get(log_key(index, LEAF), verify_checksums=True)
        if leaf is None:
            message = f"entry {index} is missing"
            raise StoreError(message)
        return bytes(leaf)

    def read_leaves(self, start: int, end: int) -> list[bytes]:
        """See Store."""
        with (
            self._reading(),
            self._log.iterator(
                start=log_key(start, LEAF),
                stop=log_key(end, LEAF),
                verify_checksums=True,
                fill_cache=False,
            ) as rows,
        ):
            leaves = [(key, value) for key, value in rows if key[8:] == _LEAF]
        # Keys ascend, so as many as there are indexes are all of them.
        if len(leaves) != end - start:
            indexes = {int.from_bytes(key[:8], "big") for key, _ in leaves}
            missing = next(index for index in range(start, end) if index not in indexes)
            message = f"entry {missing} is missing"
            raise StoreError(message)
        return [value for _, value in leaves]

    def read_tile(self, level: int, index: int) -> bytes | None:
        """See Store."""
        with self._reading():
            tile = self._log.get(tile_key(level, index), verify_checksums=True)
        if tile is not None and len(tile) != TILE_BYTES:
            message = f"tile {level}/{index} is damaged: it has {len(tile)} bytes"
            raise StoreError(message)
        return None if tile is None else bytes(tile)

    def read_body(self, index: int, t: int) -> bytes | None:
        """See Store."""
        if index >= self._newest.size:
            return None
        with self._reading():
            return self._bodies.read(index, t)

    def months(self) -> tuple[str, ...]:
        """See Store."""
        return self._bodies.months()

    def drop_month(self, month: str) -> None:
        """See Store."""
        self._check_writable()
        with self._failing():
            self._bodies.drop(month)

    def database_facts(self) -> Mapping[str, DatabaseFacts]:
        """See Store."""
        with self._reading():
            return {
                "log": read_facts([self._log]),
                "bodies": self._bodies.facts(),
                "index": self._index.facts(),
            }

    def close(self) -> None:
        """See Store."""
        if not self._closed:
            self._closed = True
            self._index.close()
            self._bodies.close()
            self._log.close()

    def _read_newest_commit(self) -> CommitRecord:
        with self._reading(), self._log.iterator(reverse=True, verify_checksums=True) as rows:
            last = next(iter(rows), None)
        if last is None:
            message = "log/ is empty: a log has at least its genesis"
            raise StoreError(message)
        key, value = last
        with wrapping("log/ is damaged: its last key"):
            index, row_type = split_log_key(key)
        if row_type != COMMIT_RECORD:
            message = f"log/ is damaged: its last row is of type {row_type:#04x}, expected 0xff"
            raise StoreError(message)
        record = parse_commit_record(value)
        if record.size != index + 1:
            message = f"log/ is damaged: its last row stands at {index} for size {record.size}"
            raise StoreError(message)
        return record

    def _check_writable(self) -> None:
        if self._closed:
            message = "the store is closed"
            raise StoreError(message)
        if self._failed:
            message = "an earlier write failed: the store must be opened again"
            raise StoreError(message)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Note that a write failed, whatever it was: nothing is known of the files any more."""
        try:
            with wrapping(f"writing {self._directory.name}"):
                yield
        except BaseException:
            self._failed = True
            raise

    def _reading(self) -> AbstractContextManager[None]:
        return wrapping(f"reading {self._directory.name}")


def _open_log(directory: Path, *, create: bool = False) -> plyvel.DB:
    return open_database(
        directory / "log",
        write_buffer=LOG_WRITE_BUFFER_BYTES,
        cache=LOG_CACHE_BYTES,
        open_files=LOG_OPEN_FILES,
        create=create,
    )


def _write_log(log: plyvel.DB, batch: Batch) -> None:
    """One atomic synced batch: leaves, full tiles, commit record."""
    with log.write_batch(transaction=True, sync=True) as rows:
        keys = leaf_keys(batch.record.first_index, len(batch.leaves))
        list(map(rows.put, keys, batch.leaves))
        for tile in batch.tiles:
            rows.put(tile_key(tile.level, tile.index), tile.data)
        rows.put(log_key(batch.record.size - 1, COMMIT_RECORD), format_commit_record(batch.record))
