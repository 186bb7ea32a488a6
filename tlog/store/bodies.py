"""The bodies of a log: one database a month, so that a month is dropped whole."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from threading import Lock

import plyvel

from tlog.errors import StoreError
from tlog.store.base import Batch
from tlog.store.files import open_database, sync_directory
from tlog.store.keys import month_of, pack_index

WRITE_BUFFER_BYTES = 2 * 1024 * 1024
CACHE_BYTES = 1024 * 1024
MAX_OPEN_MONTHS = 4

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


class MonthlyBodies:
    """The databases under `bodies/`; key `u64(index)`, value the body's bytes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()  # guards _open: readers open months too
        self._open: dict[str, plyvel.DB] = {}  # insertion order is the order of use

    def months(self) -> tuple[str, ...]:
        """The months that have a database, ascending."""
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError as error:
            message = f"reading bodies: {error}"
            raise StoreError(message) from error
        return tuple(sorted(name for name in names if _MONTH.fullmatch(name)))

    def create_month(self, t: int) -> None:
        """Make the month of t, durably; it must not be there yet."""
        month = month_of(t)
        database = open_database(
            self._directory / month,
            write_buffer=WRITE_BUFFER_BYTES,
            cache=CACHE_BYTES,
            create=True,
        )
        database.close()
        sync_directory(self._directory / month)
        sync_directory(self._directory)

    def write(self, batch: Batch, newest_t: int) -> None:
        """Make the bodies of a batch durable; newest_t is the t of the batch before (seconds)."""
        if not any(body is not None for body in batch.bodies):
            return
        month = month_of(batch.record.t)
        if month not in self.months():
            if month_of(newest_t) >= month:
                message = f"bodies of {month} are missing"
                raise StoreError(message)
            self.create_month(batch.record.t)
        database = self._database(month)
        with database.write_batch(transaction=True, sync=True) as rows:
            for index, body in enumerate(batch.bodies, batch.record.first_index):
                if body is not None:
                    rows.put(pack_index(index), body)

    def read(self, index: int, t: int) -> bytes | None:
        """The body at index in the month of t, or None."""
        month = month_of(t)
        if month not in self.months():
            return None
        body = self._database(month).get(pack_index(index), verify_checksums=True)
        return None if body is None else bytes(body)

    def remove_orphans(self, size: int, newest_t: int) -> None:
        """Delete bodies at or beyond size: a crash left them, no leaf refers to them."""
        for month in self.months():
            if month < month_of(newest_t):
                continue
            database = self._database(month)
            with database.iterator(start=pack_index(size), include_value=False) as keys:
                orphans = list(keys)
            if orphans:
                with database.write_batch(transaction=True, sync=True) as rows:
                    for key in orphans:
                        rows.delete(key)

    def drop(self, month: str) -> None:
        """Remove a month whole. The rename first: a crash leaves a month whole or gone."""
        with self._lock:
            database = self._open.pop(month, None)
        if database is not None:
            database.close()
        if month in self.months():
            doomed = self._directory / f"{month}.dropped"
            (self._directory / month).rename(doomed)
            sync_directory(self._directory)
            shutil.rmtree(doomed)

    def close(self) -> None:
        """Close every month."""
        with self._lock:
            for database in self._open.values():
                database.close()
            self._open.clear()

    def _database(self, month: str) -> plyvel.DB:
        with self._lock:
            database = self._open.pop(month, None)
            if database is None:
                database = open_database(
                    self._directory / month, write_buffer=WRITE_BUFFER_BYTES, cache=CACHE_BYTES
                )
            self._open[month] = database
            if len(self._open) > MAX_OPEN_MONTHS:
                # Dropped, not closed: another thread may be reading; the last user closes it.
                del self._open[next(iter(self._open))]
            return database
