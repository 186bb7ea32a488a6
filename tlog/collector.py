"""Python's cycle collector, as a server that makes many small objects and few cycles wants it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tlog.heap import give_back_free_memory

# Collections by default come every 700 objects: at full load they took an eighth of the time.
YOUNG_OBJECTS = 20_000
YOUNG_COLLECTIONS = 20  # before the middle generation is looked at
MIDDLE_COLLECTIONS = 50  # before all of it is

# The collector counts objects: a few in a cycle may hold megabytes, so time counts as well.
MIDDLE_S = 1.0
EVERYTHING = 60  # times as long
MIDDLE_GENERATION = 1


def settle_collector() -> None:
    """Leave what start-up made out of every collection, and collect less often."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)


@asynccontextmanager
async def collecting_by_time() -> AsyncIterator[None]:
    """Collect what is young every second and everything every minute, while the block runs.

    Every minute the C library gives back what is free, too: after thousands of TLS handshakes at a
    time it would keep hundreds of megabytes for good.
    """
    task = asyncio.create_task(_collect())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _collect() -> None:
    while True:
        for _ in range(EVERYTHING):
            await asyncio.sleep(MIDDLE_S)
            gc.collect(MIDDLE_GENERATION)
        gc.collect()
        await asyncio.to_thread(give_back_free_memory)
