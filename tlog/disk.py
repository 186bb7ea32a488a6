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

    def __init__(self, config: Config) -> None:
        self._path: Path = config.data_dir
        self._config = config
        self._problem: str | None = None

    def check(self) -> None:
        """Raise DiskReserveError when the reserve is reached."""
        if self._problem is not None:
            raise DiskReserveError(self._problem)

    def measure(self) -> None:
        """Look at the disk now (blocks)."""
        try:
            disk = os.statvfs(self._path)
        except OSError as error:
            self._problem = f"free space cannot be told: {error.strerror}"
            return
        free = disk.f_bavail * disk.f_frsize
        reserve = self._config.disk_reserve(disk.f_blocks * disk.f_frsize)
        if free <= reserve:
            self._problem = f"{free} bytes are free, {reserve} are kept in reserve"
        else:
            self._problem = None

    async def run(self) -> None:
        """Measure every second until cancelled."""
        while True:
            await asyncio.to_thread(self.measure)
            await asyncio.sleep(POLL_S)
