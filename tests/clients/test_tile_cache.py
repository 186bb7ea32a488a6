"""The cache of verified tiles: what it saves, what damage it survives, its bound, its privacy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.simulator import LogSimulator, make_entries
from tlog_clients import ForkDetectedError, LogReader, MemoryHeads, audit_log
from tlog_clients.entry_range import EntryRange
from tlog_clients.tile_cache import TileCache, default_cache_path
from tlog_proofs import EntryBundle, RootMismatchError, Tile, open_checkpoint

SIZE = 70_000
ROOT = Path(__file__).resolve().parents[2]
FULL_TILE = bytes(8192)


@pytest.fixture(scope="module")
def shared_log() -> LogSimulator:
    """A log with full tiles on two levels."""
    log = LogSimulator(make_entries(SIZE))
    log.root()
    return log


@pytest.fixture
def log(shared_log: LogSimulator) -> LogSimulator:
    """The same log, its requests not yet counted and nothing planted."""
    shared_log.requests.clear()
    shared_log.answer = None
    shared_log.size = None
    return shared_log


def files(directory: Path) -> list[Path]:
    """Every file below a directory."""
    return sorted(path for path in directory.rglob("*") if path.is_file())


def full_tiles(log: LogSimulator) -> list[str]:
    """The full tiles that were asked for."""
    return [p for p in log.requests if p.startswith("tile/") and ".p/" not in p]


async def test_full_tiles_are_fetched_once(log: LogSimulator, tmp_path: Path) -> None:
    """A second client on the same directory fetches partial tiles alone; the proof is the same."""
    first = await LogReader(log, log.key, None, TileCache(tmp_path / "cache")).prove(12_345)
    assert full_tiles(log) == ["tile/0/048", "tile/1/000"]
    log.requests.clear()
    again = await LogReader(log, log.key, None, TileCache(tmp_path / "cache")).prove(12_345)
    assert again == first
    assert full_tiles(log) == []
    assert [p for p in log.requests if ".p/" in p], "partial tiles change: they are not kept"


async def test_modes_and_what_is_kept(log: LogSimulator, tmp_path: Path) -> None:
    """Directories are of mode 0700, files of 0600: full tiles alone, and no entry."""
    cache = TileCache(tmp_path / "a" / "cache")
    reader = LogReader(log, log.key, None, cache)
    assert await reader.get(12_345) == log.entries[12_345]
    async for _ in EntryRange(log, await reader.head(), cache).stretches(0, 300):
        pass
    kept = files(tmp_path)
    assert [path.name for path in kept] == ["0-0", "0-1", "0-48", "1-0"]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert {path.stat().st_size for path in kept} == {8192}
    (folder,) = (tmp_path / "a" / "cache").iterdir()
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o700}


@pytest.mark.parametrize("position", [0, 4000, 8191])
@pytest.mark.parametrize("name", ["0-48", "1-0"])
async def test_flipped_bit(log: LogSimulator, tmp_path: Path, name: str, position: int) -> None:
    """A flipped bit in the cache is found by hashing, and the tile is fetched and kept again."""
    first = await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345)
    (path,) = tmp_path.rglob(name)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[position] ^= 1
    path.write_bytes(damaged)
    log.requests.clear()
    assert await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345) == first
    assert full_tiles(log)
    assert path.read_bytes() == whole
    log.requests.clear()
    assert await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345) == first
    assert full_tiles(log) == []


async def test_odd_files(log: LogSimulator, tmp_path: Path) -> None:
    """A file cut short, empty, too long, a pipe, a link, a directory are as if they were absent."""
    first = await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345)
    (path,) = tmp_path.rglob("0-48")
    whole = path.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other"
    other.write_bytes(whole)
    plants = (
        lambda: path.write_bytes(whole[:-1]),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(whole + b"x"),
        lambda: os.mkfifo(path),
        lambda: path.symlink_to(other),
        path.mkdir,
    )
    for plant in plants:
        path.unlink(missing_ok=True)
        plant()
        log.requests.clear()
        assert await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345) == first
        assert full_tiles(log) == ["tile/0/048"]
    assert other.read_bytes() == whole


async def test_lies_are_not_kept(log: LogSimulator, tmp_path: Path) -> None:
    """What does not belong to the signed tree is refused and not written; also beside a cache."""

    def lie(path: str, data: bytes | None) -> bytes | None:
        return b"x" * 8192 if path == "tile/0/048" else data

    log.answer = lie
    cache = TileCache(tmp_path)
    for _ in range(2):
        with pytest.raises(RootMismatchError):
            await LogReader(log, log.key, None, cache).prove(12_345)
        assert files(tmp_path) == []
        log.answer = None
        await LogReader(log, log.key, None, cache).prove(512)
        log.answer = lie
        with pytest.raises(RootMismatchError):
            await LogReader(log, log.key, None, cache).prove(12_345)
        for path in files(tmp_path):
            assert b"x" * 32 not in path.read_bytes()
            path.unlink()


async def test_tiles_of_a_head_that_is_not_trusted(log: LogSimulator, tmp_path: Path) -> None:
    """What shows that two heads do not fit is not kept: the second is signed, but not trusted."""
    forked = LogSimulator([*log.entries[:100], b"another", *log.entries[101:1000]])
    heads, cache = MemoryHeads(), TileCache(tmp_path)
    log.size = 600
    await LogReader(log, log.key, heads, cache).head()
    with pytest.raises(ForkDetectedError):
        await LogReader(forked, log.key, heads, cache).head()
    assert full_tiles(forked) == ["tile/0/002"]
    assert files(tmp_path) == []


async def test_entries_are_kept_when_asked(log: LogSimulator, tmp_path: Path) -> None:
    """With keep_entries bundles are kept; one with a flipped bit is found and fetched again."""
    head = open_checkpoint(log.checkpoint(), log.key)

    async def read() -> list[bytes]:
        cache = TileCache(tmp_path, keep_entries=True)
        stretches = EntryRange(log, head, cache).stretches(100, 1000)
        return [entry async for _, entries in stretches for entry in entries]

    assert await read() == log.entries[100:1000]
    log.requests.clear()
    assert await read() == log.entries[100:1000]
    assert full_tiles(log) == []
    (path,) = tmp_path.rglob("e-1")
    whole = path.read_bytes()
    for position in (0, 5, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        log.requests.clear()
        assert await read() == log.entries[100:1000]
        assert full_tiles(log) == ["tile/entries/001"]
        assert path.read_bytes() == whole


async def test_read_only(
    log: LogSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that may be read but not touched, as another user's, is read all the same."""
    await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345)

    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    log.requests.clear()
    await LogReader(log, log.key, None, TileCache(tmp_path)).prove(12_345)
    assert full_tiles(log) == []


