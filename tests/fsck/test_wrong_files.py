"""Every planted fault in a key, a head, a month or a row of SQLite is named."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fsck.stored_log import NAME, ORIGIN, damage_of
from tests.server.doubles import START_S
from tlog.publisher import sign_head
from tlog.signer import read_key, write_key
from tlog.sqlite import row_digest
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


def _note_of_another_tree(data_dir: Path) -> None:
    """A row with the right digest and signature, of a tree that never was."""
    signer = read_key(data_dir / "logs" / NAME / "key")
    columns = [4, bytes(32), START_S * 1000, sign_head(signer, 4, bytes(32)), None]
    with sqlite3.connect(data_dir / CHECKPOINTS) as rows:
        rows.execute(
            "REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
            [*columns, row_digest("checkpoints", columns)],  # type: ignore[arg-type]
        )
    rows.close()


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
