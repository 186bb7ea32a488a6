"""What must agree before a log signs again, and how it lives on when it does not."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import plyvel
import pytest

from tests.server.doubles import START_S, FakeClock
from tests.server.hosts import ORIGIN, filled, open_host
from tlog.checkpoints import CheckpointStore, Published
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.errors import ReadOnlyError, UnreadableError
from tlog.publisher import sign_head
from tlog.signer import read_key, write_key
from tlog.store.commit_record import format_commit_record, parse_commit_record
from tlog.store.keys import COMMIT_RECORD, LEAF, log_key
from tlog_proofs import Ed25519Signer, open_checkpoint, parse_vkey


def head_path(data_dir: Path) -> Path:
    """The head file of the test log."""
    return data_dir / "heads" / hashlib.sha256(ORIGIN.encode()).hexdigest()


def heads_of(data_dir: Path) -> list[Path]:
    """The files of the head store that can be read without waiting."""
    return [path for path in (data_dir / "heads").glob("*") if path.is_file()]


def copy(source: Path, target: Path) -> None:
    """Replace target by a copy of source."""
    shutil.rmtree(target)
    shutil.copytree(source, target)


def lose_head(data_dir: Path) -> None:
    """The head store lost its file."""
    head_path(data_dir).unlink()


def damage_head(data_dir: Path) -> None:
    """A byte of the head changed."""
    data = bytearray(head_path(data_dir).read_bytes())
    data[-10] ^= 1
    head_path(data_dir).write_bytes(data)


def head_of_another_root(data_dir: Path) -> None:
    """The key signed another tree of the same size."""
    signer = read_key(data_dir / "logs" / "a" / "key")
    head_path(data_dir).write_bytes(sign_head(signer, 11, bytes(32)))


def head_of_a_smaller_other_tree(data_dir: Path) -> None:
    """The key signed another tree of a smaller size, and nothing after it."""
    signer = read_key(data_dir / "logs" / "a" / "key")
    head_path(data_dir).write_bytes(sign_head(signer, 7, bytes(32)))


def older_head(data_dir: Path) -> None:
    """The head store is an older copy than checkpoints.db."""
    shutil.copy(
        data_dir.parent / "size 6" / "heads" / head_path(data_dir).name, head_path(data_dir)
    )


def older_database(data_dir: Path) -> None:
    """The whole database was restored from an older copy, the heads are the newest."""
    copy(data_dir.parent / "size 6" / "logs" / "a", data_dir / "logs" / "a")


def older_log_only(data_dir: Path) -> None:
    """Only log/ was restored from an older copy."""
    copy(data_dir.parent / "size 6" / "logs" / "a" / "log", data_dir / "logs" / "a" / "log")


def another_key(data_dir: Path) -> None:
    """The key file is of the same origin but another key."""
    path = data_dir / "logs" / "a" / "key"
    path.unlink()
    write_key(path, Ed25519Signer(ORIGIN, bytes(32)))


def open_key(data_dir: Path) -> None:
    """The key file can be read by others."""
    (data_dir / "logs" / "a" / "key").chmod(0o640)


def lose_key(data_dir: Path) -> None:
    """The key file is gone."""
    (data_dir / "logs" / "a" / "key").unlink()


def another_logs_database(data_dir: Path) -> None:
    """The directory of log b stands where that of log a should."""
    copy(data_dir / "logs" / "b" / "log", data_dir / "logs" / "a" / "log")


def lose_checkpoints(data_dir: Path) -> None:
    """checkpoints.db is gone."""
    for path in (data_dir / "logs" / "a").glob("checkpoints.db*"):
        path.unlink()


def put_checkpoint(data_dir: Path, signer: Ed25519Signer, size: int, root: bytes) -> None:
    """Make a checkpoint the only one on record."""
    lose_checkpoints(data_dir)
    checkpoints = CheckpointStore.create(data_dir / "logs" / "a" / "checkpoints.db")
    note = sign_head(signer, size, root)
    checkpoints.add(Published(size, root, note, START_S * 1000))
    checkpoints.close()


def checkpoint_of_a_smaller_other_tree(data_dir: Path) -> None:
    """The newest row of checkpoints.db is below the head, and of another tree."""
    put_checkpoint(data_dir, read_key(data_dir / "logs" / "a" / "key"), 7, bytes(32))


def checkpoint_of_another_key(data_dir: Path) -> None:
    """The newest row of checkpoints.db is of the right tree and not signed by the log."""
    head = head_path(data_dir).read_bytes().split(b"\n")
    put_checkpoint(data_dir, Ed25519Signer(ORIGIN, bytes(32)), 11, base64.b64decode(head[2]))


def checkpoint_of_another_row(data_dir: Path) -> None:
    """The newest row of checkpoints.db has its own size and root, and a note of older ones."""
    lose_checkpoints(data_dir)
    directory = data_dir / "logs" / "a"
    checkpoints = CheckpointStore.create(directory / "checkpoints.db")
    signed = open_checkpoint(head_path(data_dir).read_bytes(), read_key(directory / "key").verifier)
    note = sign_head(read_key(directory / "key"), 6, bytes(32))
    checkpoints.add(Published(signed.size, signed.root, note, START_S * 1000))
    checkpoints.close()


def no_checkpoint(data_dir: Path) -> None:
    """checkpoints.db is there and holds no row."""
    lose_checkpoints(data_dir)
    CheckpointStore.create(data_dir / "logs" / "a" / "checkpoints.db").close()


def commit_record_of_another_root(data_dir: Path) -> None:
    """The newest commit record does not say what its entries hash to; the head does."""
    database = plyvel.DB(str(data_dir / "logs" / "a" / "log"))
    key = log_key(10, COMMIT_RECORD)
    record = replace(parse_commit_record(database.get(key)), root=bytes(32))
    database.put(key, format_commit_record(record))
    database.close()


def lose_an_entry_of_the_right_edge(data_dir: Path) -> None:
    """The tree cannot be computed, so nothing of it can be served but its newest checkpoint."""
    database = plyvel.DB(str(data_dir / "logs" / "a" / "log"))
    database.delete(log_key(3, LEAF))
    database.close()


def lose_log(data_dir: Path) -> None:
    """log/ is gone."""
    shutil.rmtree(data_dir / "logs" / "a" / "log")


def lose_heads_directory(data_dir: Path) -> None:
    """The disk of the head store is not mounted."""
    (data_dir / "heads").rename(data_dir / "elsewhere")


def key_is_a_directory(data_dir: Path) -> None:
    """Something else stands where the key should."""
    lose_key(data_dir)
    (data_dir / "logs" / "a" / "key").mkdir(mode=0o700)


def key_is_a_pipe(data_dir: Path) -> None:
    """Opening it for reading would wait for a writer."""
    lose_key(data_dir)
    os.mkfifo(data_dir / "logs" / "a" / "key", 0o600)


def head_is_a_pipe(data_dir: Path) -> None:
    """Opening it for reading would wait for a writer."""
    lose_head(data_dir)
    os.mkfifo(head_path(data_dir), 0o600)


def damage_bodies(data_dir: Path) -> None:
    """The newest month of bodies cannot be opened."""
    month = next((data_dir / "logs" / "a" / "bodies").iterdir())
    (month / "CURRENT").write_bytes(b"garbage\n")


STATES: list[tuple[Callable[[Path], None], str]] = [
    (lose_head, "the head store has no head of this log"),
    (damage_head, "the stored head is not one of this log"),
    (head_of_another_root, "the database holds another history"),
    (head_of_a_smaller_other_tree, "the database holds another history"),
    (older_head, "the head store is an older copy"),
    (older_database, "the database has 6 entries, but a head of size 11 was signed"),
    (older_log_only, "the database has 6 entries, but a head of size 11 was signed"),
    (another_key, "which is not in the genesis"),
    (open_key, "has mode 0640, expected a file of mode 0600"),
    (lose_key, "cannot be opened"),
    (another_logs_database, "this is another log's database"),
    (lose_heads_directory, "opening the head store: No such file or directory"),
    (key_is_a_directory, "expected a file of mode 0600"),
    (key_is_a_pipe, "expected a file of mode 0600"),
    (head_is_a_pipe, "the stored head is not one of this log"),
    (damage_bodies, "bodies/2026-10"),
    (lose_checkpoints, "checkpoints.db"),
    (checkpoint_of_a_smaller_other_tree, "checkpoints.db holds another history"),
    (checkpoint_of_another_key, "the newest row of checkpoints.db is not a checkpoint of this log"),
    (checkpoint_of_another_row, "does not say what its checkpoint does"),
    (no_checkpoint, "checkpoints.db holds no checkpoint"),
    (commit_record_of_another_root, "the database is damaged"),
    (lose_an_entry_of_the_right_edge, "entry 3 is missing"),
    (lose_log, "a/log is missing"),
]


NOTHING_SERVED = (
    *(lose_checkpoints, no_checkpoint),
    *(checkpoint_of_another_key, checkpoint_of_another_row),
)
UNREADABLE = (
    *NOTHING_SERVED,
    *(lose_log, damage_bodies, another_logs_database, lose_an_entry_of_the_right_edge),
)
SERVED: dict[Callable[[Path], None], int] = {
    older_database: 6,
    older_log_only: 6,
    checkpoint_of_a_smaller_other_tree: 7,
}


@pytest.mark.parametrize(
    ("damage", "reason"), STATES, ids=lambda value: getattr(value, "__name__", "")
)
async def test_a_log_whose_states_disagree_signs_nothing_and_says_why(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    """Read-only with one sentence; the head store is as it was; other logs are not concerned."""
    data_dir = tmp_path / "data"
    async with open_host(data_dir) as host:
        await host.create_log(NewLog("b", "log.example/b"))
    await filled(data_dir, 5)
    shutil.copytree(data_dir, tmp_path / "size 6")
    await filled(data_dir, 5)
    damage(data_dir)
    heads = {path.name: path.read_bytes() for path in heads_of(data_dir)}
    async with open_host(data_dir) as host:
        log = host.log("a")
        assert log.state == "read-only"
        assert log.reason is not None
        assert reason in log.reason
        assert "\n" not in log.reason
        assert not host.accepting
        with pytest.raises(ReadOnlyError) as caught:
            await log.append([b"x"])
        assert caught.value.reason == log.reason
        if damage is not lose_heads_directory:
            assert (await host.log("b").append([b"x"])).first_new is not None
        if damage in UNREADABLE:
            with pytest.raises(UnreadableError):
                await log.read_entry(1)
            with pytest.raises(UnreadableError):
                await log.inclusion(0, 1)
        else:
            assert await log.read_entry(1) == b"entry 1"
        if damage in NOTHING_SERVED:
            with pytest.raises(UnreadableError):
                _ = log.published
        else:
            assert log.published.size == SERVED.get(damage, 11)
            open_checkpoint(log.published.note, parse_vkey(log.row.vkey))
    if damage is lose_heads_directory:
        assert not (data_dir / "heads").exists()
        return
    after = {path.name: path.read_bytes() for path in heads_of(data_dir)}
    after.pop(hashlib.sha256(b"log.example/b").hexdigest())
    heads.pop(hashlib.sha256(b"log.example/b").hexdigest())
    assert after == heads


async def test_a_head_behind_the_database_with_the_same_history_goes_on(tmp_path: Path) -> None:
    """The crash between commit and head: stored size above the head's and equal root there."""
    data_dir = tmp_path / "data"
    await filled(data_dir, 300)
    shutil.copytree(data_dir, tmp_path / "old")
    await filled(data_dir, 400)
    # Heads and checkpoints as they were 400 entries ago: a crash before the publication.
    copy(tmp_path / "old" / "heads", data_dir / "heads")
    for path in (data_dir / "logs" / "a").glob("checkpoints.db*"):
        path.unlink()
    shutil.copy(tmp_path / "old" / "logs" / "a" / "checkpoints.db", data_dir / "logs" / "a")
    async with open_host(data_dir) as host:
        log = host.log("a")
        assert log.state == "ready"
        assert (await log.wait_published(701, 20)) is not None


