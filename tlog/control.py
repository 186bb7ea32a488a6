"""`control.db`: the logs and tokens of a data directory. A log exists when its row does."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlog.errors import ControlDatabaseError, StoreError
from tlog.ids import KEY_BYTES, WeekKey
from tlog.sqlite import (
    Column,
    check_row,
    create_database,
    open_database,
    open_unchanged,
    row_digest,
    wrapping,
    writing,
)
from tlog.tokens import Scope, TokenRow

FORMAT_VERSION = 1
SCHEMA = """
CREATE TABLE meta (
    format INTEGER PRIMARY KEY,
    heads TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE logs (
    name TEXT PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    public INTEGER NOT NULL,
    vkey TEXT NOT NULL,
    created INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    logs TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE id_keys (
    log TEXT NOT NULL,
    week INTEGER NOT NULL,
    key BLOB NOT NULL,
    first_index INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (log, week)
) STRICT;
"""
# Made with its first row: before there were any, directories had no such table.
CERTIFICATES = """
CREATE TABLE IF NOT EXISTS certificates (
    id TEXT PRIMARY KEY,
    key_hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    logs TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER,
    digest BLOB NOT NULL
) STRICT
"""

_CHANGING = ("tokens", "certificates")  # tables whose rows are stored again
LOG_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log that exists; kind is `opaque/1` or `event/1`, created POSIX seconds."""

    name: str
    origin: str
    kind: str
    public: bool
    vkey: str
    created: int


class ControlDatabase:
    """The rows of control.db; calls block, and are made by one thread at a time."""

    def __init__(self, path: Path, *, unchanged: bool = False) -> None:
        """Open an existing control.db; `heads` is the directory of the head store.

        unchanged: only read, and change no file; for one that nobody else has.

        Raises:
            ControlDatabaseError: it is missing, damaged, or of another format.
        """
        try:
            self._database = open_unchanged(path) if unchanged else open_database(path)
        except StoreError as error:
            raise ControlDatabaseError(str(error)) from error
        try:
            # Relative to the data directory when it lies inside: DIR may be moved.
            self.heads = path.absolute().parent / self._read_heads()
        except BaseException:
            self._database.close()
            raise

    @staticmethod
    def create(path: Path, heads: Path) -> None:
        """Make a control.db that must not be there yet; heads: absolute, or inside DIR."""
        create_database(path, SCHEMA)
        with wrapping(path.name):
            database = open_database(path)
            try:
                _insert(database, "meta", [FORMAT_VERSION, str(heads)])
            finally:
                database.close()

    def logs(self) -> list[LogRow]:
        """All logs, by name."""
        rows = []
        for columns in self._rows("logs", "name"):
            match columns:
                case [str(name), str(origin), str(kind), 0 | 1 as public, str(vkey), int(created)]:
                    rows.append(LogRow(name, origin, kind, bool(public), vkey, created))
                case _:
                    raise _damaged("logs")
        return rows

    def add_log(self, row: LogRow) -> None:
        """Make a log exist, durably."""
        _insert(
            self._database,
            "logs",
            [row.name, row.origin, row.kind, int(row.public), row.vkey, row.created],
        )

    def tokens(self) -> list[TokenRow]:
        """All tokens, then all certificates of clients, by id."""
        return [*self._principals("tokens"), *self._principals("certificates")]

    def _principals(self, table: str) -> Iterator[TokenRow]:
        for columns in self._rows(table, "id"):
            match columns:
                case [
                    str(i),
                    bytes(h),
                    str(scopes),
                    str(logs),
                    int(created),
                    int(expires),
                    None | int() as revoked,
                ]:
                    try:
                        known = frozenset(Scope(scope) for scope in scopes.split())
                    except ValueError as error:
                        raise _damaged(table) from error
                    names = frozenset(logs.split())
                    certificate = table == "certificates"
                    yield TokenRow(i, h, known, names, created, expires, revoked, certificate)
                case _:
                    raise _damaged(table)

    def put_token(self, row: TokenRow) -> None:
        """Store the row of a token or a certificate, new or changed, durably."""
        if row.certificate:
            with writing("control.db", self._database):
                self._database.execute(CERTIFICATES)
        _insert(
            self._database,
            "certificates" if row.certificate else "tokens",
            [
                row.id,
                row.token_hash,
                " ".join(sorted(row.scopes)),
                " ".join(sorted(row.logs)),
                row.created,
                row.expires,
                row.revoked,
            ],
        )

    def id_keys(self, log_name: str) -> tuple[WeekKey, ...]:
        """The keys of a log's idempotency ids."""
        keys = []
        for columns in self._rows("id_keys", "log, week"):
            match columns:
                case [str(log), int(week), bytes(key), int(first)] if len(key) == KEY_BYTES:
                    if log == log_name:
                        keys.append(WeekKey(week, key, first))
                case _:
                    raise _damaged("id_keys")
        return tuple(keys)

    def add_id_key(self, log_name: str, key: WeekKey) -> None:
        """Store the key of a week, durably, before anything is written under it."""
        _insert(self._database, "id_keys", [log_name, key.week, key.key, key.first_index])

    def replace_id_key(self, log_name: str, key: WeekKey) -> None:
        """Store another key for a week, durably: ids under the old one are known no more."""
        columns: list[Column] = [log_name, key.week, key.key, key.first_index]
        with writing("control.db", self._database):
            self._database.execute(
                "INSERT OR REPLACE INTO id_keys VALUES (?, ?, ?, ?, ?)",
                [*columns, row_digest("id_keys", columns)],
            )

    def destroy_id_keys(self, log_name: str, before_week: int) -> None:
        """Destroy a log's keys of earlier weeks: overwritten in the database, gone from the WAL."""
        with writing("control.db", self._database):
            self._database.execute(
                "DELETE FROM id_keys WHERE log = ? AND week < ?", [log_name, before_week]
            )

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._database.close()

    def _read_heads(self) -> Path:
        rows = list(self._rows("meta", "format"))
        match rows:
            case [[1, str(heads)]]:
                return Path(heads)
        message = f"control.db is not of format {FORMAT_VERSION}"
        raise ControlDatabaseError(message)

    def _has_certificates(self) -> bool:
        named = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'certificates'"
        (count,) = self._database.execute(named).fetchone()
        return bool(count)

    def _rows(self, table: str, order: str) -> list[Sequence[Column]]:
        """All rows of a table without their digests, each checked."""
        try:
            with wrapping("control.db"):
                if table == "certificates" and not self._has_certificates():
                    return []
                rows = self._database.execute(
                    f"SELECT * FROM {table} ORDER BY {order}"  # noqa: S608 - our own names
                ).fetchall()
            return [list(check_row(table, row)) for row in rows]
        except StoreError as error:
            message = f"control.db: {error}"
            raise ControlDatabaseError(message) from error


def _insert(database: sqlite3.Connection, table: str, columns: Sequence[Column]) -> None:
    marks = ", ".join("?" * (len(columns) + 1))
    verb = "INSERT OR REPLACE" if table in _CHANGING else "INSERT"
    with writing("control.db", database):
        database.execute(
            f"{verb} INTO {table} VALUES ({marks})",
            [*columns, row_digest(table, columns)],
        )


def _damaged(table: str) -> ControlDatabaseError:
    return ControlDatabaseError(f"control.db: a row of {table} is damaged: wrong types")
