"""The spool: order, ids, bounds, its lock, and what damage does to it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from tlog_clients.appender_errors import (
    SpoolDamagedError,
    SpoolError,
    SpoolLockedError,
    SpoolWriteError,
)
from tlog_clients.spool import ENTRY_OVERHEAD_BYTES, Batch, Spool

LOG = "log.example/spooled"
ENTRIES = [b"entry %d " % number * (number % 40) for number in range(300)]


def open_spool(path: Path, now_s: float = 1_000_000.0) -> Spool:
    """The spool of the log, at a fixed time."""
    return Spool(path, LOG, lambda: now_s)


def drain(spool: Spool, max_entries: int = 64) -> list[tuple[str, bytes]]:
    """Everything that it gives, with the ids, as a delivery takes it."""
    taken: list[tuple[str, bytes]] = []
    delivered_to = 0
    while (batch := spool.begin_batch(delivered_to, max_entries, "")) is not None:
        taken += zip(batch.ids, batch.entries, strict=True)
        delivered_to = batch.end
    return taken


def begin(spool: Spool, delivered_to: int, count: int, sender: str = "") -> Batch:
    """A batch that must be there."""
    batch = spool.begin_batch(delivered_to, count, sender)
    assert batch is not None
    return batch


def test_order_and_ids(tmp_path: Path) -> None:
    """Entries come in their order, in another process too, each with an id of its own."""
    spool = open_spool(tmp_path / "spool")
    spool.write(ENTRIES[:100])
    spool.write(ENTRIES[100:101])
    spool.close()
    spool = open_spool(tmp_path / "spool")
    spool.write(ENTRIES[101:])
    taken = drain(spool)
    assert [entry for _, entry in taken] == ENTRIES
    assert len({entry_id for entry_id, _ in taken}) == len(ENTRIES)
    assert (spool.state.count_bytes, spool.oldest_ms) == (0, None)
    spool.close()
    assert not (tmp_path / "spool-wal").exists()
    assert b"entry 2" not in (tmp_path / "spool").read_bytes()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o600


def test_ids_of_other_spools(tmp_path: Path) -> None:
    """No id is that of another spool's entry, nor of a copy that goes its own way."""
    first, second = open_spool(tmp_path / "first"), open_spool(tmp_path / "second")
    first.write([b"one"])
    second.write([b"two"])
    first.close()
    shutil.copy(tmp_path / "first", tmp_path / "copy")
    first, copy = open_spool(tmp_path / "first"), open_spool(tmp_path / "copy")
    first.write([b"three"])
    copy.write([b"four"])
    ids = [entry_id for spool in (first, second) for entry_id, _ in drain(spool)]
    copied = [entry_id for entry_id, _ in drain(copy)]
    assert copied[0] == ids[0]
    assert len({*ids, *copied}) == 4
    for spool in (first, second, copy):
        spool.close()


def test_commits_are_synced(tmp_path: Path) -> None:
    """SQLite syncs its write-ahead log at every commit."""
    spool = open_spool(tmp_path / "spool")
    connection = spool._database.connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    spool.close()


def test_bytes_are_counted(tmp_path: Path) -> None:
    """What the spool counts is the entries' bytes and 128 for each."""
    spool = open_spool(tmp_path / "spool")
    spool.write([b"", b"x" * 1000])
    assert spool.state.count_bytes == 1000 + 2 * ENTRY_OVERHEAD_BYTES
    assert spool.oldest_ms == 1_000_000_000
    spool.forget(2)
    assert spool.state.count_bytes == 1000 + ENTRY_OVERHEAD_BYTES
    spool.close()


def test_what_was_sent_is_sent_again_alone(tmp_path: Path) -> None:
    """A batch of which nothing is known keeps its entries, ids and time over a restart."""
    spool = open_spool(tmp_path / "spool", 5_000.0)
    spool.write(ENTRIES[:10])
    first = begin(spool, 0, 4, "token")
    assert first.tried_s is None
    spool.close()
    spool = open_spool(tmp_path / "spool", 9_000.0)
    spool.write(ENTRIES[10:20])
    again = begin(spool, 0, 100, "other")
    assert (again.ids, again.entries) == (first.ids, first.entries)
    assert (again.tried_s, again.tried_by) == (5_000, "token")
    spool.unmark(again)
    part = begin(spool, 0, 3, "other")
    assert (part.ids, part.tried_s) == (first.ids[:3], 5_000)
    rest = begin(spool, part.end, 100, "other")
    assert (rest.entries, rest.tried_s) == (tuple(ENTRIES[3:4]), 5_000)
    new = begin(spool, rest.end, 100, "other")
    assert (new.entries, new.tried_s) == (tuple(ENTRIES[4:20]), None)
    spool.unmark(new)
    assert begin(spool, new.first, 100).tried_s is None
    spool.close()