async def test_bound(tmp_path: Path) -> None:
    """The files never exceed the bound, and those used last stay."""
    cache = TileCache(tmp_path, max_bytes=1 << 20)
    used = Tile(0, 0)
    await cache.write("log.example/a", {used: FULL_TILE})
    for index in range(1, 400):
        await cache.write("log.example/a", {Tile(0, index): FULL_TILE})
        folder = next(tmp_path.iterdir())
        os.utime(folder / f"0-{index}", (index, index))
        assert len(list(folder.iterdir())) * 8192 <= 1 << 20
        os.utime(folder / "0-0", (0, 0))  # what is read is used last, whenever it was written
        assert await cache.read("log.example/a", [used]) == {used: FULL_TILE}
    kept = await cache.read("log.example/a", [Tile(0, index) for index in range(400)])
    indexes = sorted(part.index for part in kept)
    assert indexes[1:] == list(range(400 - len(indexes) + 1, 400))
    assert len(indexes) > 80
    assert await TileCache(tmp_path, max_bytes=1 << 20).read("log.example/b", [used]) == {}


async def test_leftovers_are_removed(tmp_path: Path) -> None:
    """What killed processes left is removed after an hour, and not what another one is writing."""
    await TileCache(tmp_path).write("log.example/a", {Tile(0, 0): FULL_TILE})
    folder = next(tmp_path.iterdir())
    old, new = ".tmp-" + "0" * 32, ".tmp-" + "1" * 32
    for name, mtime in ((old, 1), (new, 2**33)):
        (folder / name).write_bytes(b"left")
        os.utime(folder / name, (mtime, mtime))
    await TileCache(tmp_path).write("log.example/a", {Tile(0, 1): FULL_TILE})
    assert sorted(path.name for path in folder.iterdir()) == [new, "0-0", "0-1"]


