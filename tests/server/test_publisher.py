"""The publisher: what it signs, when, in which order, and what stops it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from tests import reference
from tests.server.doubles import ORIGIN, MemoryHeads, RunningLog, running_log, until
from tlog.checkpoints import SCHEMA, CheckpointStore, Published
from tlog.config import Config
from tlog.errors import StoreError
from tlog.sqlite import create_database, open_database
from tlog_proofs import Ed25519Signer, open_checkpoint, parse_vkey

NEVER_S = 3600.0


def slow(path: Path) -> Config:
    """A publisher that publishes only for who waits."""
    return Config(data_dir=path, publish_interval_s=NEVER_S)


async def test_who_waits_is_served_at_once(tmp_path: Path) -> None:
    """A wait makes the publisher publish now, whatever its interval."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        for _ in range(3):
            appended = await log.sequencer.append([b"x"])
            published = await log.publisher.wait(appended.size, 20)
            assert published is not None
            assert published.size == appended.size
            signed = open_checkpoint(published.note, parse_vkey(log.signer.verifier.vkey))
            assert (signed.size, signed.root) == (appended.size, log.sequencer.edge.root)


async def test_without_waiters_the_interval_rules(tmp_path: Path) -> None:
    """The first commit after a rest is published at once, the next not before the interval."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        await log.sequencer.append([b"first"])
        await until(lambda: log.publisher.published.size == 2)
        await log.sequencer.append([b"second"])
        await asyncio.sleep(0.1)
        assert log.publisher.published.size == 2
        assert len(log.heads.writes) == 2


async def test_a_wait_that_was_served_does_not_hurry_the_next_publication(tmp_path: Path) -> None:
    """Who began to wait during a publication and is covered by it asks for no other one."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        gate = threading.Event()
        add = log.checkpoints.add

        def slow_add(published: Published) -> None:
            assert gate.wait(20)
            add(published)

        log.checkpoints.add = slow_add  # type: ignore[method-assign]
        await log.sequencer.append([b"first"])
        await until(lambda: len(log.heads.writes) == 2)
        waiter = asyncio.create_task(log.publisher.wait(2, 20))
        await asyncio.sleep(0.01)
        gate.set()
        assert (await waiter) is not None
        await log.sequencer.append([b"second"])
        await asyncio.sleep(0.1)
        assert log.publisher.published.size == 2


async def test_who_begins_to_wait_for_more_during_a_publication_is_served_by_the_next(
    tmp_path: Path,
) -> None:
    """At once: what was asked for in the meantime is not forgotten when the publication ends."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        gate = threading.Event()
        add = log.checkpoints.add

        def slow_add(published: Published) -> None:
            assert gate.wait(20)
            add(published)

        log.checkpoints.add = slow_add  # type: ignore[method-assign]
        await log.sequencer.append([b"first"])
        await until(lambda: len(log.heads.writes) == 2)
        await log.sequencer.append([b"second"])
        waiter = asyncio.create_task(log.publisher.wait(3, 20))
        await asyncio.sleep(0.01)
        gate.set()
        published = await waiter
        assert published is not None
        assert published.size == 3


async def test_the_interval_publishes_without_anybody_asking(tmp_path: Path) -> None:
    """By default every commit is published within a moment."""
    async with running_log(tmp_path) as log:
        for size in range(2, 5):
            await log.sequencer.append([b"x"])
            await until(lambda size=size: log.publisher.published.size == size)  # type: ignore[misc]


async def test_nothing_is_signed_on_request(tmp_path: Path) -> None:
    """Waiting for what is published signs nothing."""
    async with running_log(tmp_path) as log:
        appended = await log.sequencer.append([b"x"])
        await log.publisher.wait(appended.size, 20)
        signatures = len(log.heads.writes)
        for _ in range(20):
            published = await log.publisher.wait(appended.size, 20)
            assert published == log.publisher.published
        assert len(log.heads.writes) == signatures


async def test_one_publication_serves_all_who_wait(tmp_path: Path) -> None:
    """A hundred waits are answered by far fewer signatures, each by a head that covers it."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:

        async def one(number: int) -> int:
            appended = await log.sequencer.append([b"%d" % number])
            published = await log.publisher.wait(appended.size, 20)
            assert published is not None
            return published.size - appended.size

        assert min(await asyncio.gather(*(one(n) for n in range(100)))) >= 0
        assert len(log.heads.writes) < 50


async def test_a_wait_ends_by_its_time_out_and_leaves_nothing(tmp_path: Path) -> None:
    """A wait that nothing answers returns None."""
    async with running_log(tmp_path, publish=False) as log:
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 0.05) is None
        assert log.publisher._waiters == {}


