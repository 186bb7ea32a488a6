"""One id, one entry: repeats, conflicts, two clients at once, weeks, restarts, a lost index."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import shutil
import sqlite3
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.doubles import (
    START_S,
    FakeClock,
    RunningLog,
    StoredKeys,
    running_log,
    until,
    wait_at,
)
from tests.server.hosts import ORIGIN, open_host
from tlog.config import Config
from tlog.creation import NewLog
from tlog.errors import (
    IdConflictError,
    OutcomeUnknownError,
    QueueFullError,
    ReadOnlyError,
    StartingError,
    StoreError,
)
from tlog.idempotency import Placed
from tlog.ids import WEEK_S, EntryId, IdKeys, WeekKey, week_of
from tlog.store.commit_record import IdRow
from tlog_proofs import leaf_hash

MONDAY = (week_of(START_S) + 1) * WEEK_S


def an_id(text: str, principal: str = "tokenid234") -> EntryId:
    """An id of one principal."""
    return EntryId(principal, text)


async def append(log: RunningLog, *pairs: tuple[bytes, str | None]) -> Placed:
    """Append entries with ids (None: without)."""
    entries = [entry for entry, _ in pairs]
    ids = [None if text is None else an_id(text) for _, text in pairs]
    return await log.idempotency.append(entries, ids)


async def test_the_same_id_and_bytes_again_is_the_first_index(tmp_path: Path) -> None:
    """A repeat adds nothing, alone and within a batch of new ones."""
    async with running_log(tmp_path) as log:
        first = await append(log, (b"one", "a"))
        assert (list(first.indexes), first.first_new) == ([1], 1)
        again = await append(log, (b"one", "a"))
        assert (list(again.indexes), again.first_new) == ([1], None)
        assert again.leaf_hashes == (leaf_hash(b"one"),)
        mixed = await append(log, (b"two", "b"), (b"one", "a"), (b"three", None), (b"one", None))
        assert (list(mixed.indexes), mixed.first_new) == ([2, 1, 3, 4], 2)
        assert mixed.size == 5
        assert log.store.disk.leaves[1:] == [b"one", b"two", b"three", b"one"]
        assert log.budget.used_bytes == 0


async def test_other_bytes_under_an_id_are_a_conflict_for_the_whole_batch(tmp_path: Path) -> None:
    """Nothing of a batch with a conflict is appended."""
    async with running_log(tmp_path) as log:
        await append(log, (b"one", "a"))
        with pytest.raises(IdConflictError):
            await append(log, (b"new", "b"), (b"other", "a"))
        assert log.store.newest_commit().size == 2
        assert (await append(log, (b"new", "b"))).first_new == 2


async def test_one_id_twice_in_a_batch_is_one_entry(tmp_path: Path) -> None:
    """With the same bytes both lines have one index, with other bytes the batch is refused."""
    async with running_log(tmp_path) as log:
        placed = await append(log, (b"one", "a"), (b"two", "b"), (b"one", "a"))
        assert list(placed.indexes) == [1, 2, 1]
        with pytest.raises(IdConflictError):
            await append(log, (b"three", "c"), (b"four", "c"))
        assert log.store.newest_commit().size == 3


async def test_an_id_belongs_to_its_principal(tmp_path: Path) -> None:
    """Two tokens may use the same text."""
    async with running_log(tmp_path) as log:
        for index, principal in enumerate(("one", "two"), 1):
            placed = await log.idempotency.append([b"%d" % index], [an_id("a", principal)])
            assert placed.first_new == index


async def test_two_clients_at_once_log_it_once(tmp_path: Path) -> None:
    """Twenty requests with one id, while the commit is held and after: one entry, one index."""
    async with running_log(tmp_path) as log:
        log.store.gate.clear()
        early = [asyncio.create_task(append(log, (b"one", "a"))) for _ in range(10)]
        await until(log.store.entered.is_set)
        late = [asyncio.create_task(append(log, (b"one", "a"), (b"x", None))) for _ in range(10)]
        clash = asyncio.create_task(append(log, (b"other", "a")))
        await asyncio.sleep(0.02)
        log.store.gate.set()
        placed = await asyncio.gather(*early, *late)
        assert {p.indexes[0] for p in placed} == {1}
        assert sum(p.first_new == 1 for p in placed) == 1
        with pytest.raises(IdConflictError):
            await clash
        assert log.store.disk.leaves.count(b"one") == 1
        assert log.store.newest_commit().size == 12


async def test_no_interleaving_acknowledges_an_id_for_other_bytes(tmp_path: Path) -> None:
    """Requests with one id and two bodies, begun at all moments: one body stands, one conflicts."""
    async with running_log(tmp_path) as log:
        for turn in range(40):
            requests = []
            for number in range(12):
                body = b"%d %s" % (turn, b"one" if number < 2 or number % 3 else b"two")
                pair = (body, f"id {turn}")
                extra = [(b"x", None)] * (number % 2)
                requests.append((body, asyncio.create_task(append(log, pair, *extra))))
                for _ in range((turn * 7 + number * 5) % 11):
                    await asyncio.sleep(0)
            for body, request in requests:
                try:
                    placed = await request
                except (IdConflictError, QueueFullError):  # the second: try again
                    continue
                assert log.store.read_leaf(placed.indexes[0]) == body
                assert placed.leaf_hashes[0] == leaf_hash(body)


async def test_a_key_that_cannot_be_destroyed_hinders_no_append(tmp_path: Path) -> None:
    """A failure of control.db while old keys are destroyed is no reason to refuse an entry."""
    async with running_log(tmp_path) as log:
        await append(log, (b"one", "a"))
        log.clock.wall_s += 3 * WEEK_S
        log.clock.boot += 3 * WEEK_S
        log.keys.fault = StoreError("control.db: disk I/O error")
        assert (await append(log, (b"two", None))).indexes[0] == 2
        assert len(log.keys.keys) == 1
        log.keys.fault = None
        assert (await append(log, (b"three", None))).indexes[0] == 3
        assert len(log.keys.keys) == 0


async def test_a_client_that_leaves_neither_loses_nor_doubles_its_entry(tmp_path: Path) -> None:
    """Cancelled at any moment, the entry is logged once, and a retry finds it."""
    async with running_log(tmp_path) as log:
        for step in range(12):
            task = asyncio.create_task(append(log, (b"%d" % step, f"id {step}")))
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await append(log, (b"%d" % step, f"id {step}"))
        assert sorted(log.store.disk.leaves[1:]) == sorted(b"%d" % n for n in range(12))


async def test_an_id_is_found_over_the_turn_of_a_week_and_forgotten_after_the_next(
    tmp_path: Path,
) -> None:
    """Looked up under this week's key and last week's; then the key is destroyed."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s = MONDAY - 1
        log.clock.boot += MONDAY - 1 - START_S
        await append(log, (b"one", "a"))
        for step in (1, WEEK_S - 1):
            log.clock.wall_s += step
            log.clock.boot += step
            assert (await append(log, (b"one", "a"))).first_new is None
            with pytest.raises(IdConflictError):
                await append(log, (b"two", "a"))
        assert sorted(log.keys.keys) == [week_of(MONDAY - 1)]
        log.clock.wall_s += 1
        log.clock.boot += 1
        assert (await append(log, (b"one", "a"))).first_new == 2
        assert sorted(log.keys.keys) == [week_of(MONDAY) + 1]


