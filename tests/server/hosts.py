"""A host on a temporary directory, with the real store, for tests of the whole server core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.server.doubles import FakeClock
from tlog.clock import Clock
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.host import Host
from tlog.store.leveldb import LevelDBStore

ORIGIN = "log.example/a"


@asynccontextmanager
async def open_host(
    data_dir: Path, clock: Clock | None = None, config: Config | None = None
) -> AsyncIterator[Host]:
    """An opened and started host, made on first use, stopped at the end of the block."""
    if not (data_dir / "control.db").exists():
        init_directory(data_dir)
    host = Host.open(
        config or Config(data_dir=data_dir, disk_reserve_bytes=0),
        LevelDBStore,
        clock or FakeClock(),
    )
    await host.start()
    try:
        yield host
    finally:
        await host.stop()
        host.release()


async def filled(data_dir: Path, entries: int, name: str = "a", origin: str = ORIGIN) -> None:
    """A directory with one log of a genesis and so many entries, all published."""
    async with open_host(data_dir) as host:
        if name not in host.logs:
            await host.create_log(NewLog(name, origin))
        if entries:
            log = host.log(name)
            appended = await log.append([b"entry %d" % n for n in range(1, entries + 1)])
            await log.wait_published(appended.size, 20)
