"""A disk without space: what is refused before it is tried, and what follows a failed write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import plyvel
import pytest

from tests.server.doubles import FakeClock
from tests.server.hosts import ORIGIN, open_host
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.disk import DiskWatch, is_full
from tlog.errors import (
    DiskFullError,
    DiskReserveError,
    OutcomeUnknownError,
    ReadOnlyError,
    StoreError,
)
from tlog.host import Host
from tlog.store.base import Batch
from tlog.store.files import wrapping
from tlog.store.leveldb import LevelDBStore


def disk_of(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> Callable[[int], None]:
    """Let every file system have so many free bytes; what changes them."""
    disk = SimpleNamespace(f_bavail=free_bytes, f_frsize=1, f_blocks=1 << 40)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    return lambda free: setattr(disk, "f_bavail", free)


def test_entries_that_cannot_fit_are_refused_without_a_reserve_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Entries are written twice; what was taken since the last look is no longer free."""
    set_free = disk_of(monkeypatch, 1000)
    watch = DiskWatch(Config(data_dir=tmp_path, disk_reserve_bytes=0), tmp_path)
    watch.take(1 << 40)  # not looked yet: nothing is known
    watch.measure()
    watch.take(300)
    watch.take(200)
    with pytest.raises(DiskReserveError, match="0 bytes are free, writing this takes 2"):
        watch.take(1)
    watch.take(0)
    set_free(1001)
    watch.measure()
    watch.take(500)
    with pytest.raises(DiskReserveError):
        watch.take(1)


def test_the_reserve_is_refused_whatever_the_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Down to the reserve, not even an empty entry is taken."""
    set_free = disk_of(monkeypatch, 1000)
    watch = DiskWatch(Config(data_dir=tmp_path, disk_reserve_bytes=1000), tmp_path)
    watch.measure()
    with pytest.raises(DiskReserveError, match="1000 are kept in reserve"):
        watch.take(0)
    set_free(1001)
    watch.measure()
    watch.take(0)


def test_what_is_written_between_two_looks_does_not_eat_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks the reserve counts as taken, however fast the entries come."""
    disk_of(monkeypatch, 5000)
    watch = DiskWatch(Config(data_dir=tmp_path, disk_reserve_bytes=4000), tmp_path)
    watch.measure()
    watch.take(400)
    with pytest.raises(DiskReserveError, match="writing this takes 400, 4000 are kept in reserve"):
        watch.take(200)
    watch.take(100)


def test_an_error_of_leveldb_names_files_without_their_directories() -> None:
    """What clients read says which file failed how, not where the server keeps its data."""
    words = b"IO error: /srv/data/logs/a/log/000018.ldb: Invalid argument"
    with pytest.raises(StoreError) as caught, wrapping("reading a"):
        raise plyvel.IOError(words)
    assert str(caught.value) == "reading a: IO error: 000018.ldb: Invalid argument"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_known_by_its_words(number: int) -> None:
    """The store's errors say why; other failures are not taken for a full disk."""
    with pytest.raises(StoreError) as caught, wrapping("writing a"):
        raise OSError(number, os.strerror(number))
    assert is_full(str(caught.value))
    assert not is_full("writing a: Input/output error")


class FullStore(LevelDBStore):
    """A store whose commits fail in LevelDB's words for a full disk, once `words` are given."""

    words = ""

    def commit(self, batch: Batch) -> None:
        if self.words:
            raise StoreError(self.words)
        super().commit(batch)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("writing a: IO error: 000003.log: No space left on device", DiskFullError),
        ("writing a: IO error: 000003.log: Input/output error", ReadOnlyError),
    ],
)
async def test_a_commit_that_found_no_space_is_unknown_and_then_the_disk_is_full(
    words: str,
    refusal: type[ReadOnlyError],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The append whose commit failed is in doubt; later ones are told why, and what to do."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
    config = Config(data_dir=tmp_path, disk_reserve_bytes=0)
    host = Host.open(config, FullStore, FakeClock())
    await host.start()
    try:
        log = host.log("a")
        monkeypatch.setattr(FullStore, "words", words)
        with pytest.raises(OutcomeUnknownError):
            await log.append([b"x"])
        with pytest.raises(ReadOnlyError) as caught:
            await log.append([b"y"])
        assert type(caught.value) is refusal
        assert caught.value.reason == log.reason
        assert words in caught.value.reason
        assert "restart the server" in caught.value.reason
        assert ("free space" in caught.value.reason) is (refusal is DiskFullError)
        assert await log.read_entry(0)
    finally:
        await host.stop()
        host.release()


async def test_appends_are_counted_against_what_is_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The log itself refuses a batch that the disk cannot hold, and takes a smaller one."""
    init_directory(tmp_path)
    disk_of(monkeypatch, 10_000)
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        log = host.log("a")
        with pytest.raises(DiskReserveError):
            await log.append([bytes(6000)])
        assert (await log.append([bytes(600)])).first_new == 1
