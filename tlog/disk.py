"""The disk reserve: appends stop long before the disk is full."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tlog.config import Config
from tlog.errors import DiskReserveError

POLL_S = 1.0


class DiskWatch:
    """Knows, at most a second old, whether free space is above the reserve."""

    def __init__(self, config: Config, heads: Path) -> None:
        """Watch the file systems of the data directory and of the head store."""
        self._paths = (config.data_dir, heads)
        self._config = config
        self.problem: str | None = None  # as one sentence

    def check(self) -> None:
        """Raise DiskReserveError when the reserve is reached."""
        if self.problem is not None:
            raise DiskReserveError(self.problem)

    def measure(self) -> None:
        """Look at the disks now (blocks)."""
        problems = filter(None, map(self._problem_of, self._paths))
        self.problem = next(problems, None)

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
