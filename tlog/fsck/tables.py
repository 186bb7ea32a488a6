"""The SQLite databases row by row: pages sound, every row with its digest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from tlog.errors import StoreError
from tlog.fsck.damage import DamageError, Place
from tlog.sqlite import Column, check_row, open_database


@contextmanager
def open_tables(path: Path) -> Iterator[sqlite3.Connection]:
    """An existing database whose pages SQLite finds sound.

    SQLite's own check finds rows that are there and cannot be reached, which no digest shows.

    Raises:
        DamageError: it is missing, cannot be read, or is not sound.
    """
    place = Place(path.name, "database")
    try:
        connection = open_database(path)
    except StoreError as error:
        raise DamageError(place, str(error)) from error
    with closing(connection):
        try:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise DamageError(place, str(error)) from error
        if found != ("ok",):
            raise DamageError(place, f"SQLite says: {found[0] if found else 'nothing'}")
        yield connection


def table_names(connection: sqlite3.Connection, file: str) -> tuple[str, ...]:
    """The names of all tables, ascending (DamageError when they cannot be read)."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    try:
        return tuple(str(name) for (name,) in connection.execute(query))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise DamageError(Place(file, "list of tables"), str(error)) from error


def checked_rows(
    connection: sqlite3.Connection, file: str, table: str
) -> Iterator[tuple[Place, Sequence[Column]]]:
    """Every row of a table by its first column, without its digest, and where it stands.

    Raises:
        DamageError: from `next`: the row cannot be read, or its digest does not fit.
    """
    quoted = '"' + table.replace('"', '""') + '"'
    place = Place(file, f"row of {table}")
    try:
        for row in connection.execute(f"SELECT * FROM {quoted} ORDER BY 1"):  # noqa: S608 - quoted
            place = _row_place(file, table, row)
            yield place, check_row(table, cast("tuple[Column, ...]", row))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise DamageError(place, f"the row after it cannot be read ({error})") from error
    except StoreError as error:
        raise DamageError(place, "its digest does not fit") from error


def _row_place(file: str, table: str, row: Sequence[object]) -> Place:
    """A row is known by its first column: a size, a name, an id."""
    first = row[0]
    index = first if isinstance(first, int) else None
    key = first.encode() if isinstance(first, str) else None
    return Place(file, f"row of {table}", key, index)
