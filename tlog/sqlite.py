"""SQLite as tlog uses it: never created by accident, synced in full, every row with a digest.

SQLite has no page checksums: so each row carries the SHA-256 of the deterministic CBOR of
`[table, column, ...]` in its last column, and is checked at every read (spec/data-directory.md).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tlog.errors import StoreError
from tlog_proofs import encode_cbor

Column = str | int | bytes | None


def create_database(path: Path, schema: str) -> None:
    """Make a database that must not be there yet; the caller makes its name durable.

    Raises:
        StoreError: it is there already, or cannot be written.
    """
    if path.exists():
        message = f"{path.name} exists already"
        raise StoreError(message)
    with wrapping(path.name):
        connection = _connect(path, "rwc")
        try:
            connection.executescript(schema)
            connection.commit()
        finally:
            connection.close()
    path.chmod(0o600)


def open_database(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading and writing (WAL, synchronous FULL).

    What a crash left in the write-ahead log goes into the database now: the next write, which
    would empty it too, may be far away.

    Raises:
        StoreError: it is missing or cannot be read.
    """
    with wrapping(path.name):
        connection = _connect(path, "rw")
        try:
            _empty_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def open_unchanged(path: Path) -> sqlite3.Connection:
    """Open an existing database that nobody else has, to read from it and to change no file.

    What a crash left in the write-ahead log is read from there, if its index is left too.

    Raises:
        StoreError: it is missing or cannot be read.
    """
    beside = [path.with_name(f"{path.name}-{what}") for what in ("wal", "shm")]
    # To read a write-ahead log SQLite needs its index; it makes what is missing of the two.
    how = "readonly_shm=1" if all(file.exists() for file in beside) else "immutable=1"
    with wrapping(path.name):
        connection = sqlite3.connect(f"{_address(path)}?mode=ro&{how}", uri=True)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection


def _address(path: Path) -> str:
    return f"file:{quote(os.fsencode(path.absolute()))}"


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{_address(path)}?mode={mode}", uri=True, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def wrapping(name: str) -> Iterator[None]:
    """Turn SQLite's and the file system's errors into StoreError, naming the database."""
    try:
        yield
    except OSError as error:
        message = f"{name}: {error.strerror or error}"
        raise StoreError(message) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # The second: Python decodes the names of columns, which a damaged schema holds.
        message = f"{name}: {error}"
        raise StoreError(message) from error


@contextmanager
def writing(name: str, database: sqlite3.Connection) -> Iterator[None]:
    """One durable transaction, after which the write-ahead log is empty.

    SQLite takes a damaged write-ahead log for a shorter one and says nothing: after a crash and
    one flipped bit a revoked token would be valid again. Rows in the database have digests.
    """
    with committing(name, database):
        yield
    empty_write_ahead_log(name, database)


@contextmanager
def committing(name: str, database: sqlite3.Connection) -> Iterator[None]:
    """One durable transaction; `empty_write_ahead_log` is to follow soon."""
    with wrapping(name), database:
        yield


def empty_write_ahead_log(name: str, database: sqlite3.Connection) -> None:
    """Move what was committed into the database, durably; does nothing when all of it is there."""
    with wrapping(name):
        _empty_log(database)


def _empty_log(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def row_digest(table: str, columns: Sequence[Column]) -> bytes:
    """The digest (32 bytes) of a row's columns without the digest itself."""
    return hashlib.sha256(encode_cbor([table, *columns])).digest()


def check_row(table: str, row: Sequence[Column]) -> Sequence[Column]:
    """The columns of a row whose last column is their digest.

    Raises:
        StoreError: the digest does not fit: the row is damaged.
    """
    *columns, digest = row
    try:
        expected = row_digest(table, columns)
    except Exception as error:  # a damaged row may hold a type that has no encoding
        message = f"a row of {table} is damaged: {type(error).__name__}"
        raise StoreError(message) from error
    if digest != expected:
        message = f"a row of {table} is damaged: its digest does not fit"
        raise StoreError(message)
    return columns
