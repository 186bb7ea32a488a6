"""Every planted fault in a key, a head, a month or a row of SQLite is named."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fsck.stored_log import NAME, ORIGIN, damage_of
from tlog.publisher import sign_head
from tlog.signer import read_key, write_key
from tlog.sqlite import Column, row_digest
from tlog_proofs import Ed25519Signer


def _lose_month(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "logs" / NAME / "bodies" / "2026-11")


def _stray_month(data_dir: Path) -> None:
    (data_dir / "logs" / NAME / "bodies" / "2026-13").mkdir()


def _lose_log(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "logs" / NAME / "log")


def _open_key(data_dir: Path) -> None:
    (data_dir / "logs" / NAME / "key").chmod(0o644)


def _other_key(data_dir: Path) -> None:
    path = data_dir / "logs" / NAME / "key"
    path.unlink()
    write_key(path, Ed25519Signer(ORIGIN, bytes(32)))


def _head(data_dir: Path) -> Path:
    return data_dir / "heads" / hashlib.sha256(ORIGIN.encode()).hexdigest()


def _lose_head(data_dir: Path) -> None:
    _head(data_dir).unlink()


def _damage_head(data_dir: Path) -> None:
    head = bytearray(_head(data_dir).read_bytes())
    head[-10] ^= 1
    _head(data_dir).write_bytes(head)


def _sign(data_dir: Path, size: int) -> None:
    signer = read_key(data_dir / "logs" / NAME / "key")
    _head(data_dir).write_bytes(sign_head(signer, size, bytes(32)))


def _head_of_another_tree(data_dir: Path) -> None:
    _sign(data_dir, 605)


def _head_of_a_larger_tree(data_dir: Path) -> None:
    _sign(data_dir, 606)


def _older_head(data_dir: Path) -> None:
    with sqlite3.connect(data_dir / "logs" / NAME / "checkpoints.db") as rows:
        (note,) = rows.execute("SELECT note FROM checkpoints WHERE size = 4").fetchone()
    rows.close()
    _head(data_dir).write_bytes(note)


def _sql(file: str, statement: str) -> Callable[[Path], None]:
    def plant(data_dir: Path) -> None:
        with sqlite3.connect(data_dir / file) as rows:
            rows.execute(statement)
        rows.close()

    return plant


def _row(file: str, table: str, **changes: Column) -> Callable[[Path], None]:
    """The first row of a table with other columns and the digest that fits them."""

    def plant(data_dir: Path) -> None:
        with sqlite3.connect(data_dir / file) as rows:
            rows.row_factory = sqlite3.Row
            first = f"SELECT * FROM {table} ORDER BY 1"  # noqa: S608 - our own names
            row = dict(rows.execute(first).fetchone()) | changes
            columns = [value for name, value in row.items() if name != "digest"]
            marks = ", ".join("?" * len(row))
            values = [*columns, row_digest(table, columns)]
            put = f"REPLACE INTO {table} VALUES ({marks})"  # noqa: S608 - our own names
            rows.execute(put, values)
        rows.close()

    return plant


def _note_of_another_tree(data_dir: Path) -> None:
    """A row with the right digest and signature, of a tree that never was."""
    note = sign_head(read_key(data_dir / "logs" / NAME / "key"), 1, bytes(32))
    _row(CHECKPOINTS, "checkpoints", root=bytes(32), note=note)(data_dir)


def _note_of_another_size(data_dir: Path) -> None:
    """A row whose columns say another size than its note."""
    note = sign_head(read_key(data_dir / "logs" / NAME / "key"), 3, bytes(32))
    _row(CHECKPOINTS, "checkpoints", note=note)(data_dir)


def _key_that_is_not_in_the_genesis(data_dir: Path) -> None:
    """Key, control.db and head agree with each other, and not with entry 0."""
    _other_key(data_dir)
    signer = Ed25519Signer(ORIGIN, bytes(32))
    _row("control.db", "logs", vkey=signer.verifier.vkey)(data_dir)
    _head(data_dir).write_bytes(sign_head(signer, 605, bytes(32)))


def _row_that_no_index_reaches(data_dir: Path) -> None:
    """The row is whole, and a search by its origin does not find it: no digest shows that."""
    with sqlite3.connect(data_dir / "control.db") as rows:
        (size,) = rows.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_logs_2'"
        (page,) = rows.execute(query).fetchone()
    rows.close()
    with (data_dir / "control.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes([10, 0, 0, 0, 0, *size.to_bytes(2, "big"), 0]))  # a leaf without cells


CHECKPOINTS = f"logs/{NAME}/checkpoints.db"
STATES: list[tuple[str, Callable[[Path], None], str, str]] = [
    ("a month of bodies lost", _lose_month, "bodies/2026-11", "entries [602, 605) belong to it"),
    ("a month that is none", _stray_month, "bodies/2026-13", "expected YYYY-MM"),
    ("log/ lost", _lose_log, "log/", "missing"),
    ("a key that others can read", _open_key, "key", "0644"),
    ("another key", _other_key, "key", "the log's is"),
    ("the head lost", _lose_head, "heads/", "missing"),
    ("a damaged head", _damage_head, "heads/", "no checkpoint of this log"),
    ("a head of another tree", _head_of_another_tree, "heads/", "the entries have"),
    ("a head of a larger tree", _head_of_a_larger_tree, "heads/", "older copy"),
    ("an older head", _older_head, "checkpoints.db", "above the stored head of size 4"),
    ("a changed column", _sql(CHECKPOINTS, "UPDATE checkpoints SET published_ms = 1"),
     "checkpoints.db", "digest"),
    ("no checkpoint", _sql(CHECKPOINTS, "DELETE FROM checkpoints"), "checkpoints.db", "empty"),
    ("a checkpoint of another tree", _note_of_another_tree, "checkpoints.db", "the entries have"),
    ("a checkpoint of another size", _note_of_another_size, "checkpoints.db", "its note is of"),
    ("a key that is not in the genesis", _key_that_is_not_in_the_genesis, "log/", "log's key"),
    ("a log of another origin", _row("control.db", "logs", origin="log.example/else"),
     "control.db", "cannot be"),
    ("a token of no log", _row("control.db", "tokens", logs="nowhere"), "control.db", "exist"),
    ("a short token hash", _row("control.db", "tokens", token_hash=b"x"), "control.db", "32 bytes"),
    ("a row that no index reaches", _row_that_no_index_reaches, "control.db", "SQLite says"),
    ("a changed log row", _sql("control.db", "UPDATE logs SET public = 1"), "control.db", "digest"),
    ("a changed token", _sql("control.db", "UPDATE tokens SET expires = 9e9"), "control.db",
     "digest"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "plant", "file", "what"),
    STATES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_file_is_named(
    data: Path, name: str, plant: Callable[[Path], None], file: str, what: str
) -> None:
    """Key, head, months and the rows of both SQLite databases."""
    plant(data)
    damage = damage_of(data)
    assert damage.place.file == file
    assert what in damage.what


def test_a_row_is_named_by_its_size_or_name(data: Path) -> None:
    """The wrong checkpoint is known by its size."""
    _sql(CHECKPOINTS, "UPDATE checkpoints SET published_ms = 1 WHERE size = 602")(data)
    assert damage_of(data).place.index == 602
