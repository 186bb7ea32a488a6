"""What is fetched ahead: in order, and bounded in bytes whatever comes."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import pytest

from tests.clients.simulator import LogSimulator
from tlog_clients import LogReader, TooLargeError, audit_log
from tlog_clients.entry_range import EntryRange
from tlog_clients.fetch_ahead import fetch_ahead
from tlog_proofs import MAX_BUNDLE_BYTES

MIB = 1 << 20


@pytest.mark.parametrize("seed", range(20))
async def test_bound(seed: int) -> None:
    """Parts of all sizes come in order, and what is ahead of the one in use is 24 MiB at most."""
    chosen = random.Random(seed)
    sizes = [chosen.choice([0, 100, 2 * MIB, 3 * MIB + 1, 7 * MIB, 16 * MIB]) for _ in range(40)]
    if seed == 0:  # larger shares for three of them, and then smaller ones for more
        sizes[:11] = [6 * MIB - 1, 0, 0, *[6 * MIB] * 2, *[3 * MIB] * 6]
    held: dict[int, int] = {}

    async def fetch(index: int, max_bytes: int) -> int:
        for _ in range(chosen.randrange(4)):
            held[index] = min(sizes[index], max_bytes)
            await asyncio.sleep(0)
        if sizes[index] > max_bytes:
            held.pop(index, None)
            raise TooLargeError(str(index), max_bytes)
        held[index] = sizes[index]
        return index

    seen = []
    async with aclosing(fetch_ahead(range(40), fetch, sizes.__getitem__)) as parts:
        async for index in parts:
            for _ in range(10):  # a slow caller: what is under way comes to its end
                await asyncio.sleep(0)
            assert sum(size for at, size in held.items() if at != index) <= 24 * MIB
            del held[index]
            seen.append(index)
    assert seen == list(range(40))


async def test_a_part_that_is_always_too_large() -> None:
    """A part that is longer than any may be ends it, after it was asked for as such."""
    asked = []

    async def fetch(index: int, max_bytes: int) -> int:
        asked.append((index, max_bytes))
        if index > 0:
            raise TooLargeError(str(index), max_bytes)
        return index

    with pytest.raises(TooLargeError):
        async for _ in fetch_ahead([0, 1], fetch, lambda part: 0):
            pass
    assert asked == [(0, MAX_BUNDLE_BYTES), (1, 3 * MIB), (1, MAX_BUNDLE_BYTES)]


async def test_small_entries_before_large_ones() -> None:
    """A range and an audit pass bundles of 6 MiB behind small ones, though their share is less."""
    entries = [b""] * 512 + [bytes(24_000)] * 512
    log = LogSimulator(entries, has_entries_route=False)
    head = await LogReader(log, log.key).head()
    seen = [entry async for _, part in EntryRange(log, head).stretches(0, 1024) for entry in part]
    assert seen == entries
    assert (await audit_log(log, log.key)).size == 1024
    assert log.requests.count("tile/entries/002") == 4, "each asked for it in its turn again"
