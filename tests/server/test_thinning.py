"""Stored checkpoints grow fewer with age: which stay, in how large steps, whatever is damaged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.server.doubles import START_S, FakeClock, until
from tests.server.hosts import open_host
from tlog.checkpoints import CheckpointStore, Published
from tlog.creation import NewLog
from tlog.errors import StoreError
from tlog.sqlite import Column, row_digest
from tlog.thinning import Thinner, superseded

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
NOW = 20_000 * DAY + 12 * HOUR + 34 * MINUTE + 56 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CheckpointStore]:
    """An empty checkpoints.db."""
    store = CheckpointStore.create(tmp_path / "checkpoints.db")
    yield store
    store.close()


def _row(size: int, published_ms: int) -> Published:
    return Published(size, bytes(32), b"note %d" % size, published_ms, bytes(64))


def _fill(path: Path, times: list[int]) -> None:
    """Add rows of these times; in one transaction, unlike the store."""
    rows = []
    for size, published_ms in enumerate(times, 1):
        row = _row(size, published_ms)
        columns: list[Column] = [size, row.root, published_ms, row.note, row.receipt_signature]
        rows.append([*columns, row_digest("checkpoints", columns)])
    with sqlite3.connect(path / "checkpoints.db") as database:
        database.executemany("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()


def _times(store: CheckpointStore) -> list[int]:
    return [row.published_ms for _, row in store.above(-1, 100_000) if row is not None]


def _expected(times: list[int]) -> list[int]:
    """What DESIGN says, spelled out: of each period of a row's age the last row of all."""
    now = times[-1]
    kept = []
    for number, time in enumerate(times):
        age = now - time
        if age <= HOUR:
            period = 1
        elif age <= DAY:
            period = MINUTE
        elif age <= 90 * DAY:
            period = HOUR
        else:
            period = DAY
        later = [other for other in times[number + 1 :] if other // period == time // period]
        if period == 1 or not later:
            kept.append(time)
    return kept


def _sample() -> list[int]:
    """Times over 100 days, closer together the nearer they are, some of them on the limits."""
    times = {NOW, NOW - HOUR, NOW - HOUR - 1, NOW - DAY, NOW - DAY - 1}
    times |= {NOW - 90 * DAY, NOW - 90 * DAY - 1}
    times |= set(range(NOW - 2 * HOUR, NOW, 20 * SECOND))
    times |= set(range(NOW - 26 * HOUR, NOW - 23 * HOUR, 25 * SECOND))
    times |= set(range(NOW - 100 * DAY, NOW, 7 * HOUR))
    times |= set(range(NOW - 91 * DAY, NOW - 89 * DAY, 22 * MINUTE))
    return sorted(times)


@pytest.mark.parametrize("run_rows", [3, 7, 100_000])
def test_what_is_kept_of_each_age(store: CheckpointStore, tmp_path: Path, run_rows: int) -> None:
    """All of an hour, one a minute of a day, one an hour of 90 days, one a day; in any steps."""
    times = _sample()
    _fill(tmp_path, times)
    with ThreadPoolExecutor(1) as executor:
        thinner = Thinner("a", store, executor, run_rows)
        for _ in range(2 * len(times) // (run_rows - 1) + 2):
            thinner.thin_some()
    kept = _times(store)
    assert kept == _expected(times)
    assert len(times) > 2 * len([time for time in kept if NOW - time > HOUR])


def test_thinning_again_removes_nothing_more() -> None:
    """As rows grow older those that remain are the ones that larger periods would keep."""
    times = _sample()
    step_by_step = list(times)
    for days in range(40):
        step_by_step.append(NOW + days * DAY)
        rows = [_row(size, time) for size, time in enumerate(step_by_step)]
        gone = set(superseded(rows, step_by_step[-1]))
        step_by_step = [row.published_ms for row in rows if row.size not in gone]
    at_once = _expected([*times, *(NOW + days * DAY for days in range(40))])
    assert step_by_step == at_once


def test_one_run_looks_at_so_many_rows_only(store: CheckpointStore, tmp_path: Path) -> None:
    """Of many old rows each run removes no more than it may look at."""
    _fill(tmp_path, [second * SECOND for second in range(50)] + [DAY])
    with ThreadPoolExecutor(1) as executor:
        thinner = Thinner("a", store, executor, 11)
        left = [len(_times(store))]
        while left[-1] > 2:
            thinner.thin_some()
            left.append(len(_times(store)))
    assert left == [51, 41, 31, 21, 11, 2]


def test_however_many_were_published_they_are_thinned_before_the_next_pause(
    store: CheckpointStore, tmp_path: Path
) -> None:
    """A run says whether more is to be done; of those of the last hour nothing is."""
    old = [second * SECOND for second in range(50)]
    young = [DAY + second * SECOND for second in range(50)]
    _fill(tmp_path, old + young)
    with ThreadPoolExecutor(1) as executor:
        thinner = Thinner("a", store, executor, 11)
        runs = 1
        while thinner.thin_some():
            runs += 1
    assert runs == 5  # of 10 rows and the one that follows
    assert _times(store) == [old[-1], *young]


def test_the_newest_stays_whatever_its_time(store: CheckpointStore, tmp_path: Path) -> None:
    """Also when the clock went back before it was published, or it stands alone."""
    for times in ([5 * DAY, 5 * DAY + 1, DAY], [DAY]):
        _fill(tmp_path, times)
        with ThreadPoolExecutor(1) as executor:
            Thinner("a", store, executor).thin_some()
        assert store.newest(1 << 60) == _row(len(times), times[-1])
        store.remove([1, 2, 3])
    with ThreadPoolExecutor(1) as executor:
        Thinner("a", store, executor).thin_some()
    assert _times(store) == []


def test_rows_of_a_clock_that_went_back_are_kept(store: CheckpointStore, tmp_path: Path) -> None:
    """Of two rows in the wrong order neither is taken for the other's successor."""
    times = [DAY + HOUR, DAY, DAY + HOUR + 1, 9 * DAY]
    _fill(tmp_path, times)
    with ThreadPoolExecutor(1) as executor:
        Thinner("a", store, executor).thin_some()
    assert _times(store) == times


def test_a_damaged_row_is_left_alone(store: CheckpointStore, tmp_path: Path) -> None:
    """It stays, for fsck to name, and removes no other one; the rows around it are thinned."""
    _fill(tmp_path, [0, 1, 2, 3, 4, DAY])
    with sqlite3.connect(tmp_path / "checkpoints.db") as database:
        database.execute("UPDATE checkpoints SET note = x'00' WHERE size IN (2, 5)")
    database.close()
    with ThreadPoolExecutor(1) as executor:
        Thinner("a", store, executor).thin_some()
    assert [size for size, _ in store.above(-1, 10)] == [2, 4, 5, 6]
    with pytest.raises(StoreError, match="damaged"):
        store.at(2)


def test_checkpoints_on_record_are_found_by_time(store: CheckpointStore, tmp_path: Path) -> None:
    """not_after() is the newest by time, of equal times the largest."""
    assert store.not_after(DAY) is None
    _fill(tmp_path, [10, 20, 20, 30])
    for time, size in ((10, 1), (19, 1), (20, 3), (29, 3), (30, 4), (1 << 60, 4)):
        found = store.not_after(time)
        assert found is not None
        assert found.size == size
    assert store.not_after(9) is None


async def test_a_running_log_thins_its_checkpoints(tmp_path: Path) -> None:
    """By the time of its publications; what is left is served by size and by time."""
    clock = FakeClock()
    async with open_host(tmp_path, clock) as host:
        await host.create_log(NewLog("a", "log.example/a"))
        log = host.log("a")
        for seconds in (10, 20, 7000, 7001):
            clock.wall_s, clock.boot = START_S + seconds, 1000.0 + seconds
            appended = await log.append([b"x"])
            assert await log.wait_published(appended.size, 20)
    clock.wall_s += 400 * 86_400  # a clock that jumps removes nothing
    async with open_host(tmp_path, clock) as host:
        log = host.log("a")
        path = tmp_path / "logs" / "a" / "checkpoints.db"
        await until(lambda: _sizes(path) == [3, 4, 5])
        assert await log.checkpoint_at(5) == log.published.note
        early = await log.checkpoint_not_after((START_S + 6999) * 1000)
        assert early == await log.checkpoint_at(3)


def _sizes(path: Path) -> list[int]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [size for (size,) in database.execute("SELECT size FROM checkpoints ORDER BY size")]
    finally:
        database.close()


async def test_a_failing_database_does_not_end_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thinning is tried again later; the log goes on meanwhile."""
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail(self: Thinner) -> None:
        loop.call_soon_threadsafe(failed.set)
        message = "fault"
        raise StoreError(message)

    monkeypatch.setattr(Thinner, "thin_some", fail)
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", "log.example/a"))
        async with asyncio.timeout(20):
            await failed.wait()
        appended = await host.log("a").append([b"x"])
        assert await host.log("a").wait_published(appended.size, 20)
        assert host.log("a").state == "ready"
