"""The lock of a data directory, and what becomes of a server whose lock file is removed."""

from __future__ import annotations

import asyncio
import fcntl
import json
from pathlib import Path

import pytest

import tlog.app
import tlog.watching
from tests.faults.server_process import ServerProcess
from tests.faults.server_process import tlog as run_tlog
from tlog.addresses import Address
from tlog.config import Config
from tlog.creation import init_directory
from tlog.errors import DataDirectoryError, LockHeldError
from tlog.lock import DirectoryLock

TIMEOUT_S = 20


def test_a_lock_is_held_by_one_and_knows_whether_it_still_is(tmp_path: Path) -> None:
    """A removed lock file, a new one in its place and a directory that moved are all noticed."""
    lock = DirectoryLock(tmp_path)
    assert lock.is_in_place()
    with pytest.raises(LockHeldError):
        DirectoryLock(tmp_path)
    (tmp_path / "lock").unlink()
    assert not lock.is_in_place()
    with DirectoryLock(tmp_path) as second:
        assert second.is_in_place()
        assert not lock.is_in_place()
    lock.release()
    directory = tmp_path / "directory"
    directory.mkdir()
    with DirectoryLock(directory) as moved:
        directory.rename(tmp_path / "moved")
        assert not moved.is_in_place()


@pytest.mark.parametrize(("replaced", "held"), [(1, True), (9, True), (10, False)])
def test_a_file_that_is_replaced_before_it_is_locked_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: int, held: bool
) -> None:
    """Locking a file that is no longer there keeps nobody out: the one in its place is taken."""
    left = replaced
    flock = fcntl.flock

    def replace(descriptor: int, operation: int) -> None:
        nonlocal left
        if left:
            left -= 1
            (tmp_path / "lock").unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace)
    before = len(list(Path("/proc/self/fd").iterdir()))
    if held:
        with DirectoryLock(tmp_path), pytest.raises(LockHeldError):
            DirectoryLock(tmp_path)
    else:
        with pytest.raises(DataDirectoryError, match="again and again"):
            DirectoryLock(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_second_server_finds_the_first_without_its_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lock is free but a server answers, no other starts, and the socket stays."""
    monkeypatch.setattr(tlog.watching, "LOCK_LOOK_S", 3600.0)  # the first shall not notice
    init_directory(tmp_path / "data")
    config = Config(data_dir=tmp_path / "data", disk_reserve_bytes=0)
    addresses = tlog.app.Addresses(Address("127.0.0.1", 0))
    stop, announced = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(TIMEOUT_S):
        serving = asyncio.create_task(
            tlog.app.serve(config, addresses, stop, lambda urls: announced.set())
        )
        await announced.wait()
        (config.data_dir / "lock").unlink()
        for _ in range(2):
            with pytest.raises(LockHeldError, match=r"listens at the socket of .*data"):
                await tlog.app.serve(config, addresses, stop, print)
        # A command asks the server too, and takes no lock.
        async with tlog.app.local_client(config) as client:
            assert await client.request("GET", "/admin/logs") == {"logs": []}
            assert not (config.data_dir / "lock").exists()
        stop.set()
        await serving


def test_a_server_whose_lock_is_removed_ends_and_leaves_the_directory_to_the_next(
    tmp_path: Path,
) -> None:
    """It ends by itself, not in order: a socket there may be the next one's. That one is whole."""
    data = tmp_path / "data"
    run_tlog("log", "create", "a", "--data", str(data), "--origin", "example.com/a")
    with ServerProcess(data, "--workers", "1", "--log-format", "json") as server:
        server.start()
        process = server._process
        assert process is not None
        (data / "lock").unlink()
        assert process.wait(TIMEOUT_S) == 1
        last = json.loads(server.stderr.splitlines()[-1])
        assert last["lock"] == str(data / "lock")
        assert (data / "tlog.sock").exists()
    with ServerProcess(data) as next_server:
        next_server.start()
        facts = json.loads(run_tlog("log", "show", "a", "--data", str(data), "--json"))
        assert facts["state"] == "ready"
        assert next_server.stop() == 0
