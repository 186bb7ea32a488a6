"""The bodies of a log: one database a month, so that a month is dropped whole.

A month is made as `YYYY-MM.new` and dropped as `YYYY-MM.dropped`, by a rename: a crash leaves a
month whole or not at all, and what it leaves is removed when the store is opened.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

import plyvel

from tlog.errors import StoreError
from tlog.measures import DatabaseFacts
from tlog.store.base import Batch
from tlog.store.files import open_database, sync_directory, wrapping
from tlog.store.keys import month_of, pack_index
from tlog.store.leveldb_facts import read_facts

WRITE_BUFFER_BYTES = 2 * 1024 * 1024
CACHE_BYTES = 1024 * 1024
OPEN_FILES = 64
MAX_OPEN_MONTHS = 4

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_NEW = ".new"
_DROPPED = ".dropped"


class MonthlyBodies:
    """The databases under `bodies/`; key `u64(index)`, value the body's bytes."""

    def __init__(self, directory: Path) -> None:
        """Take the directory of a store; `open_newest` comes first on opening."""
        self._directory = directory
        self._changed = Condition()  # guards both fields: readers open months too
        self._open: dict[str, plyvel.DB] = {}  # insertion order is the order of use
        self._users: dict[str, int] = {}
        self._orphans_removed = False

    def months(self) -> tuple[str, ...]:
        """The months that have a database, ascending."""
        with wrapping("reading bodies/"):
            names = [path.name for path in self._directory.iterdir()]
        return tuple(sorted(name for name in names if _MONTH.fullmatch(name)))

    def create_month(self, t: int) -> None:
        """Make the month of t, durably; it must not be there yet."""
        path = self._directory / month_of(t)
        unfinished = path.with_name(path.name + _NEW)
        with wrapping(f"making bodies/{path.name}"):
            open_database(
                unfinished,
                write_buffer=WRITE_BUFFER_BYTES,
                cache=CACHE_BYTES,
                open_files=OPEN_FILES,
                create=True,
            ).close()
            sync_directory(unfinished)
            unfinished.rename(path)
            sync_directory(self._directory)

    def open_newest(self, newest_t: int) -> None:
        """Remove half-made and half-dropped months, and see that the newest ones can be opened.

        newest_t (seconds) is that of the newest commit record. Bodies beyond the size stay until
        something is committed: whether they are a crash's leavings or those of a newer `log/` than
        the one that lies there, only the signed head can tell.
        """
        with wrapping("reading bodies/"):
            for path in self._directory.iterdir():
                if path.name.endswith((_NEW, _DROPPED)):
                    shutil.rmtree(path)
            for month in self._months_from(newest_t):
                with self._database(month):
                    pass

    def write(self, batch: Batch, newest_t: int) -> None:
        """Make the bodies of a batch durable; newest_t is the t of the batch before (seconds)."""
        if not self._orphans_removed:
            for written in self._months_from(newest_t):
                self._remove_orphans(written, batch.record.first_index)
            self._orphans_removed = True
        month = month_of(batch.record.t)
        if month_of(newest_t) < month and month not in self.months():
            self.create_month(batch.record.t)
        if not any(body is not None for body in batch.bodies):
            return
        if month not in self.months():
            message = f"bodies of {month} are missing"
            raise StoreError(message)
        with (
            self._database(month) as database,
            database.write_batch(transaction=True, sync=True) as rows,
        ):
            for index, body in enumerate(batch.bodies, batch.record.first_index):
                if body is not None:
                    rows.put(pack_index(index), body)

    def read(self, index: int, t: int) -> bytes | None:
        """The body at index in the month of t, or None."""
        month = month_of(t)
        if month not in self.months():
            return None
        with self._database(month) as database:
            body = database.get(pack_index(index), verify_checksums=True)
        return None if body is None else bytes(body)

    def drop(self, month: str) -> None:
        """Remove a month whole, once nobody reads it any more."""
        doomed = self._directory / f"{month}{_DROPPED}"
        with self._changed:
            self._changed.wait_for(lambda: not self._users.get(month))
            database = self._open.pop(month, None)
            if database is not None:
                database.close()
            if month not in self.months():
                return
            with wrapping(f"dropping bodies/{month}"):
                (self._directory / month).rename(doomed)
                sync_directory(self._directory)
        # What cannot be deleted now is a leaving of the next opening.
        shutil.rmtree(doomed, ignore_errors=True)

    def facts(self) -> DatabaseFacts:
        """What the months use that are open."""
        with self._changed:
            return read_facts(self._open.values())

    def close(self) -> None:
        """Close every month; nobody may use one any more."""
        with self._changed:
            for database in self._open.values():
                database.close()
            self._open.clear()

    def _months_from(self, t: int) -> list[str]:
        return [month for month in self.months() if month >= month_of(t)]

    def _remove_orphans(self, month: str, size: int) -> None:
        with self._database(month) as database:
            with database.iterator(
                start=pack_index(size), include_value=False, verify_checksums=True
            ) as keys:
                orphans = list(keys)
            if orphans:
                with database.write_batch(transaction=True, sync=True) as rows:
                    for key in orphans:
                        rows.delete(key)

    @contextmanager
    def _database(self, month: str) -> Iterator[plyvel.DB]:
        """A month's database, open for the time of the block and perhaps longer."""
        with self._changed:
            database = self._open.pop(month, None)
            if database is None:
                database = open_database(
                    self._directory / month,
                    write_buffer=WRITE_BUFFER_BYTES,
                    cache=CACHE_BYTES,
                    open_files=OPEN_FILES,
                )
            self._open[month] = database
            self._users[month] = self._users.get(month, 0) + 1
        try:
            yield database
        finally:
            with self._changed:
                self._users[month] -= 1
                self._close_idle()
                self._changed.notify_all()

    def _close_idle(self) -> None:
        """Close the months that were used longest ago and that nobody uses now."""
        for month in list(self._open):
            if len(self._open) <= MAX_OPEN_MONTHS:
                return
            if not self._users[month]:
                self._open.pop(month).close()