async def test_a_key_that_could_not_be_destroyed_is_destroyed_by_the_next_call() -> None:
    """A failure of control.db must not let a key live on until some restart."""
    faults = [StoreError("a fault")]
    dropped: list[int] = []

    async def drop(before_week: int) -> None:
        if faults:
            raise faults.pop()
        dropped.append(before_week)

    keys = IdKeys((WeekKey(7, bytes(32), 1),), StoredKeys().save, drop)
    with pytest.raises(StoreError):
        await keys.expire(9)
    assert keys.window(9) == ()
    await keys.expire(9)
    await keys.expire(9)
    assert dropped == [8]


async def test_an_id_sent_just_before_the_week_turns_and_committed_after_is_found(
    tmp_path: Path,
) -> None:
    """The week of the commit, not that of the look-up, names the key."""
    async with running_log(tmp_path) as log:
        log.clock.wall_s = MONDAY - 1
        log.clock.boot += MONDAY - 1 - START_S
        log.store.gate.clear()
        held = asyncio.create_task(append(log, (b"held", None)))
        await until(log.store.entered.is_set)
        waiting = asyncio.create_task(append(log, (b"one", "a")))
        await asyncio.sleep(0.02)
        log.clock.wall_s += 1
        log.clock.boot += 1
        log.store.gate.set()
        await held
        assert (await waiting).first_new == 2
        assert log.store.newest_commit().key_week == week_of(MONDAY)
        assert (await append(log, (b"one", "a"))).first_new is None


async def test_a_commit_of_unknown_outcome_tells_all_who_wait_for_the_id(tmp_path: Path) -> None:
    """Who attached to a claim hears what its owner hears."""
    async with running_log(tmp_path) as log:
        log.store.gate.clear()
        first = asyncio.create_task(append(log, (b"one", "a")))
        await until(log.store.entered.is_set)
        second = asyncio.create_task(append(log, (b"one", "a")))
        await asyncio.sleep(0.02)
        log.store.fault = "persisted"
        log.store.gate.set()
        for task in (first, second):
            with pytest.raises(OutcomeUnknownError):
                await task
        with pytest.raises(ReadOnlyError):
            await append(log, (b"one", "a"))