async def test_what_others_put_there_stays(tmp_path: Path) -> None:
    """Files that are not the cache's are neither removed, nor counted, nor reached by a link."""
    path, other = tmp_path / "shared", tmp_path / "other"
    mine = ("0-1", "e-2", ".tmp-" + "0" * 32)
    theirs = ("photo.raw", ".tmp-draft", "0-01", "0-1.bak", "e-2~", "100-1", "-1")
    folder = path / "0123456789abcdef0123456789abcdef"
    kept = [path / "photo.raw", path / "0-1", path / "photos" / "0-1", path / ("A" * 32) / "0-1"]
    kept += [other / name for name in mine] + [folder / name for name in theirs]
    for file in kept:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        os.truncate(file, 1 << 30)
        os.utime(file, (1, 1))
    (path / ("f" * 32)).symlink_to(other)
    (folder / "0-2").symlink_to(other / "0-1")
    (folder / "0-3").mkdir()
    await TileCache(path, max_bytes=1 << 20).write("log.example/a", {Tile(0, 0): FULL_TILE})
    assert [file for file in kept if not file.exists()] == []
    assert (folder / "0-2").is_symlink()
    assert await TileCache(path).read("log.example/a", [Tile(0, 0)]) == {Tile(0, 0): FULL_TILE}


async def test_a_link_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """Nothing is written or read through a link below the directory; the directory may be one."""
    parts = {Tile(0, 0): FULL_TILE}
    (tmp_path / "real").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "real")
    cache = TileCache(tmp_path / "cache")
    await cache.write("log.example/a", parts)
    assert await cache.read("log.example/a", parts) == parts
    (folder,) = (tmp_path / "real").iterdir()
    folder.rename(tmp_path / "other")
    folder.symlink_to(tmp_path / "other")
    (tmp_path / "other" / "0-0").write_bytes(b"x" * 8192)
    await cache.write("log.example/a", {**parts, Tile(0, 1): FULL_TILE})
    assert [path.name for path in files(tmp_path / "other")] == ["0-0"]
    assert (tmp_path / "other" / "0-0").read_bytes() == b"x" * 8192
    assert await cache.read("log.example/a", parts) == {}


async def test_unusable_directory(log: LogSimulator, tmp_path: Path) -> None:
    """Where nothing can be kept, as below a file or in a directory that is full, reads go on."""
    (tmp_path / "file").write_bytes(b"")
    cache = TileCache(tmp_path / "file" / "cache", keep_entries=True)
    assert (await LogReader(log, log.key, None, cache).prove(12_345)).index == 12_345
    with pytest.raises(ValueError, match="at least"):
        TileCache(tmp_path, max_bytes=1000)


WRITER = """
import asyncio, sys
from tlog_clients.tile_cache import TileCache
from tlog_proofs import EntryBundle
async def main():
    cache = TileCache(sys.argv[1], max_bytes=1 << 20, keep_entries=True)
    for round in range(60):
        for index in range(8):
            part = EntryBundle(index)
            await cache.write("log.example/a", {part: bytes([index]) * 60_000})
            for data in (await cache.read("log.example/a", [part])).values():
                assert data == bytes([index]) * 60_000, "a torn file"
asyncio.run(main())
"""


def test_processes_share_it(tmp_path: Path) -> None:
    """Two processes that write and evict the same files never see half a file, nor fail."""
    paths = os.pathsep.join(str(ROOT / part) for part in ("clients", "proofs"))
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": paths},
        )
        for _ in range(2)
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert all(".tmp-" not in path.name for path in files(tmp_path))


async def test_audit_compares_what_the_log_serves(log: LogSimulator, tmp_path: Path) -> None:
    """An audit finds a tile that the log serves wrongly even when the cache has the right one."""
    log.size = 1000
    cache = TileCache(tmp_path)
    await LogReader(log, log.key, None, cache).prove(300)
    assert (await audit_log(log, log.key, cache=cache)).size == 1000
    log.answer = lambda path, data: b"x" * 8192 if path == "tile/0/001" else data
    with pytest.raises(Exception, match="tile/0/001"):
        await audit_log(log, log.key, cache=cache)


def test_default_path() -> None:
    """The cache lies where the XDG specification says."""
    assert default_cache_path({"XDG_CACHE_HOME": "/c"}) == Path("/c/tlog")
    for ignored in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "c"}):
        assert default_cache_path(ignored) == Path.home() / ".cache" / "tlog"


async def test_partial_parts_are_never_kept(tmp_path: Path) -> None:
    """A partial tile or bundle is not written, whoever asks for it."""
    cache = TileCache(tmp_path, keep_entries=True)
    await cache.write("log.example/a", {Tile(0, 0, 255): FULL_TILE[32:]})
    await cache.write("log.example/a", {EntryBundle(0, 255): FULL_TILE})
    assert files(tmp_path) == []
