"""A store in memory: the contract without files, for tests and as their second opinion."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tlog.errors import StoreError
from tlog.measures import DatabaseFacts
from tlog.store.base import Batch, Row
from tlog.store.commit_record import (
    CommitRecord,
    IdRow,
    format_commit_record,
    parse_commit_record,
)
from tlog.store.keys import (
    COMMIT_RECORD,
    LEAF,
    id_key,
    index_key,
    log_key,
    mark_key,
    month_of,
    pack_index,
    tile_key,
)
from tlog_proofs import leaf_hash


@dataclass
class MemoryDisk:
    """What outlives a MemoryStore: open another one on it to restart."""

    leaves: list[bytes] = field(default_factory=list)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)
    bodies: dict[str, dict[int, bytes]] = field(default_factory=dict)
    indexed: list[bytes] = field(default_factory=list)


class MemoryStore:
    """A Store over a MemoryDisk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self._failed = False
        self._closed = False
        del disk.indexed[len(disk.leaves) :]

    def newest_commit(self) -> CommitRecord:
        """See Store."""
        self._check_open()
        if not self._disk.records:
            message = "the log holds no commit record"
            raise StoreError(message)
        return parse_commit_record(self._disk.records[-1])

    def commit_of(self, index: int) -> CommitRecord:
        """See Store."""
        self._check_open()
        for record in map(parse_commit_record, self._disk.records):
            if record.size > index:
                return record
        message = f"entry {index} belongs to no batch"
        raise StoreError(message)

    def commit(self, batch: Batch) -> None:
        """See Store."""
        self._check_writable()
        size = len(self._disk.leaves)
        if batch.record.first_index != size:
            message = f"expected a batch at {size}, got one at {batch.record.first_index}"
            raise StoreError(message)
        for month in self._disk.bodies.values():
            for index in [index for index in month if index >= size]:
                del month[index]
        try:
            self.write_bodies(batch)
            self.write_log(batch)
        except BaseException:
            self._failed = True
            raise

    def create_month(self, t: int) -> None:
        """Make the month of t; a new log begins with that of its genesis."""
        self._disk.bodies[month_of(t)] = {}

    def write_bodies(self, batch: Batch) -> None:
        """First step of a commit: the bodies."""
        month = month_of(batch.record.t)
        begins = bool(self._disk.records) and month_of(self.newest_commit().t) < month
        if begins:
            self._disk.bodies.setdefault(month, {})
        if not any(body is not None for body in batch.bodies):
            return
        if month not in self._disk.bodies:
            message = f"bodies of {month} are missing"
            raise StoreError(message)
        for offset, body in enumerate(batch.bodies):
            if body is not None:
                self._disk.bodies[month][batch.record.first_index + offset] = body

    def write_log(self, batch: Batch) -> None:
        """Second step of a commit: leaves, tiles and record, all or none."""
        self._disk.leaves.extend(batch.leaves)
        self._disk.tiles.update({(t.level, t.index): t.data for t in batch.tiles})
        self._disk.records.append(format_commit_record(batch.record))

    def index(self, batch: Batch) -> None:
        """See Store."""
        self._check_writable()
        first_index = batch.record.first_index
        if first_index != len(self._disk.indexed):
            message = f"expected index rows from {len(self._disk.indexed)}, got {first_index}"
            raise StoreError(message)
        self._disk.indexed.extend(batch.leaf_hashes)

    def index_missing(self, entries: int) -> None:
        """See Store."""
        self._check_writable()
        start = len(self._disk.indexed)
        for record in map(parse_commit_record, self._disk.records):
            if record.size >= start + entries or record.size == len(self._disk.leaves):
                leaves = self._disk.leaves[start : record.size]
                self._disk.indexed.extend(leaf_hash(leaf) for leaf in leaves)
                return

    def drop_index(self) -> None:
        """See Store."""
        self._check_writable()
        self._disk.indexed.clear()

    def find_ids(self, id_macs: Sequence[bytes], start: int) -> list[IdRow | None]:
        """See Store."""
        self._check_open()
        mark = len(self._disk.indexed)
        rows = [
            row
            for record in map(parse_commit_record, self._disk.records)
            for row in record.ids
            if row.index < mark
        ]
        found: dict[bytes, IdRow] = {}
        for row in rows:
            if row.index >= start:
                found.setdefault(row.id_mac, row)
        return [found.get(id_mac) for id_mac in id_macs]

    def indexed_size(self) -> int:
        """See Store."""
        self._check_open()
        return len(self._disk.indexed)

    def find_leaf(self, leaf_hash: bytes, size: int) -> int | None:
        """See Store."""
        self._check_open()
        try:
            return self._disk.indexed.index(leaf_hash, 0, size)
        except ValueError:
            return None

    def read_leaf(self, index: int) -> bytes:
        """See Store."""
        return self.read_leaves(index, index + 1)[0]

    def read_leaves(self, start: int, end: int) -> list[bytes]:
        """See Store."""
        self._check_open()
        if not 0 <= start <= end <= len(self._disk.leaves):
            message = f"expected entries [{start}, {end}), the log has {len(self._disk.leaves)}"
            raise StoreError(message)
        return self._disk.leaves[start:end]

    def read_tile(self, level: int, index: int) -> bytes | None:
        """See Store."""
        self._check_open()
        return self._disk.tiles.get((level, index))

    def read_body(self, index: int, t: int) -> bytes | None:
        """See Store."""
        self._check_open()
        if index >= len(self._disk.leaves):
            return None
        return self._disk.bodies.get(month_of(t), {}).get(index)

    def months(self) -> tuple[str, ...]:
        """See Store."""
        self._check_open()
        return tuple(sorted(self._disk.bodies))

    def drop_month(self, month: str) -> None:
        """See Store."""
        self._check_writable()
        self._disk.bodies.pop(month, None)

    def database_facts(self) -> Mapping[str, DatabaseFacts]:
        """See Store."""
        self._check_open()
        return {}

    def close(self) -> None:
        """See Store."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            message = "the store is closed"
            raise StoreError(message)

    def _check_writable(self) -> None:
        self._check_open()
        if self._failed:
            message = "an earlier write failed: the store must be opened again"
            raise StoreError(message)


class MemoryRows:
    """The StoredRows of a MemoryDisk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    def databases(self) -> tuple[str, ...]:
        """See StoredRows."""
        return (*(f"bodies/{month}" for month in sorted(self._disk.bodies)), "index", "log")

    def is_begun(self, database: str) -> bool:
        """See StoredRows."""
        return database in self.databases()

    def rows(self, database: str) -> Generator[Row]:
        """See StoredRows."""
        yield from sorted(self._database(database).items())

    def values(self, database: str, keys: Iterable[bytes]) -> Generator[bytes | None]:
        """See StoredRows."""
        rows = self._database(database)
        for key in keys:
            yield rows.get(key)

    def _database(self, database: str) -> dict[bytes, bytes]:
        if database == "log":
            return self._log()
        if database == "index":
            return self._index()
        bodies = self._disk.bodies[database.removeprefix("bodies/")]
        return {pack_index(index): body for index, body in bodies.items()}

    def _log(self) -> dict[bytes, bytes]:
        rows = {log_key(index, LEAF): leaf for index, leaf in enumerate(self._disk.leaves)}
        rows.update({tile_key(*place): data for place, data in self._disk.tiles.items()})
        for record in self._disk.records:
            rows[log_key(parse_commit_record(record).size - 1, COMMIT_RECORD)] = record
        return rows

    def _index(self) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        mark = len(self._disk.indexed)
        for index, hashed in enumerate(self._disk.indexed):
            rows.setdefault(index_key(index, hashed), pack_index(index))
        for record in map(parse_commit_record, self._disk.records):
            for row in record.ids:
                if row.index < mark:
                    value = pack_index(row.index) + row.id_mac + row.bytes_mac
                    rows.setdefault(id_key(row.index, row.id_mac), value)
            if record.size <= mark:
                rows[mark_key(record.size)] = pack_index(record.size)
        return rows
