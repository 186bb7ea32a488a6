"""The spool: entries on disk that a log has not acknowledged yet, in SQLite, in their order.

What write() has taken is durable (write-ahead log, synchronous FULL). Every entry gets its
idempotency id when it is written, so that it is sent with the same one in every process. Before a
batch is sent, the state says so: a batch of which nothing is known is sent again as it was.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tlog_clients.entry_ids import new_entry_id
from tlog_clients.spool_database import SpoolDatabase
from tlog_clients.spool_rows import EntryRow, SpoolState, intact_row, make_row
from tlog_clients.submission import MAX_BATCH_BODY_BYTES, batch_line_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ENTRY_OVERHEAD_BYTES = 128
"""What an entry counts for in the bounds beside its own bytes: its id, hash and row."""


_SEVERAL = "several"  # no token's mark


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest entries of a spool, to be sent: numbers from `first` on, ids, entries.

    tried_s: when they were sent before without anything known of it; None when they never were.
    tried_by: the mark of the token they were sent with; no token's when there were several.
    """

    first: int
    ids: tuple[str, ...]
    entries: tuple[bytes, ...]
    tried_s: int | None
    tried_by: str

    @property
    def end(self) -> int:
        """The number after the last."""
        return self.first + len(self.entries)


class Spool:
    """An open spool; its owner calls one method at a time."""

    def __init__(
        self, path: str | os.PathLike[str], log: str, now_s: Callable[[], float] = time.time
    ) -> None:
        """Open it, or make it, with its directory; hold its lock until close().

        Args:
            path: the database; PATH.lock and PATH-wal stand beside it.
            log: the name of the log whose entries it takes.
            now_s: the outside world's time, POSIX seconds.

        Raises:
            SpoolLockedError: another appender has it open.
            SpoolDamagedError: it is no spool, or a damaged one.
            SpoolError: it is another log's, or cannot be opened or made.
        """
        self._now_s = now_s
        self._session = new_entry_id()
        self._oldest_ms: int | None = None
        self._database = SpoolDatabase(path)
        try:
            self._state = self._database.read_state(log)
            self._check_ends()
        except BaseException:
            self._database.close(wipe=False)
            raise

    @property
    def path(self) -> Path:
        """The database's file, symbolic links resolved."""
        return self._database.path

    @property
    def state(self) -> SpoolState:
        """What it holds."""
        return self._state

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest entry was written, POSIX milliseconds; None when there is none."""
        return self._oldest_ms

    def write(self, entries: Sequence[bytes]) -> None:
        """Write entries behind the others; when this returns they are durable.

        Raises:
            SpoolWriteError: none was written.
            SpoolDamagedError: the database is damaged.
        """
        state, spooled_ms = self._state, int(self._now_s() * 1000)
        rows = [
            make_row(number, f"{self._session}-{number}", spooled_ms, entry)
            for number, entry in enumerate(entries, state.next)
        ]
        added = sum(map(len, entries)) + ENTRY_OVERHEAD_BYTES * len(entries)
        after = replace(state, next=state.next + len(rows), count_bytes=state.count_bytes + added)
        with self._commit(after) as connection:
            connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)

    def begin_batch(self, delivered_to: int, max_entries: int, sender: str) -> Batch | None:
        """Forget the entries before a number, and give the next ones, noted as being sent.

        What was noted before, and is not delivered, comes alone, as it may stand already.

        Args:
            delivered_to: the entries before this number are the log's.
            max_entries: most entries of the batch, which also keeps to the bytes of a body.
            sender: the mark of the token that it will be sent with.

        Raises:
            SpoolWriteError: nothing was noted or forgotten.
            SpoolDamagedError: an entry is not what was written.
        """
        state = self._state
        first = max(state.first, delivered_to)
        was_tried = state.tried_to > first
        end = min(first + max_entries, state.tried_to if was_tried else state.next)
        rows = self._read_rows(first, end)
        after = self._forgotten(first)
        if rows and not was_tried:
            now_s = int(self._now_s())
            tried_to = first + len(rows)
            after = replace(after, tried_to=tried_to, tried_s=now_s, tried_by=sender)
        if rows and was_tried and state.tried_by != sender:
            after = replace(after, tried_by=_SEVERAL)
        if after != state:
            with self._commit(after) as connection:
                connection.execute("DELETE FROM entry WHERE number < ?", (first,))
        if not rows:
            return None
        return Batch(
            first,
            tuple(row[1] for row in rows),
            tuple(row[3] for row in rows),
            state.tried_s if was_tried else None,
            state.tried_by if was_tried else sender,
        )

    def forget(self, delivered_to: int) -> None:
        """Forget the entries before a number, which are the log's; raises as write."""
        after = self._forgotten(max(self._state.first, delivered_to))
        if after != self._state:
            with self._commit(after) as connection:
                connection.execute("DELETE FROM entry WHERE number < ?", (after.first,))

    def unmark(self, batch: Batch) -> None:
        """Take back what begin_batch noted of the batch: the log took none of it. Raises as write.

        What was noted of tries before stays.
        """
        if batch.tried_s is None:
            after = replace(self._state, tried_to=self._state.first)
        else:
            after = replace(self._state, tried_by=batch.tried_by)
        if after != self._state:
            with self._commit(after):
                pass

    def set_aside(self, reason: str) -> None:
        """Move the oldest entry out of the way, with why; it stays in the table set_aside.

        Raises: as begin_batch.
        """
        first = self._state.first
        (row,) = self._read_rows(first, first + 1)
        after = self._forgotten(first + 1)
        with self._commit(after) as connection:
            connection.execute("INSERT INTO set_aside VALUES (?, ?, ?, ?, ?)", (*row[:4], reason))
            connection.execute("DELETE FROM entry WHERE number = ?", (first,))

    def count_set_aside(self) -> int:
        """Return how many entries were set aside and are still there."""
        with self._database.guard():
            (count,) = self._database.connection.execute(
                "SELECT count(*) FROM set_aside"
            ).fetchone()
        return int(count)

    def close(self) -> None:
        """Leave the database without a write-ahead log, and give up the lock.

        A spool that is empty is also written anew, so that nothing of the entries stays in it.

        Raises:
            SpoolError: it is damaged; it is closed all the same.
        """
        is_empty = False
        try:
            is_empty = self._state.first == self._state.next and not self.count_set_aside()
        finally:
            self._database.close(wipe=is_empty)

    def _check_ends(self) -> None:
        """Refuse a spool without its first or last entry; those between are checked when read."""
        first, following = self._state.first, self._state.next
        with self._database.guard():
            ends = self._database.connection.execute(
                "SELECT min(number), max(number) FROM entry"
            ).fetchone()
        if ends != ((first, following - 1) if first < following else (None, None)):
            self._database.refuse(f"expected the entries {first} to {following - 1}, found {ends}")
        self._note_oldest()

    def _read_rows(self, first: int, end: int) -> list[EntryRow]:
        """Read [first, end), less where they are too much for one body."""
        rows: list[EntryRow] = []
        body_bytes = 0
        with self._database.guard():
            found = self._database.connection.execute(
                "SELECT * FROM entry WHERE number >= ? AND number < ? ORDER BY number", (first, end)
            )
            for number, columns in enumerate(found, first):
                row = intact_row(columns, number)
                if row is None:
                    self._database.refuse(f"entry {number} is damaged or missing")
                body_bytes += batch_line_bytes(row[3], row[1])
                if body_bytes > MAX_BATCH_BODY_BYTES:
                    return rows
                rows.append(row)
        if len(rows) != max(end - first, 0):
            self._database.refuse(f"entry {first + len(rows)} is missing")
        return rows

    def _forgotten(self, first: int) -> SpoolState:
        """The state when what stands before `first` is gone."""
        state = self._state
        if first == state.first:
            return state
        with self._database.guard():
            (gone,) = self._database.connection.execute(
                "SELECT sum(length(entry) + ?) FROM entry WHERE number < ?",
                (ENTRY_OVERHEAD_BYTES, first),
            ).fetchone()
        tried_to = max(state.tried_to, first)
        return replace(state, first=first, count_bytes=state.count_bytes - gone, tried_to=tried_to)

    @contextmanager
    def _commit(self, after: SpoolState) -> Iterator[sqlite3.Connection]:
        with self._database.commit(after):
            yield self._database.connection
        self._state = after
        self._note_oldest()

    def _note_oldest(self) -> None:
        with self._database.guard():
            row = self._database.connection.execute(
                "SELECT spooled_ms FROM entry WHERE number = ?", (self._state.first,)
            ).fetchone()
        self._oldest_ms = None if row is None else row[0]