async def test_what_was_never_signed_is_hashed_from_its_entries_before_it_is(
    tmp_path: Path,
) -> None:
    """An entry of the unsigned backlog that is not that of its stored tile stops the log."""
    data_dir = tmp_path / "data"
    config = Config(data_dir=data_dir, disk_reserve_bytes=0, publish_interval_s=3600)
    init_directory(data_dir)
    async with open_host(data_dir, config=config) as host:
        await host.create_log(NewLog("a", ORIGIN))
        host.log("a").halt()
        await host.log("a").append([b"%d" % n for n in range(600)])
    database = plyvel.DB(str(data_dir / "logs" / "a" / "log"))
    database.put(log_key(7, LEAF), b"another entry")
    database.close()
    async with open_host(data_dir) as host:
        log = host.log("a")
        assert await log.wait_published(601, 20) is None
        assert log.published.size == 1
        assert "tile 0/0 is not that of its entries" in (log.reason or "")


async def test_a_head_without_its_checkpoint_row_is_published_again(tmp_path: Path) -> None:
    """The crash between head and row: the older checkpoint is served, then the head's size."""
    data_dir = tmp_path / "data"
    await filled(data_dir, 5)
    shutil.copy(data_dir / "logs" / "a" / "checkpoints.db", tmp_path)
    await filled(data_dir, 5)
    head = head_path(data_dir).read_bytes()
    for path in (data_dir / "logs" / "a").glob("checkpoints.db*"):
        path.unlink()
    shutil.copy(tmp_path / "checkpoints.db", data_dir / "logs" / "a")
    async with open_host(data_dir) as host:
        published = await host.log("a").wait_published(11, 20)
        assert published is not None
        assert published.note == head
    assert head_path(data_dir).read_bytes() == head


async def test_a_clock_behind_the_newest_entry_keeps_the_log_read_only_at_start(
    tmp_path: Path,
) -> None:
    """The log takes entries again when the clock agrees or is confirmed."""
    await filled(tmp_path, 1)
    clock = FakeClock(START_S - 1000)
    async with open_host(tmp_path, clock) as host:
        log = host.log("a")
        assert (log.state, host.accepting) == ("read-only", False)
        assert "1000 s behind" in (log.reason or "")
        await host.confirm_clock("a")
        assert log.state == "ready"
        await log.append([b"x"])


async def test_a_clock_that_was_wrong_at_start_and_is_set_right_needs_nobody(
    tmp_path: Path,
) -> None:
    """A machine that boots in the past: the step to the right time is no jump."""
    await filled(tmp_path, 1)
    clock = FakeClock(0)
    async with open_host(tmp_path, clock) as host:
        log = host.log("a")
        assert log.state == "read-only"
        clock.wall_s = START_S + 100
        clock.boot += 3
        assert log.state == "ready"
        await log.append([b"x"])