async def test_entries_with_ids_are_bounded_by_the_queue(tmp_path: Path) -> None:
    """What is being looked up counts as what waits."""
    async with running_log(tmp_path, config=Config(data_dir=tmp_path, queue_bytes=1000)) as log:
        with pytest.raises(QueueFullError):
            await append(log, (b"x" * 1001, "a"))
        assert log.budget.used_bytes == 0
        assert (await append(log, (b"x" * 100, "a"))).first_new == 1
        gate, find_ids = threading.Event(), log.store.find_ids

        def find_slowly(id_macs: list[bytes], start: int) -> list[IdRow | None]:
            assert gate.wait(20)
            return find_ids(id_macs, start)

        log.store.find_ids = find_slowly  # type: ignore[method-assign, assignment]
        held = asyncio.create_task(append(log, (b"x" * 600, "b")))
        await until(lambda: log.budget.used_bytes > 600)
        with pytest.raises(QueueFullError):
            await append(log, (b"x" * 600, "c"))
        gate.set()
        assert (await held).first_new == 2
        assert log.budget.used_bytes == 0


async def test_an_index_that_a_look_up_finds_damaged_is_begun_anew(tmp_path: Path) -> None:
    """Try again later; then the id is found."""
    async with running_log(tmp_path) as log:
        await append(log, (b"one", "a"))
        find_ids = log.store.find_ids
        log.store.find_ids = Mock(side_effect=StoreError("rotten"))  # type: ignore[method-assign]
        with pytest.raises(StartingError, match="damaged"):
            await append(log, (b"one", "a"))
        log.store.find_ids = find_ids  # type: ignore[method-assign]
        assert log.sequencer.index_builds == 1
        await until(lambda: log.sequencer.indexed)
        assert (await append(log, (b"one", "a"))).first_new is None


@pytest.mark.parametrize("over", [False, True], ids=["still under way", "over by then"])
async def test_a_look_up_over_a_rebuild_of_the_index_is_never_believed(
    tmp_path: Path, *, over: bool
) -> None:
    """What a half-built index does not have may stand in the log: try again later."""
    async with running_log(tmp_path) as log:
        await append(log, (b"one", "a"))
        find_ids = log.store.find_ids

        def find_in_ruins(id_macs: list[bytes], start: int) -> list[object]:
            loop.call_soon_threadsafe(log.sequencer.suspect_index)
            if over:
                rebuilt = asyncio.run_coroutine_threadsafe(until(is_rebuilt), loop)
                rebuilt.result(20)
            return [None for _ in id_macs]

        def is_rebuilt() -> bool:
            return log.sequencer.index_builds > 0 and log.sequencer.indexed

        loop = asyncio.get_running_loop()
        log.store.find_ids = find_in_ruins  # type: ignore[method-assign, assignment]
        with pytest.raises(StartingError):
            await append(log, (b"one", "a"))
        log.store.find_ids = find_ids  # type: ignore[method-assign]
        await until(lambda: log.sequencer.indexed)
        assert (await append(log, (b"one", "a"))).first_new is None


async def test_a_look_up_that_begins_without_a_whole_index_is_never_believed(
    tmp_path: Path,
) -> None:
    """Also if the index is whole again when the look-up ends: under both keys it was not."""
    async with running_log(tmp_path) as log:
        await append(log, (b"old", "w"))
        log.clock.wall_s += WEEK_S
        log.clock.boot += WEEK_S
        first = await append(log, (b"one", "a"))
        index_missing, find_ids = log.store.index_missing, log.store.find_ids
        dropped, found_nothing = threading.Event(), threading.Event()
        asked: list[int] = []

        def build_slowly(entries: int) -> None:
            dropped.set()
            wait_at(found_nothing)
            index_missing(entries)

        def find(id_macs: list[bytes], start: int) -> list[IdRow | None]:
            asked.append(start)
            if len(asked) > 1:  # under last week's key
                found_nothing.set()
                asyncio.run_coroutine_threadsafe(until(is_whole), loop).result(20)
                return find_ids(id_macs, start)
            wait_at(dropped)
            return find_ids(id_macs, start)

        def is_whole() -> bool:
            return log.sequencer.indexed

        loop = asyncio.get_running_loop()
        log.store.index_missing = build_slowly  # type: ignore[method-assign]
        log.store.find_ids = find  # type: ignore[method-assign, assignment]
        again = asyncio.create_task(append(log, (b"one", "a")))
        loop.call_soon(log.sequencer.suspect_index)  # a read finds it damaged in that moment
        with pytest.raises(StartingError):
            await again
        found_nothing.set()
        await until(is_whole)
        assert log.store.newest_commit().size == first.size


