"""The disk reserve: appends stop long before the disk is full."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

from tlog.config import Config
from tlog.errors import DiskReserveError

POLL_S = 1.0
WRITTEN_PER_BYTE = 2  # of an entry: once in a write-ahead log, then in a table
# LevelDB and SQLite have no error of their own for it, only these words.
_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full")


def is_full(reason: str) -> bool:
    """Whether the sentence of a failure says that there was no space left."""
    return any(words in reason for words in _FULL)


class DiskWatch:
    """Knows, at most a second old, whether free space is above the reserve.

    Owned by the event loop, but for `measure`.
    """

    def __init__(self, config: Config, heads: Path) -> None:
        """Watch the file systems of the data directory and of the head store."""
        self._paths = (config.data_dir, heads)
        self._config = config
        self.problem: str | None = None  # as one sentence
        self._free: int | None = None  # for data: as measured, less what was taken since
        self._reserve = 0  # of the disk that holds the data

    @property
    def free_bytes(self) -> int | None:
        """Free for data, as measured, less what was taken since; None: it cannot be measured."""
        return self._free

    def check(self) -> None:
        """Raise DiskReserveError when the reserve is reached."""
        if self.problem is not None:
            raise DiskReserveError(self.problem)

    def take(self, entry_bytes: int) -> None:
        """Count on the space for entries, or raise DiskReserveError where that reaches the reserve.

        Without a reserve too: a commit that finds no space ends the log until a restart.
        """
        self.check()
        if self._free is None:
            return
        needed = WRITTEN_PER_BYTE * entry_bytes
        if needed > self._free - self._reserve:
            message = (
                f"{self._free} bytes are free, writing this takes {needed}, "
                f"{self._reserve} are kept in reserve: free space"
            )
            raise DiskReserveError(message)
        self._free -= needed

    def measure(self) -> None:
        """Look at the disks now (blocks)."""
        problems = filter(None, map(self._problem_of, self._paths))
        self.problem = next(problems, None)
        try:
            data = os.statvfs(self._config.data_dir)
        except OSError:
            self._free = None
        else:
            self._free = data.f_bavail * data.f_frsize
            self._reserve = self._config.disk_reserve(data.f_blocks * data.f_frsize)

    def _problem_of(self, path: Path) -> str | None:
        try:
            disk = os.statvfs(path)
        except OSError:
            return None  # it is not the space that is missing: who writes there will say what is
        free = disk.f_bavail * disk.f_frsize
        reserve = self._config.disk_reserve(disk.f_blocks * disk.f_frsize)
        if free <= reserve:
            return f"{free} bytes are free, {reserve} are kept in reserve"
        return None

    async def run(self) -> None:
        """Measure every second until cancelled."""
        while True:
            await asyncio.to_thread(self.measure)
            await asyncio.sleep(POLL_S)
