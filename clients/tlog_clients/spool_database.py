"""The database under a spool: its files, their lock, its connection, and what its errors mean."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tlog_clients.appender_errors import (
    SpoolDamagedError,
    SpoolError,
    SpoolLockedError,
    SpoolWriteError,
)
from tlog_clients.spool_rows import SCHEMA, SpoolState, format_state, parse_state

if TYPE_CHECKING:
    from collections.abc import Iterator

_APPLICATION_ID = 0x746C7370  # "tlsp"
_FORMAT = 1
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_MAY_PASS = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
_UNUSABLE = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM}
)
_NOTE_BYTES = 20
_PRIMARY_CODE = 0xFF  # of an extended result code


class SpoolDatabase:
    """One file of SQLite, open and locked until close()."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open it, or make it and its directory.

        Raises:
            SpoolLockedError: another appender has it open.
            SpoolDamagedError: it is no database, or a damaged one.
            SpoolError: it cannot be opened or made.
        """
        self.path = Path(os.path.realpath(path))
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        with self.guard():
            self.path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._lock = self._take_lock()
        try:
            with self.guard():
                self.connection = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def read_state(self, log: str) -> SpoolState:
        """Return the state as it was committed last; that of an empty spool when there is none.

        Raises:
            SpoolDamagedError: the database is no spool, or its state is damaged.
            SpoolError: it is another log's.
        """
        with self.guard():
            (kind,) = self.connection.execute("PRAGMA application_id").fetchone()
            (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if (kind, tables) == (0, 0):
                if self._noted_next():
                    self.refuse("it was made before, and is empty now")
                return self._make(log)
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
            if (kind, version) != (_APPLICATION_ID, _FORMAT):
                self.refuse(f"expected a spool of format {_FORMAT}")
            row = self.connection.execute("SELECT fields, sha256 FROM state").fetchone()
        state = None if row is None else parse_state(*row)
        if state is None:
            self.refuse("its state is damaged")
        if state.log != log:
            raise SpoolError(str(self.path), f"expected one for {log}, it is for {state.log}")
        if state.next < self._noted_next():
            self.refuse(
                f"expected the entries before {self._noted_next()}, which were durable, found "
                f"those before {state.next}: {self.path.name}-wal is damaged or lost, or this is "
                "an older copy"
            )
        return state

    @contextmanager
    def commit(self, after: SpoolState) -> Iterator[None]:
        """Do what is within, and go over to the state after it, in one durable step.

        Raises:
            SpoolWriteError: nothing of it was done.
            SpoolDamagedError: the database is damaged.
        """
        with self.guard():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute(
                    "UPDATE state SET fields = ?, sha256 = ?", format_state(after)
                )
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        self._note_next(after)

    def close(self, *, wipe: bool) -> None:
        """Leave the database without a write-ahead log, and give up the lock.

        wipe: whether to overwrite what was deleted.
        """
        try:
            with self.guard():
                if wipe:
                    self.connection.execute("VACUUM")
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except SpoolWriteError:
            pass  # what is durable in the write-ahead log is read from there
        finally:
            self.connection.close()
            os.close(self._lock)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Raise errors of SQLite and the system as the spool's own."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
            if code in _MAY_PASS:
                raise SpoolWriteError(str(self.path), f"cannot be written ({error})") from error
            if code in _UNUSABLE:
                raise SpoolError(str(self.path), f"cannot be used ({error})") from error
            self.refuse(f"damaged ({error})", error)
        except OSError as error:
            raise SpoolError(str(self.path), f"cannot be opened ({error.strerror})") from error

    def refuse(self, detail: str, cause: BaseException | None = None) -> NoReturn:
        """Raise the error of a damaged spool.

        Raises:
            SpoolDamagedError: always.
        """
        raise SpoolDamagedError(str(self.path), detail) from cause

    def _take_lock(self) -> int:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise SpoolLockedError(str(self.path), "another appender has it open") from None
        return descriptor

    def _open(self) -> sqlite3.Connection:
        """Open the file, made before with its mode: SQLite gives the others the same."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        os.close(os.open(self.path, flags, _FILE_MODE))
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(directory)
        os.close(directory)
        # Opened by one thread and used by another, never by two at a time.
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in (
                "locking_mode = EXCLUSIVE",
                "journal_mode = WAL",
                "synchronous = FULL",
                "trusted_schema = OFF",
                "cell_size_check = ON",
            ):
                database.execute(f"PRAGMA {pragma}")
        except BaseException:
            database.close()
            raise
        return database

    def _make(self, log: str) -> SpoolState:
        state = SpoolState(log, 1, 1, 0, 1, 0, "")
        script = (
            f"BEGIN; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_FORMAT};"
        )
        self.connection.executescript(script + SCHEMA)
        self.connection.execute("INSERT INTO state VALUES (1, ?, ?)", format_state(state))
        self.connection.execute("COMMIT")
        self._note_next(state)
        os.fsync(self._lock)
        return state

    def _noted_next(self) -> int:
        """The number that the next entry had at the last commit; 0 when there was none."""
        note = os.pread(self._lock, _NOTE_BYTES + 1, 0)
        if note and not (len(note) == _NOTE_BYTES and note.strip().isdigit()):
            self.refuse(f"{self._lock_path.name} is damaged: expected one number")
        return int(note or 0)

    def _note_next(self, state: SpoolState) -> None:
        """Write beside the database how far it goes, now that it does.

        SQLite takes an empty file for a new one, and ends a write-ahead log before the first
        damaged frame: both would lose entries in silence. Never ahead of the database, so not
        synced.
        """
        with suppress(OSError):
            os.pwrite(self._lock, b"%019d\n" % state.next, 0)