async def test_shut_down_releases_who_waits_and_publishes_a_last_time(tmp_path: Path) -> None:
    """Waiters hear None at once; what was committed is published before the end."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        first = await log.sequencer.append([b"x"])
        await log.publisher.wait(first.size, 20)
        log.store.gate.clear()
        waiting = asyncio.create_task(log.sequencer.append([b"y"]))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(log.publisher.wait(3, 20))
        await asyncio.sleep(0.01)
        log.publisher.release_waiters()
        assert await waiter is None
        log.store.gate.set()
        await waiting
    assert log.publisher.published.size == 3
    assert len(log.heads.writes) == 3


async def test_a_commit_after_the_waiters_left_is_published(tmp_path: Path) -> None:
    """Shut-down that finds nothing to publish still publishes what the queue commits later."""
    async with running_log(tmp_path) as log:
        await log.sequencer.append([b"x"])
        await until(lambda: log.publisher.published.size == 2)
        log.publisher.release_waiters()  # in the pause after a publication
        await asyncio.sleep(0.2)  # longer than that pause: the publisher has found nothing new
        await log.sequencer.append([b"y"])
    assert log.publisher.published.size == 3


async def test_entries_that_read_back_otherwise_are_never_signed(tmp_path: Path) -> None:
    """A bit that changed between hashing and signing stops the log; no head says it."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        await log.sequencer.append([b"one"])
        await until(lambda: log.publisher.published.size == 2)
        appended = await log.sequencer.append([b"two", b"three"])
        log.store.disk.leaves[2] = b"twp"
        assert await log.publisher.wait(appended.size, 20) is None
        assert log.publisher.published.size == 2
        assert len(log.heads.writes) == 2
        assert "read back" in log.reasons[0]
        assert log.sequencer.refusal == log.reasons[0]


async def test_a_full_tile_that_is_not_its_entries_is_never_signed(tmp_path: Path) -> None:
    """Stored tiles are compared with what the entries read back hash to."""
    async with running_log(tmp_path, config=slow(tmp_path)) as log:
        await log.sequencer.append([b"one"])
        await until(lambda: log.publisher.published.size == 2)
        appended = await log.sequencer.append([b"%d" % n for n in range(300)])
        log.store.disk.tiles[0, 0] = bytes(8192)
        assert await log.publisher.wait(appended.size, 20) is None
        assert "tile 0/0 is not that of its entries" in log.reasons[0]
        assert len(log.heads.writes) == 2


class ForgetfulSigner(Ed25519Signer):
    """A signer whose signatures are wrong from some time on."""

    broken = False

    def sign(self, message: bytes) -> bytes:
        signature = super().sign(message)
        return bytes(64) if self.broken else signature


async def test_the_own_signature_is_verified_before_it_is_stored(tmp_path: Path) -> None:
    """A wrong signature never reaches the head store."""
    signer = ForgetfulSigner(ORIGIN, bytes(range(32)))
    async with running_log(tmp_path, signer=signer) as log:
        object.__setattr__(signer, "broken", True)
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        assert "own signature does not verify" in log.reasons[0]
        assert len(log.heads.writes) == 1


async def test_another_head_in_the_store_stops_the_log(tmp_path: Path) -> None:
    """Compare-and-set: a second server that signed meanwhile is noticed, nothing is served."""
    async with running_log(tmp_path) as log:
        log.heads.heads[ORIGIN] = b"somebody else's head"
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        assert log.publisher.published.size == 1
        assert log.heads.heads[ORIGIN] == b"somebody else's head"
        assert log.sequencer.refusal is not None


@pytest.mark.parametrize("fault", ["lost", "persisted"])
async def test_a_failed_head_write_stops_the_log(tmp_path: Path, fault: str) -> None:
    """Whether or not the head was written, nothing more is signed and the old one is served."""
    async with running_log(tmp_path) as log:
        log.heads.fault = fault
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        log.heads.fault = ""
        await asyncio.sleep(0.05)
        assert log.publisher.published.size == 1
        assert len(log.heads.writes) == (2 if fault == "persisted" else 1)
        assert "restart the server" in log.reasons[0]


class Order:
    """Writes down in which order the steps of a publication happen."""

    def __init__(self, log: RunningLog) -> None:
        self.steps: list[str] = []
        heads, checkpoints = log.heads, log.checkpoints
        set_head, add, read = heads.compare_and_set, checkpoints.add, log.store.read_leaves

        def compare_and_set(origin: str, old: bytes | None, new: bytes) -> None:
            assert log.publisher.published.size == 1
            self.steps.append("head")
            set_head(origin, old, new)

        def add_row(published: Published) -> None:
            assert log.publisher.published.size == 1
            assert log.heads.heads[ORIGIN] == published.note
            self.steps.append("row")
            add(published)

        def read_leaves(start: int, end: int) -> list[bytes]:
            self.steps.append("read back")
            return read(start, end)

        heads.compare_and_set = compare_and_set  # type: ignore[method-assign]
        checkpoints.add = add_row  # type: ignore[method-assign]
        log.store.read_leaves = read_leaves  # type: ignore[method-assign]


async def test_the_order_is_read_back_head_row_serve(tmp_path: Path) -> None:
    """A checkpoint is in the head store, then on record, and only then served."""
    async with running_log(tmp_path) as log:
        order = Order(log)
        appended = await log.sequencer.append([b"x"])
        published = await log.publisher.wait(appended.size, 20)
        assert order.steps == ["read back", "head", "row"]
        assert published is not None
        assert log.checkpoints.at(2) == published


