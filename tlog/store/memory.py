"""A store in memory: the contract without files, for tests and as their second opinion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tlog.errors import StoreError
from tlog.store.base import Batch
from tlog.store.commit_record import CommitRecord, format_commit_record, parse_commit_record
from tlog.store.keys import month_of


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
        size = len(disk.leaves)
        del disk.indexed[size:]
        for month in disk.bodies.values():
            for index in [index for index in month if index >= size]:
                del month[index]

    def newest_commit(self) -> CommitRecord:
        """See Store."""
        self._check_open()
        if not self._disk.records:
            message = "the log holds no commit record"
            raise StoreError(message)
        return parse_commit_record(self._disk.records[-1])

    def commit(self, batch: Batch) -> None:
        """See Store."""
        self._check_writable()
        size = len(self._disk.leaves)
        if batch.record.first_index != size:
            message = f"expected a batch at {size}, got one at {batch.record.first_index}"
            raise StoreError(message)
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
        if not any(body is not None for body in batch.bodies):
            return
        month = month_of(batch.record.t)
        if month not in self._disk.bodies:
            if self._disk.records and month_of(self.newest_commit().t) >= month:
                message = f"bodies of {month} are missing"
                raise StoreError(message)
            self._disk.bodies[month] = {}
        for offset, body in enumerate(batch.bodies):
            if body is not None:
                self._disk.bodies[month][batch.record.first_index + offset] = body

    def write_log(self, batch: Batch) -> None:
        """Second step of a commit: leaves, tiles and record, all or none."""
        self._disk.leaves.extend(batch.leaves)
        self._disk.tiles.update({(t.level, t.index): t.data for t in batch.tiles})
        self._disk.records.append(format_commit_record(batch.record))

    def index_leaves(self, first_index: int, leaf_hashes: Sequence[bytes]) -> None:
        """See Store."""
        self._check_writable()
        if first_index != len(self._disk.indexed):
            message = f"expected index rows from {len(self._disk.indexed)}, got {first_index}"
            raise StoreError(message)
        self._disk.indexed.extend(leaf_hashes)

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
        return self._disk.bodies.get(month_of(t), {}).get(index)

    def months(self) -> tuple[str, ...]:
        """See Store."""
        self._check_open()
        return tuple(sorted(self._disk.bodies))

    def drop_month(self, month: str) -> None:
        """See Store."""
        self._check_writable()
        self._disk.bodies.pop(month, None)

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
