"""The sequencer: group commit, bounds, disconnects, fail-stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.server.doubles import RunningLog, running_log, until
from tlog.config import Config
from tlog.errors import (
    BatchTooLargeError,
    EmptyBatchError,
    EntryTooLargeError,
    OutcomeUnknownError,
    QueueFullError,
    ReadOnlyError,
    StartingError,
    StoppingError,
)
from tlog.submissions import ENTRY_OVERHEAD_BYTES, Appended
from tlog_proofs import leaf_hash


async def hold_one(log: RunningLog) -> asyncio.Task[Appended]:
    """Begin an append whose commit stands at the closed gate."""
    log.store.gate.clear()
    log.store.entered.clear()
    task = asyncio.create_task(log.sequencer.append([b"held"]))
    await until(log.store.entered.is_set)
    return task


async def test_a_lone_append_goes_at_once(tmp_path: Path) -> None:
    """Without a timer each append that finds the writer idle is a batch of its own."""
    async with running_log(tmp_path) as log:
        for index in range(1, 6):
            entry = b"%d" % index
            appended = await log.sequencer.append([entry])
            assert appended == Appended(index, (leaf_hash(entry),))
        assert log.store.batches == [1] * 5


async def test_what_arrives_during_a_commit_is_the_next_batch(tmp_path: Path) -> None:
    """Group commit: fifty appends that wait for one commit become one batch, in their order."""
    async with running_log(tmp_path) as log:
        held = await hold_one(log)
        waiting = [asyncio.create_task(log.sequencer.append([b"%d" % n])) for n in range(50)]
        await asyncio.sleep(0)
        log.store.gate.set()
        assert (await held).first_index == 1
        assert [(await task).first_index for task in waiting] == list(range(2, 52))
        assert log.store.batches == [1, 50]
        assert log.store.read_leaves(2, 52) == [b"%d" % n for n in range(50)]


async def test_nobody_is_answered_before_the_commit_is_durable(tmp_path: Path) -> None:
    """An append waits as long as its commit does."""
    async with running_log(tmp_path) as log:
        held = await hold_one(log)
        await asyncio.sleep(0.05)
        assert not held.done()
        log.store.gate.set()
        await held


async def test_one_commit_keeps_its_bounds_of_entries_and_bytes(tmp_path: Path) -> None:
    """A full queue is cut into batches of at most commit_entries and commit_bytes."""
    config = Config(data_dir=tmp_path, commit_entries=10, commit_bytes=1000)
    async with running_log(tmp_path, config=config) as log:
        held = await hold_one(log)
        small = [asyncio.create_task(log.sequencer.append([b"s"])) for _ in range(25)]
        large = [asyncio.create_task(log.sequencer.append([b"l" * 400])) for _ in range(5)]
        await asyncio.sleep(0)
        log.store.gate.set()
        await asyncio.gather(held, *small, *large)
        assert log.store.batches == [1, 10, 10, 7, 2, 1]


async def test_a_batch_is_never_split(tmp_path: Path) -> None:
    """A request's entries stand together, in one commit."""
    config = Config(data_dir=tmp_path, commit_entries=10)
    async with running_log(tmp_path, config=config) as log:
        held = await hold_one(log)
        batches = [
            asyncio.create_task(log.sequencer.append([b"a%d" % n for n in range(7)])),
            asyncio.create_task(log.sequencer.append([b"b%d" % n for n in range(7)])),
        ]
        await asyncio.sleep(0)
        log.store.gate.set()
        assert [(await task).first_index for task in (held, *batches)] == [1, 2, 9]
        assert log.store.batches == [1, 7, 7]


