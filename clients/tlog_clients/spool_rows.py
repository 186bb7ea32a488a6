"""The rows of a spool: entries and the one row of its state, each with a SHA-256 over its fields.

SQLite finds a damaged page only when its structure no longer makes sense.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from hashlib import sha256

SCHEMA = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), fields TEXT NOT NULL, sha256 BLOB NOT NULL
);
CREATE TABLE entry (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, spooled_ms INTEGER NOT NULL,
    entry BLOB NOT NULL, sha256 BLOB NOT NULL
);
CREATE TABLE set_aside (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, spooled_ms INTEGER NOT NULL,
    entry BLOB NOT NULL, reason TEXT NOT NULL
);
"""

EntryRow = tuple[int, str, int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What a spool holds: the entries of the numbers [first, next), without a gap.

    log: the name of the log that they are for. count_bytes: what they count for in its bound.
    tried_to: the entries before that number were sent at tried_s (POSIX seconds), by whoever has
    the token with the mark tried_by ("several" after tries with different ones), and nothing is
    known of them; equal to first when none were.
    """

    log: str
    first: int
    next: int
    count_bytes: int
    tried_to: int
    tried_s: int
    tried_by: str


def format_state(state: SpoolState) -> tuple[str, bytes]:
    """Return the fields as text and their hash."""
    fields = json.dumps(astuple(state))
    return fields, sha256(fields.encode()).digest()


def parse_state(fields: object, digest: object) -> SpoolState | None:
    """Return the state; None when its hash is another."""
    if not isinstance(fields, str) or sha256(fields.encode()).digest() != digest:
        return None
    return SpoolState(*json.loads(fields))


def make_row(number: int, entry_id: str, spooled_ms: int, entry: bytes) -> EntryRow:
    """Return the row of an entry, its hash last."""
    return number, entry_id, spooled_ms, entry, _digest(number, entry_id, spooled_ms, entry)


def intact_row(row: tuple[object, ...], number: int) -> EntryRow | None:
    """Return the row that was read; None when it is not the one that was written as `number`."""
    match row:
        case (int(found), str(entry_id), int(spooled_ms), bytes(entry), bytes(digest)) if (
            found == number and _digest(number, entry_id, spooled_ms, entry) == digest
        ):
            return found, entry_id, spooled_ms, entry, digest
    return None


def _digest(number: int, entry_id: str, spooled_ms: int, entry: bytes) -> bytes:
    return sha256(b"%d %d %b\n%b" % (number, spooled_ms, entry_id.encode(), entry)).digest()