async def test_restarted_killed_or_without_index_the_retry_is_the_first_index(
    tmp_path: Path,
) -> None:
    """Keys are in control.db, ids in the commit records: the index only makes them quick."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        entries = [b"%d" % n for n in range(600)]
        ids = [an_id(f"id {n}") for n in range(600)]
        for start in range(0, 600, 50):
            await host.log("a").append(entries[start : start + 50], ids[start : start + 50])
    async with open_host(tmp_path) as host:
        placed = await host.log("a").append(entries, ids)
        assert (list(placed.indexes), placed.first_new) == (list(range(1, 601)), None)
    shutil.rmtree(tmp_path / "logs" / "a" / "index")
    async with open_host(tmp_path) as host:
        log = host.log("a")
        await until(lambda: log.state == "ready")
        placed = await log.append(entries, ids)
        assert (list(placed.indexes), placed.first_new) == (list(range(1, 601)), None)
        with pytest.raises(IdConflictError):
            await log.append([b"another"], [ids[7]])


async def test_no_id_is_stored_and_a_destroyed_key_is_gone_from_the_files(tmp_path: Path) -> None:
    """Only MACs reach the disk; a key whose window is over is in no file any more."""
    clock = FakeClock()
    async with open_host(tmp_path, clock) as host:
        await host.create_log(NewLog("a", ORIGIN))
        await host.log("a").append([b"x"], [an_id("a-very-secret-id-text")])
        with sqlite3.connect(tmp_path / "control.db") as control:
            ((key,),) = control.execute("SELECT key FROM id_keys").fetchall()
        control.close()
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert b"a-very-secret-id-text" not in path.read_bytes()
        clock.wall_s += 3 * WEEK_S
        clock.boot += 3 * WEEK_S
        await host.log("a").append([b"y"], [an_id("another")])
        for path in tmp_path.glob("control.db*"):
            assert key not in path.read_bytes()
    async with open_host(tmp_path, clock) as host:
        assert (await host.log("a").append([b"x"], [an_id("a-very-secret-id-text")])).first_new


async def test_a_commit_full_of_ids_fits_its_record(tmp_path: Path) -> None:
    """4,096 entries with ids in one commit are read back whole."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        ids = [an_id(f"{n}") for n in range(4096)]
        await host.log("a").append([b"%d" % n for n in range(4096)], ids)
    async with open_host(tmp_path) as host:
        assert (await host.log("a").append([b"4095"], [ids[4095]])).first_new is None


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    st.lists(st.integers(0, 2), min_size=1, max_size=6),
)
def test_the_mac_of_an_id_is_that_of_the_specification(
    principal: str, text: str, order: list[int]
) -> None:
    """Under whatever keys it was asked for before, in whatever order."""
    keys = [bytes([number]) * 32 for number in range(3)]
    entry_id = EntryId(principal, text)
    for number in order:
        message = b"tlog/id/1\0" + len(principal).to_bytes(2, "big") + f"{principal}{text}".encode()
        expected = hmac.new(keys[number], message, hashlib.sha256).digest()[:16]
        assert entry_id.mac(keys[number]) == expected


async def test_new_known_and_other_ids_in_one_batch_are_each_placed(tmp_path: Path) -> None:
    """Ids that stand, that another request has under way, that come twice, and entries without."""
    async with running_log(tmp_path) as log:
        append = log.idempotency.append
        assert (await append([b"stands"], [an_id("stands")])).first_new == 1
        log.store.gate.clear()
        log.store.entered.clear()
        other = asyncio.create_task(
            append([b"a", b"waits", b"b"], [None, an_id("waits"), an_id("b")])
        )
        await until(log.store.entered.is_set)
        batch = [b"new", b"stands", b"new", b"", b"waits", b"last"]
        ids = [an_id("new"), an_id("stands"), an_id("new"), None, an_id("waits"), an_id("last")]
        mixed = asyncio.create_task(append(batch, ids))
        await asyncio.sleep(0.05)
        log.store.gate.set()
        first = (await other).first_new
        assert first == 2
        placed = await mixed
        assert placed.first_new == 5
        assert placed.indexes == (5, 1, 5, 6, 3, 7)
        assert placed.leaf_hashes == tuple(leaf_hash(entry) for entry in batch)
        assert log.store.disk.leaves[1:] == [b"stands", b"a", b"waits", b"b", b"new", b"", b"last"]