def test_several_tokens(tmp_path: Path) -> None:
    """What was tried with two tokens is no one's, unless the second took nothing for certain."""
    spool = open_spool(tmp_path / "spool")
    spool.write(ENTRIES[:10])
    assert begin(spool, 0, 10, "A").tried_s is None
    refused = begin(spool, 0, 10, "B")
    assert refused.tried_by == "A"
    spool.unmark(refused)
    assert begin(spool, 0, 10, "A").tried_by == "A"
    assert begin(spool, 0, 10, "B").tried_by == "A"
    spool.close()
    spool = open_spool(tmp_path / "spool")
    assert begin(spool, 0, 10, "A").tried_by not in ("A", "B")
    assert begin(spool, 0, 10, "B").tried_by not in ("A", "B")
    spool.close()


def test_a_partial_forget_keeps_the_note(tmp_path: Path) -> None:
    """When some of what was tried is forgotten, the rest is still noted, over a restart."""
    spool = open_spool(tmp_path / "spool", 5_000.0)
    spool.write(ENTRIES[:10])
    begin(spool, 0, 6)
    spool.forget(4)
    spool.close()
    spool = open_spool(tmp_path / "spool", 9_000.0)
    rest = begin(spool, 0, 10)
    assert (rest.entries, rest.tried_s) == (tuple(ENTRIES[3:6]), 5_000)
    spool.close()


def test_nothing_is_left(tmp_path: Path) -> None:
    """A spool that is closed empty has none of the entries' bytes in any of its files."""
    spool = open_spool(tmp_path / "spool")
    spool.write([b"secret %d " % number * 200 for number in range(300)])
    spool.forget(spool.state.next)
    spool._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert (tmp_path / "spool").stat().st_size > 500_000
    spool.close()
    for file in tmp_path.iterdir():
        assert b"secret" not in file.read_bytes(), file
    # Many builds of SQLite overwrite what is deleted; written anew, it is small on all of them.
    assert (tmp_path / "spool").stat().st_size < 50_000


def test_closing_a_damaged_spool(tmp_path: Path) -> None:
    """A spool that is found damaged when it is closed says so, and its lock is given up."""
    spool = open_spool(tmp_path / "spool")
    spool._database.connection.execute("DROP TABLE set_aside")
    with pytest.raises(SpoolDamagedError):
        spool.close()
    with pytest.raises(SpoolDamagedError):
        open_spool(tmp_path / "spool").close()


def test_body_is_bounded(tmp_path: Path) -> None:
    """A batch has no more than a request may carry, and none is left out."""
    spool = open_spool(tmp_path / "spool")
    large = [bytes([number]) * 65_535 for number in range(200)]
    spool.write(large)
    batch = begin(spool, 0, 1000)
    assert len(batch.entries) == 8 * 1024 * 1024 // (65_535 // 3 * 4 + 70)
    assert [entry for _, entry in drain(spool, 1000)] == large
    spool.close()


def test_set_aside(tmp_path: Path) -> None:
    """An entry that is set aside is kept, with the reason, and the others come."""
    spool = open_spool(tmp_path / "spool")
    spool.write([b"bad", b"good"])
    spool.set_aside("no log takes it")
    assert [entry for _, entry in drain(spool)] == [b"good"]
    assert spool.count_set_aside() == 1
    spool.close()
    with sqlite3.connect(tmp_path / "spool") as database:
        rows = database.execute("SELECT entry, reason FROM set_aside").fetchall()
    database.close()
    assert rows == [(b"bad", "no log takes it")]


def test_lock(tmp_path: Path) -> None:
    """A spool is open once, and can be opened again after it was closed."""
    spool = open_spool(tmp_path / "spool")
    with pytest.raises(SpoolLockedError, match=r"spool: another appender has it open"):
        open_spool(tmp_path / "spool")
    spool.close()
    open_spool(tmp_path / "spool").close()


