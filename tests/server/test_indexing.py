"""The index beside the log: written while the next batch is committed, never far behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.server.doubles import running_log, until
from tlog.errors import OutcomeUnknownError
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


async def test_what_is_durable_is_answered_when_the_index_before_it_ends_in_a_bug(
    tmp_path: Path,
) -> None:
    """The log stops; of the batch whose index it was nothing is said, the next one stands."""
    said: list[str] = []
    with pytest.raises(MemoryError):  # at the end, from the task of the sequencer
        await _append_twice_over_a_bug(tmp_path, said)
    assert "index of a commit was interrupted" in said[0]


async def _append_twice_over_a_bug(tmp_path: Path, said: list[str]) -> None:
    async with running_log(tmp_path) as log:
        log.store.index_gate.clear()
        log.store.index_bug = MemoryError("no memory")
        first = asyncio.create_task(log.idempotency.append([b"one"], [ENTRY_ID]))
        await until(lambda: log.store.newest_commit().size == 2)
        other = EntryId("token", "other")
        second = asyncio.create_task(log.idempotency.append([b"two"], [other]))
        await until(lambda: log.store.newest_commit().size == 3)
        await asyncio.sleep(0.05)
        log.store.index_gate.set()
        async with asyncio.timeout(20):
            with pytest.raises(OutcomeUnknownError):
                await first
            assert list((await second).indexes) == [2]
        assert log.budget.used_bytes == 0
        said += log.reasons


async def test_an_index_found_damaged_while_it_is_built_is_begun_anew(tmp_path: Path) -> None:
    """What a read found during the last steps is not forgotten with them."""
    async with running_log(tmp_path) as log:
        await log.sequencer.append([b"one"])
        await until(lambda: log.store.indexed_size() == 2)
        index_missing, drop_index = log.store.index_missing, log.store.drop_index
        loop = asyncio.get_running_loop()
        drops: list[int] = []

        def build(entries: int) -> None:
            index_missing(entries)
            if len(drops) == 1:
                loop.call_soon_threadsafe(log.sequencer.suspect_index)

        def drop() -> None:
            drops.append(1)
            drop_index()

        log.store.index_missing = build  # type: ignore[method-assign]
        log.store.drop_index = drop  # type: ignore[method-assign]
        log.sequencer.suspect_index()
        await until(lambda: len(drops) == 2 and log.sequencer.indexed)


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
