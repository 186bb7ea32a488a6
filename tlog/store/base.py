"""The contract of a log's store, in full: what a store promises, whoever keeps the bytes.

One store holds one log. It is opened by one process. One thread at a time commits or drops
months, one at a time writes the index, perhaps while the other works; reads may come from any
thread at any time.

Promises of every store (tests/store/conformance.py holds each of them):

1. Order. `commit` makes the bodies of the batch durable, then in one atomic durable step its
   leaves, its full tiles and its commit record, and only then returns. The index is written
   after that and need not be durable.
2. All or nothing. After any interruption the log holds whole batches only, and its newest row
   is the commit record of the newest one.
3. Nothing is overwritten. A batch starts at the size of the newest commit record.
4. Fail-stop. A write that raised leaves the outcome open: the same store object refuses every
   later write. Opening the store again is the only recovery.
5. Reads are checked. A row whose checksum fails raises StoreError; it is never answered.
6. Bodies. A body lies in the month (UTC) of its batch's t. Every month with a batch has a
   database, whether bodies lie in it or not: it is made before the month's first batch, and
   never again. Bodies at or beyond the size are never answered, and removed before the first
   commit; a store that is only opened keeps them, for its log may be an older copy.
7. The index is derived. Missing, damaged or ahead of the log, it is dropped and built again
   from the log, from nothing else; a failure of it is never one of the log.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tlog.errors import StoreError
from tlog.measures import DatabaseFacts
from tlog.store.commit_record import CommitRecord, IdRow
from tlog_proofs import HASH_SIZE, TILE_HEIGHT, TILE_WIDTH

TILE_BYTES = HASH_SIZE * TILE_WIDTH
MAX_TILE_LEVEL = 7  # a size below 2**63 has no full tile above level 6


@dataclass(frozen=True, slots=True)
class FullTile:
    """A full tile: `data` is 8,192 bytes, 256 hashes of `level`, at tile `index`."""

    level: int
    index: int
    data: bytes

    @property
    def last_index(self) -> int:
        """The log index of the last entry under the tile: where its row stands."""
        return last_index_of_tile(self.level, self.index)


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit: entries [record.first_index, record.size) and what they complete.

    leaves and leaf_hashes are parallel; bodies too (None for an entry without one), or empty
    when no entry of the batch has a body.
    """

    record: CommitRecord
    leaves: Sequence[bytes]
    leaf_hashes: Sequence[bytes]
    tiles: Sequence[FullTile] = ()
    bodies: Sequence[bytes | None] = ()

    def __post_init__(self) -> None:
        """Refuse lists of other lengths than the record says (StoreError)."""
        count = self.record.size - self.record.first_index
        lengths = (len(self.leaves), len(self.leaf_hashes), len(self.bodies) or count)
        if lengths != (count, count, count):
            message = f"expected {count} leaves, hashes and bodies (or none), got {lengths}"
            raise StoreError(message)


class Store(Protocol):
    """One log's rows. Every call may raise StoreError and does blocking I/O."""

    def newest_commit(self) -> CommitRecord:
        """The commit record that is the last row of the log.

        Raises:
            StoreError: the log holds no row, or its last row is none.
        """

    def commit_of(self, index: int) -> CommitRecord:
        """The commit record of the batch that holds the entry at index, below the size.

        Raises:
            StoreError: there is none.
        """

    def commit(self, batch: Batch) -> None:
        """Make the batch durable (promises 1 to 4).

        Raises:
            StoreError: the outcome is open; the store takes no further write.
        """

    def index(self, batch: Batch) -> None:
        """Enter a batch that was committed: leaf hashes and ids, of equal ones the lowest index.

        Raises:
            StoreError: the batch does not begin at the mark, or the index is damaged. The log
                is not concerned: `drop_index` and `index_missing` bring the index back.
        """

    def index_missing(self, entries: int) -> None:
        """Enter the next whole batches of the log, of `entries` entries or more, or to its end.

        Raises:
            StoreError: the index is damaged: `drop_index` and begin again.
            FatalLogError: the log itself cannot be read.
        """

    def drop_index(self) -> None:
        """Begin the index anew, at mark 0."""

    def indexed_size(self) -> int:
        """The mark: entries [0, mark) are in the index. At most the log's size."""

    def find_ids(self, id_macs: Sequence[bytes], start: int) -> list[IdRow | None]:
        """For each MAC (16 bytes) the lowest indexed entry with that id, or None.

        start: entries below it need not be looked at.
        """

    def find_leaf(self, leaf_hash: bytes, size: int) -> int | None:
        """An index below size at which that leaf hash stands, or None if none is indexed.

        Raises:
            StoreError: the index is damaged. FatalLogError: the entry itself cannot be read.
        """

    def read_leaf(self, index: int) -> bytes:
        """The entry at index."""

    def read_leaves(self, start: int, end: int) -> list[bytes]:
        """The entries [start, end), all of them."""

    def read_tile(self, level: int, index: int) -> bytes | None:
        """The 8,192 bytes of a full tile, None while it is not full."""

    def read_body(self, index: int, t: int) -> bytes | None:
        """The body at index, None if erased or pruned; t (seconds, the leaf's) names the month."""

    def months(self) -> tuple[str, ...]:
        """The months (YYYY-MM, UTC) that have a database of bodies, ascending."""

    def drop_month(self, month: str) -> None:
        """Remove all bodies of a month at once."""

    def database_facts(self) -> Mapping[str, DatabaseFacts]:
        """What its databases use: `log`, `bodies` (those that are open) and `index`, or nothing."""

    def close(self) -> None:
        """Release the files; further calls raise StoreError. A second call does nothing."""


Row = tuple[bytes, bytes]


class StoredRows(Protocol):
    """One log's rows as they are stored, for whoever checks them: nothing is made or mended.

    Databases are named by their place: `log`, `bodies/YYYY-MM`, `index`. No Store of the same log
    is open meanwhile. Every call may raise StoreError and does blocking I/O.
    """

    def databases(self) -> tuple[str, ...]:
        """The databases that are there, ascending, with whatever else lies under `bodies/`."""

    def is_begun(self, database: str) -> bool:
        """Whether the making of a database came so far that it can be opened, damage aside."""

    def rows(self, database: str) -> Generator[Row]:
        """Key and value of each row, in the order of the keys, checksums verified.

        Raises:
            StoreError: from `next`: the database cannot be opened, or a row not read. That may be
                one further on: the store reads ahead.
        """

    def values(self, database: str, keys: Iterable[bytes]) -> Generator[bytes | None]:
        """The value of each key, None where there is none, checksums verified.

        Raises:
            StoreError: from `next`: the database cannot be opened, or this row not read.
        """


def last_index_of_tile(level: int, index: int) -> int:
    """The last log index under full tile (level, index): (index + 1) * 256**(level + 1) - 1."""
    return (index + 1) * (TILE_WIDTH << (TILE_HEIGHT * level)) - 1
