"""Keeping the index up with the log: a batch behind it, and built again whenever it fails.

The index is derived: a failure of it is none of the log, as long as it can be built again.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

import structlog

from tlog.clock import steady_s
from tlog.errors import StoreError
from tlog.measures import LogMeasures
from tlog.store.base import Batch, Store

# Whole batches are built at once: at least so many entries, 16 MiB of them at most.
CHUNK_ENTRIES = 256
_logger = structlog.get_logger("tlog.indexing")


class Indexing:
    """Writes the index of one log; `enter` and `build` are called by one task, one at a time.

    All fields are owned by the event loop.
    """

    def __init__(
        self, store: Store, log_size: int, executor: Executor, measures: LogMeasures
    ) -> None:
        """Start from what the store has; log_size: entries that are committed."""
        self._store = store
        self._executor = executor
        self._measures = measures
        self._is_suspect = False
        self.is_behind = store.indexed_size() < log_size
        self.builds = 0  # counts how often the index fell behind and had to be built

    def fall_behind(self) -> None:
        """The index lacks something: it has to be built."""
        self.is_behind = True
        self.builds += 1

    def suspect(self) -> None:
        """A read found the index damaged: it is begun anew by the next `build`."""
        self._is_suspect = True
        self.fall_behind()

    async def enter(self, batch: Batch) -> None:
        """Enter a committed batch; where that fails the index is behind from then on."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._enter, batch)
        except StoreError as error:
            _logger.warning("the index failed and is built again", reason=str(error))
            self.fall_behind()

    async def build(self, log_size: int) -> None:
        """Bring the index up to the log, or nearer; begin it anew when it is damaged.

        Raises:
            StoreError, FatalLogError: it cannot be built.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._build_chunk)
        # A read may have found it damaged while its last rows were written.
        self.is_behind = self._is_suspect or self._store.indexed_size() < log_size

    def _enter(self, batch: Batch) -> None:
        start = steady_s()
        self._store.index(batch)
        self._measures.index_s.observe(steady_s() - start)

    def _build_chunk(self) -> None:
        try:
            if self._is_suspect:
                self._is_suspect = False
                self._store.drop_index()
            self._store.index_missing(CHUNK_ENTRIES)
        except StoreError as error:
            if self._store.indexed_size() == 0:
                raise
            _logger.warning("the index is damaged and is built again", reason=str(error))
            self._store.drop_index()
