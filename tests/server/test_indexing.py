"""The index beside the log: written while the next batch is committed, never far behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.server.doubles import running_log, until
from tlog.ids import EntryId

ENTRY_ID = EntryId("token", "id")


async def test_the_next_batch_is_committed_while_the_one_before_is_indexed(tmp_path: Path) -> None:
    """What is durable is answered, and does not wait for the index; a third batch does."""
    async with running_log(tmp_path) as log:
        log.store.index_gate.clear()
        await log.sequencer.append([b"one"])
        await log.sequencer.append([b"two"])
        third = asyncio.create_task(log.sequencer.append([b"three"]))
        await asyncio.sleep(0.05)
        assert not third.done()
        assert log.store.indexed_size() == 1
        log.store.index_gate.set()
        assert (await third).first_index == 3
        await until(lambda: log.store.indexed_size() == 4)


async def test_nothing_is_published_that_the_index_lacks(tmp_path: Path) -> None:
    """Whoever sees an entry in a checkpoint finds it by its leaf hash."""
    async with running_log(tmp_path) as log:
        log.store.index_gate.clear()
        await log.sequencer.append([b"one"])
        assert await log.publisher.wait(2, 0.2) is None
        log.store.index_gate.set()
        assert await log.publisher.wait(2, 20) is not None
        assert log.store.indexed_size() == 2


async def test_an_id_is_claimed_until_the_index_knows_it(tmp_path: Path) -> None:
    """The same id once more, while its entry is durable and not indexed: no second entry."""
    async with running_log(tmp_path) as log:
        log.store.index_gate.clear()
        first = asyncio.create_task(log.idempotency.append([b"one"], [ENTRY_ID]))
        await until(lambda: log.store.newest_commit().size == 2)
        again = asyncio.create_task(log.idempotency.append([b"one"], [ENTRY_ID]))
        await asyncio.sleep(0.05)
        assert not first.done()
        assert not again.done()
        log.store.index_gate.set()
        assert list((await first).indexes) == [1]
        assert list((await again).indexes) == [1]
        assert list((await log.idempotency.append([b"one"], [ENTRY_ID])).indexes) == [1]
        assert log.store.newest_commit().size == 2


async def test_stop_ends_with_everything_indexed_and_published(tmp_path: Path) -> None:
    """Shut-down waits for the index of the last batch too."""
    async with running_log(tmp_path) as log:
        log.store.index_gate.clear()
        await log.sequencer.append([b"one"])
        log.sequencer.stop()
        await asyncio.sleep(0.05)
        log.store.index_gate.set()
    assert log.publisher.published.size == 2
    assert log.store.indexed_size() == 2
