"""Published checkpoints on record: `checkpoints.db`, a row each, written before it is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import cast

from tlog.errors import StoreError
from tlog.sqlite import (
    Column,
    check_row,
    committing,
    create_database,
    empty_write_ahead_log,
    open_database,
    row_digest,
    wrapping,
    writing,
)

TABLE = "checkpoints"
SCHEMA = """
CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    published_ms INTEGER NOT NULL,
    note BLOB NOT NULL,
    receipt_signature BLOB,
    digest BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoints_by_time ON checkpoints (published_ms);
"""


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint: tree size, root (32 bytes), signed note, POSIX milliseconds.

    receipt_signature: 64 bytes, of all COSE receipts under it; None in rows from before there were
    any.
    """

    size: int
    root: bytes
    note: bytes
    published_ms: int
    receipt_signature: bytes | None = None


class CheckpointStore:
    """The rows of one log; calls block, and may come from any thread."""

    def __init__(self, path: Path) -> None:
        """Open an existing `checkpoints.db` (StoreError otherwise)."""
        self._name = path.name
        self._lock = Lock()
        self._database = open_database(path)

    @staticmethod
    def create(path: Path) -> CheckpointStore:
        """Make an empty `checkpoints.db`, which must not be there yet."""
        create_database(path, SCHEMA)
        return CheckpointStore(path)

    def add(self, published: Published) -> None:
        """Store a checkpoint durably; one of a size that is there is replaced. `settle` follows."""
        columns: list[Column] = [
            published.size,
            published.root,
            published.published_ms,
            published.note,
            published.receipt_signature,
        ]
        with self._lock, committing(self._name, self._database):
            self._database.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
                [*columns, row_digest(TABLE, columns)],
            )

    def settle(self) -> None:
        """Empty the write-ahead log, where a flipped bit would take checkpoints away unnoticed."""
        with self._lock:
            empty_write_ahead_log(self._name, self._database)

    def at(self, size: int) -> Published | None:
        """The checkpoint of exactly that size, or None."""
        return self._one("SELECT * FROM checkpoints WHERE size = ?", size)

    def newest(self, max_size: int) -> Published | None:
        """The checkpoint of the greatest size not above max_size, or None."""
        return self._one(
            "SELECT * FROM checkpoints WHERE size <= ? ORDER BY size DESC LIMIT 1", max_size
        )

    def not_after(self, time_ms: int) -> Published | None:
        """The newest checkpoint that was published at that POSIX time (ms) or before, or None."""
        return self._one(
            "SELECT * FROM checkpoints WHERE published_ms <= ? "
            "ORDER BY published_ms DESC, size DESC LIMIT 1",
            time_ms,
        )

    def above(self, size: int, count: int) -> list[tuple[int, Published | None]]:
        """The `count` rows that follow a size, ascending: size and checkpoint, None if damaged."""
        with self._lock, wrapping(self._name):
            rows = self._database.execute(
                "SELECT * FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?", [size, count]
            ).fetchall()
        return [(row[0], _published_or_none(row)) for row in rows]

    def remove(self, sizes: Sequence[int]) -> None:
        """Remove the checkpoints of these sizes, durably and all at once."""
        with self._lock, writing(self._name, self._database):
            self._database.executemany(
                "DELETE FROM checkpoints WHERE size = ?", [[size] for size in sizes]
            )

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        with self._lock, wrapping(self._name):
            self._database.close()

    def _one(self, query: str, value: int) -> Published | None:
        with self._lock, wrapping(self._name):
            row = self._database.execute(query, [value]).fetchone()
        return None if row is None else _published(row)


def _published_or_none(row: object) -> Published | None:
    try:
        return _published(row)
    except StoreError:
        return None


def _published(row: object) -> Published:
    """The checkpoint of a row; StoreError for a damaged one."""
    match check_row(TABLE, cast("tuple[Column, ...]", row)):
        case [int(size), bytes(root), int(published_ms), bytes(note), None | bytes() as signature]:
            return Published(size, root, note, published_ms, signature)
    message = f"a row of {TABLE} is damaged: wrong types"
    raise StoreError(message)