async def test_the_queue_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Over the bound an append is refused with a time to retry, and taken when there is room."""
    room = 3 * (100 + ENTRY_OVERHEAD_BYTES)
    async with running_log(tmp_path, config=Config(data_dir=tmp_path, queue_bytes=room)) as log:
        log.store.gate.clear()
        waiting = [asyncio.create_task(log.sequencer.append([b"x" * 100])) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as caught:
            await log.sequencer.append([b"x" * 100])
        assert caught.value.retry_after_s >= 1
        log.store.gate.set()
        await asyncio.gather(*waiting)
        assert log.budget.used_bytes == 0
        await log.sequencer.append([b"x" * 100])


async def test_empty_entries_use_up_the_queue_too(tmp_path: Path) -> None:
    """Entries of no bytes cannot fill memory past the bound."""
    config = Config(data_dir=tmp_path, queue_bytes=2 * ENTRY_OVERHEAD_BYTES)
    async with running_log(tmp_path, config=config) as log:
        with pytest.raises(QueueFullError):
            await log.sequencer.append([b"", b"", b""])
        assert (await log.sequencer.append([b"", b""])).first_index == 1


async def test_a_disconnect_cancels_nothing_that_was_queued(tmp_path: Path) -> None:
    """Cancelled waits, of the batch under way and of the one behind it, are committed."""
    async with running_log(tmp_path) as log:
        held = await hold_one(log)
        behind = asyncio.create_task(log.sequencer.append([b"behind"]))
        await asyncio.sleep(0)
        held.cancel()
        behind.cancel()
        await asyncio.gather(held, behind, return_exceptions=True)
        log.store.gate.set()
        assert (await log.sequencer.append([b"after"])).first_index == 3
        assert log.store.read_leaves(1, 4) == [b"held", b"behind", b"after"]
        assert log.budget.used_bytes == 0


@pytest.mark.parametrize("fault", ["lost", "persisted"])
async def test_a_storage_error_stops_the_log_until_restart(tmp_path: Path, fault: str) -> None:
    """Fail-stop: who waits hears `unknown`, who queued behind and who comes later `read-only`."""
    async with running_log(tmp_path) as log:
        await log.sequencer.append([b"before"])
        held = await hold_one(log)
        behind = asyncio.create_task(log.sequencer.append([b"behind"]))
        await asyncio.sleep(0)
        log.store.fault = fault
        log.store.gate.set()
        with pytest.raises(OutcomeUnknownError):
            await held
        with pytest.raises(ReadOnlyError, match="restart the server"):
            await behind
        log.store.fault = ""
        with pytest.raises(ReadOnlyError, match="restart the server"):
            await log.sequencer.append([b"later"])
        assert len(log.reasons) == 1
        assert len(log.store.disk.leaves) == (3 if fault == "persisted" else 2)
        assert log.budget.used_bytes == 0


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ([], EmptyBatchError),
        ([b"x" * 65_536], EntryTooLargeError),
        ([b"x", b"y" * 65_536], EntryTooLargeError),
        ([b"x"] * 4097, BatchTooLargeError),
        ([b"x" * 60_000] * 140, BatchTooLargeError),
    ],
    ids=["none", "one byte too long", "second too long", "one too many", "too many bytes"],
)
async def test_an_append_out_of_bounds_is_refused_whole(
    tmp_path: Path, entries: list[bytes], error: type[Exception]
) -> None:
    """Bounds of entries and batches; nothing of a refused batch is kept."""
    async with running_log(tmp_path) as log:
        with pytest.raises(error):
            await log.sequencer.append(entries)
        assert log.budget.used_bytes == 0
        assert (await log.sequencer.append([b"x" * 65_535, b""])).first_index == 1


async def test_stop_commits_what_is_queued_and_takes_nothing_more(tmp_path: Path) -> None:
    """Shut-down loses nothing that was taken."""
    async with running_log(tmp_path) as log:
        held = await hold_one(log)
        behind = asyncio.create_task(log.sequencer.append([b"behind"]))
        await asyncio.sleep(0)
        log.sequencer.stop()
        with pytest.raises(StoppingError):
            await log.sequencer.append([b"late"])
        log.store.gate.set()
        assert (await held).first_index == 1
        assert (await behind).first_index == 2


async def test_time_never_decreases_by_index(tmp_path: Path) -> None:
    """A clock two seconds behind the newest entry is waited for."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s += 100
        log.clock.boot += 100
        await log.sequencer.append([b"one"])
        log.clock.wall_s -= 2
        waiting = asyncio.create_task(log.sequencer.append([b"two"]))
        await asyncio.sleep(0.15)
        assert not waiting.done()
        log.clock.wall_s += 2
        await waiting
        assert log.store.newest_commit().t == log.clock.wall_s


async def test_a_clock_far_behind_makes_the_log_read_only_until_it_agrees(tmp_path: Path) -> None:
    """Three seconds behind is refused; the log takes entries again once the clock is right."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s -= 3
        with pytest.raises(ReadOnlyError, match="3 s behind the newest entry"):
            await log.sequencer.append([b"one"])
        log.clock.wall_s += 3
        await log.sequencer.append([b"one"])
        assert log.sequencer.refusal is None
        assert log.reasons == []


async def test_a_clock_that_jumped_ahead_makes_the_log_read_only(tmp_path: Path) -> None:
    """More than an hour ahead of the time that passed is refused, until an operator confirms."""
    async with running_log(tmp_path) as log:
        await log.sequencer.append([b"one"])
        log.clock.wall_s += 3600
        log.clock.boot += 1
        await log.sequencer.append([b"a suspend of an hour is no jump"])
        log.clock.wall_s += 4000
        log.clock.boot += 300
        with pytest.raises(ReadOnlyError, match="jumped 3700 s ahead"):
            await log.sequencer.append([b"two"])
        log.sequencer.confirm_clock()
        await log.sequencer.append([b"two"])
        assert log.store.newest_commit().t == log.clock.wall_s


async def test_a_confirmed_clock_behind_stamps_no_lower_time(tmp_path: Path) -> None:
    """After a confirmation t stands still until the clock has caught up."""
    async with running_log(tmp_path) as log:
        newest = log.store.newest_commit().t
        log.clock.wall_s -= 50
        log.sequencer.confirm_clock()
        await log.sequencer.append([b"one"])
        assert log.store.newest_commit().t == newest
        log.clock.wall_s += 60
        log.clock.boot += 60
        await log.sequencer.append([b"two"])
        assert log.store.newest_commit().t == newest + 10


async def test_a_jump_ahead_is_noticed_after_a_confirmation_too(tmp_path: Path) -> None:
    """Whoever vouched for a clock that was behind said what later jumps are measured from."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s -= 3000
        log.sequencer.confirm_clock()
        await log.sequencer.append([b"one"])
        log.clock.wall_s += 200_000
        log.clock.boot += 1
        with pytest.raises(ReadOnlyError, match="jumped 199999 s ahead"):
            await log.sequencer.append([b"two"])
        log.clock.wall_s -= 200_000
        await log.sequencer.append([b"two"])
        log.clock.wall_s += 3100
        log.clock.boot += 3100
        await log.sequencer.append([b"three"])


