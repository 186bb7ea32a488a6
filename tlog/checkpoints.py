"""Published checkpoints on record: `checkpoints.db`, a row each, written before it is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import cast

from tlog.errors import StoreError
from tlog.sqlite import (
    Column,
    check_row,
    create_database,
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
"""


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint: tree size, root (32 bytes), signed note, POSIX milliseconds."""

    size: int
    root: bytes
    note: bytes
    published_ms: int


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
        """Store a checkpoint durably; one of a size that is there is replaced."""
        columns: list[Column] = [
            published.size,
            published.root,
            published.published_ms,
            published.note,
            None,
        ]
        with self._lock, writing(self._name, self._database):
            self._database.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
                [*columns, row_digest(TABLE, columns)],
            )

    def at(self, size: int) -> Published | None:
        """The checkpoint of exactly that size, or None."""
        return self._one("SELECT * FROM checkpoints WHERE size = ?", size)

    def newest(self, max_size: int) -> Published | None:
        """The checkpoint of the greatest size not above max_size, or None."""
        return self._one(
            "SELECT * FROM checkpoints WHERE size <= ? ORDER BY size DESC LIMIT 1", max_size
        )

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        with self._lock, wrapping(self._name):
            self._database.close()

    def _one(self, query: str, size: int) -> Published | None:
        with self._lock, wrapping(self._name):
            row = self._database.execute(query, [size]).fetchone()
        if row is None:
            return None
        match check_row(TABLE, cast("tuple[Column, ...]", row)):
            case [int(row_size), bytes(root), int(published_ms), bytes(note), _]:
                return Published(row_size, root, note, published_ms)
        message = f"a row of {TABLE} is damaged: wrong types"
        raise StoreError(message)