def test_other_files(tmp_path: Path) -> None:
    """What is no spool, or that of another log, is refused and stays as it was."""
    open_spool(tmp_path / "spool").close()
    with pytest.raises(SpoolError, match=r"expected one for other, it is for log\.example"):
        Spool(tmp_path / "spool", "other")
    (tmp_path / "text").write_bytes(b"no database at all" * 100)
    with pytest.raises(SpoolDamagedError, match="text: damaged"):
        open_spool(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute("CREATE TABLE entry (number)")
    database.close()
    with pytest.raises(SpoolDamagedError, match="expected a spool of format 1"):
        open_spool(tmp_path / "other")
    (tmp_path / "directory").mkdir()
    with pytest.raises(SpoolError, match="directory: cannot be opened"):
        open_spool(tmp_path / "directory")
    assert (tmp_path / "text").read_bytes() == b"no database at all" * 100


def test_full_disk(tmp_path: Path) -> None:
    """What cannot be written is refused whole; what was written stays, and room makes it go on."""
    spool = open_spool(tmp_path / "spool")
    spool.write(ENTRIES[:100])
    connection = spool._database.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolWriteError, match="full"):
        spool.write(ENTRIES[100:])
    assert spool.state.next == 101
    connection.execute(f"PRAGMA max_page_count = {10 * pages}")
    spool.write(ENTRIES[100:])
    assert [entry for _, entry in drain(spool)] == ENTRIES
    spool.close()


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[tuple[str, bytes]]]:
    """A spool at rest, and what it holds."""
    path = tmp_path / "whole"
    spool = open_spool(path)
    spool.write(ENTRIES)
    spool.close()
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    spool = open_spool(copy)
    contents = drain(spool)
    spool.close()
    return path, contents


def read_damaged(path: Path, data: bytes) -> list[tuple[str, bytes]] | None:
    """What a spool of these bytes gives; None when it says that it is damaged."""
    path.write_bytes(data)
    shutil.copy(path.with_name("whole.lock"), path.with_name(path.name + ".lock"))
    try:
        spool = open_spool(path)
        try:
            return drain(spool)
        finally:
            spool.close()
    except SpoolDamagedError as error:
        assert str(path) in str(error)
        return None


def test_flipped_bits(tmp_path: Path, written: tuple[Path, list[tuple[str, bytes]]]) -> None:
    """Whatever bit is flipped: the entries come as they were written, or the spool is refused."""
    whole, contents = written
    data = whole.read_bytes()
    chance = random.Random(7)
    refused = 0
    for number in range(150):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        taken = read_damaged(tmp_path / f"flipped{number}", bytes(damaged))
        assert taken in (None, contents)
        refused += taken is None
    assert refused > 90


def test_truncated(tmp_path: Path, written: tuple[Path, list[tuple[str, bytes]]]) -> None:
    """A spool that was cut is refused, however short."""
    whole, _ = written
    data = whole.read_bytes()
    for number, length in enumerate(
        [1, 50, 100, 4095, 4096, 8192, len(data) - 4096, len(data) - 1]
    ):
        assert read_damaged(tmp_path / f"cut{number}", data[:length]) is None
    whole.write_bytes(b"")
    with pytest.raises(SpoolDamagedError, match="made before, and is empty now"):
        open_spool(whole)
    whole.unlink()
    with pytest.raises(SpoolDamagedError, match="made before, and is empty now"):
        open_spool(whole)


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, list[tuple[str, bytes]]]:
    """A spool as a killed process leaves it, its write-ahead log full, and its contents."""
    spool = open_spool(tmp_path / "open")
    for start in range(0, len(ENTRIES), 20):
        spool.write(ENTRIES[start : start + 20])
    for suffix in ("", "-wal", ".lock"):
        shutil.copy(tmp_path / f"open{suffix}", tmp_path / f"whole{suffix}")
    contents = drain(spool)
    spool.close()
    return tmp_path / "whole", contents


def read_killed(path: Path, whole: Path, wal: bytes) -> list[tuple[str, bytes]] | None:
    """What a spool with this write-ahead log gives, as read_damaged."""
    path.with_name(path.name + "-wal").write_bytes(wal)
    return read_damaged(path, whole.read_bytes())


def test_damaged_write_ahead_log(
    tmp_path: Path, killed: tuple[Path, list[tuple[str, bytes]]]
) -> None:
    """What a killed process left comes whole, or the spool is refused: now, and at the next try."""
    whole, contents = killed
    wal = (tmp_path / "whole-wal").read_bytes()
    assert read_killed(tmp_path / "same", whole, wal) == contents
    chance = random.Random(8)
    refused = 0
    for number in range(60):
        path = tmp_path / f"flipped{number}"
        damaged = bytearray(wal)
        damaged[chance.randrange(len(wal))] ^= 1 << chance.randrange(8)
        taken = read_killed(path, whole, bytes(damaged))
        assert taken in (None, contents)
        if taken is None:
            refused += 1
            with pytest.raises(SpoolDamagedError):
                open_spool(path)
    assert refused > 40
    for number, length in enumerate([0, 31, 32, 5_000, len(wal) // 2, len(wal) - 1]):
        assert read_killed(tmp_path / f"cut{number}", whole, wal[:length]) is None


def test_damaged_note(tmp_path: Path) -> None:
    """A lock file that holds something else is told."""
    open_spool(tmp_path / "spool").close()
    (tmp_path / "spool.lock").write_bytes(b"something else")
    with pytest.raises(SpoolDamagedError, match=r"spool\.lock is damaged"):
        open_spool(tmp_path / "spool")