async def test_a_confirmation_is_of_the_clock_as_it_stood(tmp_path: Path) -> None:
    """A clock that jumps further back than it was when it was vouched for is refused again."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s -= 3600
        log.sequencer.confirm_clock()
        await log.sequencer.append([b"one"])
        log.clock.wall_s -= 100
        with pytest.raises(ReadOnlyError, match="3700 s behind"):
            await log.sequencer.append([b"two"])
        log.clock.wall_s += 100
        await log.sequencer.append([b"three"])
        log.clock.wall_s += 1000
        log.clock.boot += 1100
        with pytest.raises(ReadOnlyError, match="2600 s behind"):
            await log.sequencer.append([b"four"])


async def test_a_batch_whose_ids_are_all_known_makes_no_key(tmp_path: Path) -> None:
    """A week's key is made for an id, not for the place where one could stand."""
    async with running_log(tmp_path) as log:
        await log.sequencer.append([b"one"], [None])
        assert log.store.newest_commit().key_week is None


async def test_a_clock_that_jumps_between_start_and_first_append_is_noticed(tmp_path: Path) -> None:
    """The time that passes is measured from the start on, not only from the first batch on."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s += 10 * 365 * 24 * 3600
        log.clock.boot += 5
        with pytest.raises(ReadOnlyError, match="jumped"):
            await log.sequencer.append([b"one"])
        assert log.store.newest_commit().size == 1


async def test_a_jump_ahead_is_noticed_although_the_clock_was_behind_meanwhile(
    tmp_path: Path,
) -> None:
    """Ahead counts from the last batch, whatever the clock has shown since."""
    async with running_log(tmp_path) as log:
        await log.sequencer.append([b"one"])
        log.clock.wall_s -= 100
        assert "100 s behind" in (log.sequencer.refusal or "")
        log.clock.wall_s += 100 + 365 * 86_400
        log.clock.boot += 5
        with pytest.raises(ReadOnlyError, match="jumped"):
            await log.sequencer.append([b"two"])
        log.clock.wall_s -= 365 * 86_400 - 5
        assert (await log.sequencer.append([b"two"])).first_index == 2


async def test_a_jump_ahead_during_a_commit_is_noticed(tmp_path: Path) -> None:
    """What is measured from is the moment of the batch's t, not that of its being durable."""
    async with running_log(tmp_path) as log:
        held = await hold_one(log)
        log.clock.wall_s += 365 * 86_400
        log.store.gate.set()
        await held
        with pytest.raises(ReadOnlyError, match="jumped"):
            await log.sequencer.append([b"two"])


async def test_a_failing_index_takes_nothing_back_and_is_built_again(tmp_path: Path) -> None:
    """What is durable is acknowledged; the index is rebuilt before the next commit."""
    async with running_log(tmp_path) as log:
        log.store.index_faults = 1
        appended = await log.sequencer.append([b"one"])
        assert appended.first_index == 1
        await until(lambda: log.sequencer.index_builds == 1 and log.sequencer.indexed)
        assert (await log.sequencer.append([b"two"])).first_index == 2
        assert log.store.find_leaf(leaf_hash(b"one"), 3) == 1
        assert log.reasons == []
        log.sequencer.suspect_index()
        assert not log.sequencer.indexed
        with pytest.raises(StartingError):
            await log.sequencer.append([b"three"])
        await until(lambda: log.sequencer.indexed)
        assert log.store.find_leaf(leaf_hash(b"two"), 3) == 2


async def test_an_index_that_cannot_be_built_stops_the_log(tmp_path: Path) -> None:
    """Begun anew and failing again: nothing is appended without an index of ids."""
    async with running_log(tmp_path) as log:
        log.store.index_faults = 1000
        await log.sequencer.append([b"one"])
        await until(lambda: bool(log.reasons))
        assert "index cannot be built" in log.reasons[0]
        with pytest.raises(ReadOnlyError):
            await log.sequencer.append([b"two"])
