"""The rows beside the databases: control.db, the key, checkpoints.db, the signed head."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlog.checkpoints import TABLE as CHECKPOINTS
from tlog.control import LOG_NAME, ControlDatabase, LogRow
from tlog.errors import ControlDatabaseError, DataDirectoryError, NotFoundError, StoreError
from tlog.fsck.damage import DamageError, Place, Report, leaf_place
from tlog.fsck.tables import checked_rows, open_tables, table_names
from tlog.fsck.tree import Claim
from tlog.heads import FileHeadStore
from tlog.ids import WeekKey
from tlog.signer import read_key
from tlog.sqlite import Column
from tlog_proofs import (
    Genesis,
    SignedCheckpoint,
    TlogError,
    Verifier,
    open_checkpoint,
    parse_genesis,
    parse_vkey,
)

TOKEN_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class ControlRows:
    """What control.db says: of a log, of the head store's directory, and how many tokens."""

    row: LogRow
    id_keys: tuple[WeekKey, ...]
    heads: Path
    tokens: int


def check_control(path: Path, name: str) -> ControlRows:
    """Check every row of control.db, and read what it says of a log.

    Raises:
        DamageError: names the first wrong row. NotFoundError: there is no log of that name.
    """
    with open_tables(path) as connection:
        for table in table_names(connection, path.name):
            for _ in checked_rows(connection, path.name, table):
                pass  # the digest is what there is to check of a table that is not ours to know
    try:
        control = ControlDatabase(path)
        try:
            rows, tokens, heads = control.logs(), control.tokens(), control.heads
            id_keys = control.id_keys(name)
        finally:
            control.close()
    except ControlDatabaseError as error:
        raise DamageError(Place(path.name, "rows"), str(error)) from error
    for row in rows:
        _check_log_row(row)
    names = {row.name for row in rows}
    for token in tokens:
        if len(token.token_hash) != TOKEN_HASH_BYTES or not token.logs <= names:
            place = Place(path.name, "row of tokens", token.id.encode())
            raise DamageError(place, "expected a hash of 32 bytes and logs that exist")
    for row in rows:
        if row.name == name:
            return ControlRows(row, id_keys, heads, len(tokens))
    message = f"no log named {name}"
    raise NotFoundError(message)


def check_key(path: Path, row: LogRow) -> None:
    """Check the key file: its mode, its form, and that it is the log's.

    Raises:
        DamageError: it is not.
    """
    place = Place(path.name, "signer key")
    try:
        vkey = read_key(path).verifier.vkey
    except DataDirectoryError as error:
        raise DamageError(place, str(error)) from error
    if vkey != row.vkey:
        raise DamageError(place, f"is of {vkey}, the log's is {row.vkey}")


def check_genesis(entry: bytes, row: LogRow) -> Genesis:
    """Check that entry 0 is the genesis of the log of a control row.

    Raises:
        DamageError: it is not.
    """
    place = leaf_place(0)
    try:
        genesis = parse_genesis(entry)
    except TlogError as error:
        raise DamageError(place, f"is no genesis: {error}") from error
    for what, found, expected in (
        ("origin", genesis.origin, row.origin),
        ("kind", genesis.kind, row.kind),
    ):
        if found != expected:
            raise DamageError(place, f"names the {what} {found}, control.db {expected}")
    if row.vkey not in genesis.vkeys:
        raise DamageError(place, f"does not name the log's key {row.vkey}")
    return genesis


def check_head(heads: FileHeadStore, row: LogRow) -> Claim:
    """Check the stored head's form and signature; what it claims of the tree.

    Raises:
        DamageError: it is missing, or not one of this log.
    """
    place = Place("heads/", f"head of {row.origin}")
    try:
        note = heads.fetch(row.origin)
    except StoreError as error:
        raise DamageError(place, str(error)) from error
    if note is None:
        raise DamageError(place, "is missing, and every log has one")
    signed = _open_note(place, note, parse_vkey(row.vkey))
    return Claim(signed.size, signed.root, place)


def read_claims(
    connection: sqlite3.Connection, row: LogRow, head: Claim, report: Report
) -> Iterator[Claim]:
    """Check every row of checkpoints.db by itself; what they and the head claim, sizes ascending.

    Raises:
        DamageError: from `next`: names the first wrong row.
    """
    return heapq.merge(
        _checkpoint_claims(connection, row, head, report), [head], key=lambda claim: claim.size
    )


def _checkpoint_claims(
    connection: sqlite3.Connection, row: LogRow, head: Claim, report: Report
) -> Iterator[Claim]:
    verifier = parse_vkey(row.vkey)
    for place, columns in checked_rows(connection, "checkpoints.db", CHECKPOINTS):
        size, root, note = _columns(place, columns)
        signed = _open_note(place, note, verifier)
        if (signed.size, signed.root) != (size, root):
            what = f"its note is of size {signed.size} and root {signed.root.hex()}"
            raise DamageError(place, what)
        if size > head.size:
            what = f"is above the stored head of size {head.size}: the head is an older copy"
            raise DamageError(place, what)
        report.checkpoints += 1
        yield Claim(size, root, place)
    if not report.checkpoints:
        place = Place("checkpoints.db", f"table {CHECKPOINTS}")
        raise DamageError(place, "is empty, and every log has a checkpoint")


def _columns(place: Place, columns: Sequence[Column]) -> tuple[int, bytes, bytes]:
    match columns:
        case [int(size), bytes(root), int(), bytes(note), None | bytes()] if size > 0:
            return size, root, note
    raise DamageError(place, "has columns of other types")


def _open_note(place: Place, note: bytes, verifier: Verifier) -> SignedCheckpoint:
    try:
        return open_checkpoint(note, verifier)
    except TlogError as error:
        raise DamageError(place, f"is no checkpoint of this log: {error}") from error


def _check_log_row(row: LogRow) -> None:
    place = Place("control.db", "row of logs", row.name.encode())
    try:
        name = parse_vkey(row.vkey).name
    except TlogError as error:
        raise DamageError(place, f"its vkey: {error}") from error
    if not LOG_NAME.fullmatch(row.name) or name != row.origin:
        raise DamageError(place, f"{row.origin} of the key {row.vkey} cannot be")