async def test_a_checkpoint_that_cannot_be_recorded_is_not_served(tmp_path: Path) -> None:
    """checkpoints.db failing stops the log with the old checkpoint in service."""
    async with running_log(tmp_path) as log:

        def add(published: Published) -> None:
            message = f"injected at {published.size}"
            raise StoreError(message)

        log.checkpoints.add = add  # type: ignore[method-assign]
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        assert log.publisher.published.size == 1


async def test_a_halted_writer_signs_nothing(tmp_path: Path) -> None:
    """After the time for shut-down is over no signature is made."""
    async with running_log(tmp_path) as log:
        log.writer.halted = True
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        assert len(log.heads.writes) == 1


async def test_all_heads_of_a_busy_log_are_of_one_tree(tmp_path: Path) -> None:
    """Every signed head has the root of the first entries, by the recursion's own count."""
    async with running_log(tmp_path) as log:
        for number in range(40):
            appended = await log.sequencer.append([b"%d" % number] * (number % 7 + 1))
            await log.publisher.wait(appended.size, 20)
        key = parse_vkey(log.signer.verifier.vkey)
        leaves = tuple(reference.leaf(entry) for entry in log.store.disk.leaves)
        sizes = []
        for note in log.heads.writes:
            signed = open_checkpoint(note, key)
            sizes.append(signed.size)
            assert signed.root == reference.root(leaves[: signed.size])
        assert sizes == sorted(sizes)
        assert sizes[-1] == len(leaves)


def test_checkpoints_on_record_are_found_by_size(tmp_path: Path) -> None:
    """at() is exact, newest() is the greatest not above."""
    store = CheckpointStore.create(tmp_path / "checkpoints.db")
    rows = [Published(size, bytes([size]) * 32, b"note %d" % size, size) for size in (1, 5, 9)]
    for row in rows:
        store.add(row)
    store.close()
    store = CheckpointStore(tmp_path / "checkpoints.db")
    assert store.at(5) == rows[1]
    assert store.at(6) is None
    assert store.newest(8) == rows[1]
    assert store.newest(0) is None
    store.close()


def test_a_damaged_checkpoint_row_is_an_error_at_every_read(tmp_path: Path) -> None:
    """SQLite has no page checksums: the row's digest notices a changed column."""
    store = CheckpointStore.create(tmp_path / "checkpoints.db")
    store.add(Published(5, bytes(32), b"note", 1))
    with sqlite3.connect(tmp_path / "checkpoints.db") as database:
        database.execute("UPDATE checkpoints SET published_ms = 2")
    database.close()
    with pytest.raises(StoreError, match="row of checkpoints is damaged"):
        store.at(5)
    with pytest.raises(StoreError, match="row of checkpoints is damaged"):
        store.newest(9)
    store.close()


def test_sqlite_databases_are_synced_in_full_and_never_made_by_opening(tmp_path: Path) -> None:
    """WAL with synchronous FULL; a missing database is an error."""
    create_database(tmp_path / "checkpoints.db", SCHEMA)
    database = open_database(tmp_path / "checkpoints.db")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    database.close()
    with pytest.raises(StoreError):
        open_database(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()
    with pytest.raises(StoreError, match="exists already"):
        create_database(tmp_path / "checkpoints.db", SCHEMA)


def test_what_a_crash_left_in_the_write_ahead_log_does_not_stay_there(tmp_path: Path) -> None:
    """A bit flipped in it would be taken for its end; rows in the database have digests."""
    (tmp_path / "live").mkdir()
    create_database(tmp_path / "live" / "checkpoints.db", SCHEMA)
    live = open_database(tmp_path / "live" / "checkpoints.db")
    with live:
        live.execute("INSERT INTO checkpoints VALUES (1, x'00', 1, x'00', NULL, x'00')")
    for path in (tmp_path / "live").glob("checkpoints.db*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    live.close()
    log = tmp_path / "checkpoints.db-wal"
    assert log.stat().st_size > 0
    database = open_database(tmp_path / "checkpoints.db")
    assert log.stat().st_size == 0
    assert database.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)
    database.close()


async def test_a_served_checkpoint_does_not_stay_in_the_write_ahead_log(tmp_path: Path) -> None:
    """It is served as soon as it is durable, and moved to where its digest protects it after."""
    async with running_log(tmp_path) as log:
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is not None
        await until(lambda: (tmp_path / "checkpoints.db-wal").stat().st_size == 0)
        assert log.checkpoints.at(appended.size) == log.publisher.published


def test_memory_heads_behave_as_the_protocol_says() -> None:
    """The double refuses what the real head store refuses."""
    heads = MemoryHeads()
    heads.compare_and_set("o", None, b"1")
    with pytest.raises(StoreError):
        heads.compare_and_set("o", None, b"2")
    assert heads.fetch("o") == b"1"
