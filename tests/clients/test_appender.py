"""The appender against the fake log: order, once each, outages, refusals, lies, bounds, its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from aiohttp import web

from tlog_clients import (
    EntryTooLargeError,
    ForkDetectedError,
    HttpFetcher,
    HttpStatusError,
    LogMisbehaviourError,
    LogTrust,
    MemoryHeads,
    Trust,
)
from tlog_clients.appender import Appender
from tlog_clients.appender_errors import (
    AppenderClosedError,
    AppenderError,
    BufferFullError,
    EntrySetAsideError,
    SpoolDamagedError,
    SpoolError,
    SpoolLockedError,
    SpoolWriteError,
)
from tlog_clients.appender_options import AppenderOptions
from tlog_clients.appender_sender import VerifyingSender
from tlog_clients.appender_stats import DeliveryState
from tlog_clients.appender_verdict import MAX_LIES
from tlog_clients.spool import Spool
from tlog_clients.testing import FakeLog
from tlog_clients.testing_http import _Routes
from tlog_clients.testing_state import ProblemError
from tlog_proofs import Ed25519Cosigner, VerificationError, leaf_hash, open_checkpoint

WAIT_S = 20.0
QUICK = AppenderOptions(first_pause_s=0.01, max_pause_s=0.05)


@pytest.fixture
def log() -> Iterator[FakeLog]:
    """A log that takes everything."""
    with FakeLog() as log:
        yield log


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where the spool will be."""
    return tmp_path / "directory" / "spool"


def entries_of(prefix: str, count: int) -> list[bytes]:
    """Entries that say which they are."""
    return [f"{prefix} {number}".encode() for number in range(count)]


def wait_for(appender: Appender, state: DeliveryState) -> None:
    """Wait until the delivery says so."""
    deadline = time.monotonic() + WAIT_S
    while appender.stats().state is not state:
        assert time.monotonic() < deadline, appender.stats()
        time.sleep(0.005)


def test_in_order(log: FakeLog, spool: Path) -> None:
    """Entries come into the log in the order in which they were taken, and tickets say where."""
    entries = entries_of("entry", 2_500)
    with Appender(log.url, trust=log.vkey, spool=spool) as appender:
        tickets = [appender.append(entry) for entry in entries]
        place = tickets[-1].committed().result(WAIT_S)
        assert (place.index, place.leaf_hash) == (2_500, leaf_hash(entries[-1]))
        assert (place.state, place.may_be_duplicate) == ("published", False)
        assert tickets[0].committed().result(WAIT_S).index == 1
        assert tickets[7].durable().result(WAIT_S) is None
        assert appender.flush(WAIT_S) == 0
        stats = appender.stats()
    assert log.entries == entries
    assert (stats.appended, stats.committed, stats.spooled, stats.queued) == (2_500, 2_500, 0, 0)
    assert (stats.state, stats.reason) == (DeliveryState.DELIVERING, "")
    assert (stats.spooled_bytes, stats.queued_bytes, stats.oldest_age_s) == (0, 0, 0.0)


def test_from_many_threads(log: FakeLog, spool: Path) -> None:
    """Each thread's entries come in that thread's order, all of them once."""
    own = [entries_of(f"thread {number}:", 300) for number in range(8)]
    with Appender(log.url, trust=log.vkey, spool=spool) as appender:
        threads = [
            threading.Thread(target=lambda part=part: [appender.append(entry) for entry in part])
            for part in own
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert appender.flush(WAIT_S) == 0
    assert len(log.entries) == 8 * 300
    for part in own:
        wanted = set(part)
        assert [entry for entry in log.entries if entry in wanted] == part


async def test_from_coroutines(spool: Path) -> None:
    """A coroutine waits for its entry without blocking the loop."""
    async with FakeLog() as log, Appender(log.url, trust=log.vkey, spool=spool) as appender:
        tickets = [appender.append(entry) for entry in entries_of("entry", 50)]
        await appender.durable(tickets[0])
        places = await asyncio.gather(*map(appender.committed, tickets))
        assert [place.index for place in places] == list(range(1, 51))


def test_outage(log: FakeLog, spool: Path) -> None:
    """While the log is away entries are taken and kept, over a restart, and delivered later."""
    entries = entries_of("entry", 1_500)
    with log.outage():
        appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
        tickets = [appender.append(entry) for entry in entries[:1_200]]
        tickets[-1].durable().result(WAIT_S)
        wait_for(appender, DeliveryState.WAITING)
        stats = appender.stats()
        assert stats.spooled == 1_200
        assert "cannot connect" in stats.reason
        assert stats.oldest_age_s > 0
        assert appender.flush(0.01) == 1_200
        pending = tickets[-1].committed()
        assert appender.close(0) == 1_200
        with pytest.raises(AppenderClosedError):
            pending.result(WAIT_S)
        appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
        for entry in entries[1_200:]:
            appender.append(entry)
    assert appender.close(WAIT_S) == 0
    assert appender.stats().may_be_duplicate == 0
    assert log.entries == entries


def test_lost_answers(log: FakeLog, spool: Path) -> None:
    """Batches whose answers were lost stand once; so do those sent again by another process."""
    entries = entries_of("entry", 3_000)
    log.drop_answer(3)
    with Appender(log.url, trust=log.vkey, spool=spool, options=QUICK) as appender:
        for entry in entries[:2_000]:
            appender.append(entry)
        assert appender.flush(WAIT_S) == 0
        assert appender.stats().failures >= 3
    log.drop_answer(1_000)
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
    for entry in entries[2_000:]:
        appender.append(entry)
    wait_for(appender, DeliveryState.WAITING)
    assert appender.close(0) == 1_000
    log.drop_answer(-log._state.dropped)
    with Appender(log.url, trust=log.vkey, spool=spool, options=QUICK) as appender:
        assert appender.flush(WAIT_S) == 0
    assert log.entries == entries
    assert appender.stats().may_be_duplicate == 0


def test_passing_refusals(log: FakeLog, spool: Path) -> None:
    """What passes is waited for."""
    for status, problem in ((429, "queue-full"), (503, "starting"), (502, ""), (507, "disk-full")):
        log.fail_next(status, problem=problem)
    with Appender(log.url, trust=log.vkey, spool=spool, options=QUICK) as appender:
        appender.append(b"an entry")
        assert appender.flush(WAIT_S) == 0
        assert appender.stats().failures == 4
    assert log.entries == [b"an entry"]


def test_stopped_by_a_refusal(spool: Path) -> None:
    """A refused token stops the delivery, everything is kept, and it goes on when told to."""
    told: list[str] = []
    options = AppenderOptions(on_stopped=told.append)
    with FakeLog(token="right") as log:
        wrong = Appender(log.url, trust=log.vkey, spool=spool, token="wrong", options=options)
        tickets = [wrong.append(entry) for entry in entries_of("entry", 20)]
        assert wrong.flush(WAIT_S) == 20
        stats = wrong.stats()
        assert (stats.state, stats.spooled) == (DeliveryState.STOPPED, 20)
        assert "A valid token is needed" in stats.reason
        assert told == [stats.reason]
        with pytest.raises(AppenderError, match="stopped by one entry"):
            wrong.resume(set_aside=True)
        wrong.resume()
        assert wrong.flush(WAIT_S) == 20
        assert len(told) == 2
        assert not tickets[0].committed().done()
        assert wrong.close(WAIT_S) == 20
        with Appender(log.url, trust=log.vkey, spool=spool, token="right") as right:
            assert right.flush(WAIT_S) == 0
            assert right.stats().may_be_duplicate == 0
        assert log.entries == entries_of("entry", 20)


def test_a_callback_that_fails(spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A callback's own error is logged, and the delivery can go on."""

    def fail(reason: str) -> None:
        raise ValueError(reason)

    with FakeLog() as log:
        log.fail_next(404, problem="not-found")
        options = AppenderOptions(on_stopped=fail)
        with Appender(log.url, trust=log.vkey, spool=spool, options=options) as appender:
            appender.append(b"an entry")
            assert appender.flush(WAIT_S) == 1
            appender.resume()
            assert appender.flush(WAIT_S) == 0
    assert "a callback of the appender failed" in caplog.text


def test_one_bad_entry(log: FakeLog, spool: Path) -> None:
    """An entry that is refused is found, and set aside when told to; the others come in order."""
    entries = entries_of("entry", 1_000)
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
    with log.outage():
        tickets = [appender.append(entry) for entry in entries]
        tickets[-1].durable().result(WAIT_S)
        wait_for(appender, DeliveryState.WAITING)
        log.fail_next(413, 1_000)
    wait_for(appender, DeliveryState.STOPPED)
    assert "entry 1 (id " in appender.stats().reason
    log._state.failures.clear()
    appender.resume(set_aside=True)
    assert appender.flush(WAIT_S) == 0
    assert appender.stats().set_aside == 1
    with pytest.raises(EntrySetAsideError, match="entry 1 was set aside"):
        tickets[0].committed().result(WAIT_S)
    assert tickets[1].committed().result(WAIT_S).index == 1
    assert appender.close(WAIT_S) == 0
    assert log.entries == entries[1:]
    with Appender(log.url, trust=log.vkey, spool=spool) as appender:
        assert appender.stats().set_aside == 1


def test_smaller_batches(log: FakeLog, spool: Path) -> None:
    """A proxy that takes smaller bodies only gets them, and nothing stops."""
    entries = entries_of("entry", 1_000)
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
    with log.outage():
        appender.append(entries[0]).durable().result(WAIT_S)
        wait_for(appender, DeliveryState.WAITING)
        for entry in entries[1:]:
            appender.append(entry)
        log.fail_next(413, 4)
    assert appender.flush(WAIT_S) == 0
    assert appender.close(WAIT_S) == 0
    assert log.entries == entries


def test_the_wrong_key(log: FakeLog, spool: Path) -> None:
    """Answers that the key does not verify stop the delivery, and the entries are kept."""
    stranger = FakeLog(origin="fake.example/other")
    appender = Appender(log.url, trust=stranger.vkey, spool=spool, options=QUICK)
    appender.append(b"an entry")
    assert appender.flush(WAIT_S) == 1
    assert appender.stats().failures == 1 + MAX_LIES
    assert appender.stats().state is DeliveryState.STOPPED
    assert isinstance(appender.stopped_by, VerificationError)
    assert "fake.example/other" in appender.stats().reason
    assert appender.close(WAIT_S) == 1


def test_a_policy(log: FakeLog, spool: Path, tmp_path: Path) -> None:
    """A policy file says whom to believe; a quorum that is not met yet hinders no delivery."""
    witness = Ed25519Cosigner("witness.example/w", bytes(32)).verifier.vkey
    (tmp_path / "policy").write_text(f"log {log.vkey}\nwitness w {witness}\nquorum w\n")
    with Appender(log.url, trust=tmp_path / "policy", spool=spool) as appender:
        for number in range(3):
            appender.append(b"entry %d" % number)
            assert appender.flush(WAIT_S) == 0
    assert len(log.entries) == 3


def test_a_rewritten_history(spool: Path) -> None:
    """A log that shows another history stops the delivery, and both signed heads are at hand."""
    with FakeLog() as honest, Appender(honest.url, trust=honest.vkey, spool=spool) as appender:
        for entry in (b"one", b"two"):
            appender.append(entry).committed().result(WAIT_S)
    with FakeLog() as rewritten:
        rewritten.append(b"something else")
        appender = Appender(rewritten.url, trust=rewritten.vkey, spool=spool)
        appender.append(b"three")
        assert appender.flush(WAIT_S) == 1
        error = appender.stopped_by
        assert isinstance(error, ForkDetectedError)
        assert open_checkpoint(error.old_note, honest.log_key).size == 3
        assert open_checkpoint(error.new_note, honest.log_key).size == 3
        assert appender.close(WAIT_S) == 1


def test_without_a_key(log: FakeLog, spool: Path) -> None:
    """Without a key entries are delivered by the server's word."""
    with Appender(log.url, trust=None, spool=spool) as appender:
        assert appender.append(b"an entry").committed().result(WAIT_S).index == 1
    assert not spool.with_name("spool.heads").exists()


def test_unpublished(log: FakeLog, spool: Path) -> None:
    """An entry without a signed head over it stays in the spool, over a restart."""
    log.hold_publication()
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
    ticket = appender.append(b"an entry")
    wait_for(appender, DeliveryState.WAITING)
    assert "no signed head" in appender.stats().reason
    assert not ticket.committed().done()
    assert appender.close(0) == 1
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
    wait_for(appender, DeliveryState.WAITING)
    log.hold_publication(held=False)
    assert appender.flush(WAIT_S) == 0
    assert (appender.stats().trusted, appender.stats().included) == (1, 1)
    assert appender.close(WAIT_S) == 0
    assert log.entries == [b"an entry"]


def test_unpublished_without_a_key(log: FakeLog, spool: Path) -> None:
    """Without a key an entry that is committed and not published yet counts as delivered."""
    log.hold_publication()
    with Appender(log.url, trust=None, spool=spool) as appender:
        place = appender.append(b"an entry").committed().result(WAIT_S)
    assert (place.index, place.state, place.trust) == (1, "committed", None)


@pytest.mark.parametrize(("status", "left"), [(401, 0), (403, 0), (404, 1), (502, 1)])
def test_tiles_that_cannot_be_read(
    spool: Path, monkeypatch: pytest.MonkeyPatch, status: int, left: int
) -> None:
    """Where reading is allowed, what was not found in the tree is kept and sent again."""
    served, refused = _Routes.tile, threading.Event()

    async def refuse(routes: _Routes, request: web.Request) -> web.Response:
        if refused.is_set():
            raise ProblemError(status, "planned", "The test planned this")
        return await served(routes, request)

    monkeypatch.setattr(_Routes, "tile", refuse)
    refused.set()
    with FakeLog() as log:
        appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
        ticket = appender.append(b"an entry")
        if left:
            wait_for(appender, DeliveryState.WAITING)
            assert "its tree could not be read" in appender.stats().reason
            refused.clear()
        place = ticket.committed().result(WAIT_S)
        assert (place.trust, place.inclusion_verified) == (Trust.TRUSTED, bool(left))
        assert (appender.stats().trusted, appender.stats().included) == (1, left)
        assert appender.close(WAIT_S) == 0
        assert log.entries == [b"an entry"]


@pytest.mark.parametrize("status", [200, 404])
def test_nonsense_in_place_of_a_tile(
    spool: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """One tile that a cache does not have yet, or its error page, stops nothing."""
    served, answers = _Routes.tile, list[web.Response]()

    async def answer(routes: _Routes, request: web.Request) -> web.StreamResponse:
        return answers.pop() if answers else await served(routes, request)

    monkeypatch.setattr(_Routes, "tile", answer)
    with FakeLog() as log:
        appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
        appender.append(b"one").committed().result(WAIT_S)
        answers.append(web.Response(status=status, body=b"<html>later</html>"))
        appender.append(b"two")
        assert appender.flush(WAIT_S) == 0
        assert appender.stats().failures == 1
        assert appender.close(WAIT_S) == 0
        assert log.entries == [b"one", b"two"]


async def test_a_known_entry_for_a_new_one(log: FakeLog) -> None:
    """What was sent first in this process must stand behind the tree of then, in later answers."""
    log.append(b"known")
    async with HttpFetcher(log.url) as http:
        sender = VerifyingSender(http, LogTrust.of(log.vkey), MemoryHeads())
        await sender.send([b"one"], ["id1"], is_fresh=True)
        log.fail_next(429)
        with pytest.raises(HttpStatusError):
            await sender.send([b"known"], ["id2"], is_fresh=True)
        log._state.index_of_id["id2"] = 1
        with pytest.raises(LogMisbehaviourError, match="before it was sent first"):
            await sender.send([b"known"], ["id2"], is_fresh=False)


def test_an_error_after_the_end(log: FakeLog, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails once the delivery was told to end, as a thread at the exit, is no stop."""
    told: list[str] = []
    options = AppenderOptions(on_stopped=told.append)
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=options)
    appender.append(b"an entry").committed().result(WAIT_S)

    async def fail(_: object, timeout: float | None = None) -> None:  # noqa: ASYNC109
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(asyncio.BaseEventLoop, "shutdown_default_executor", fail)
    assert appender.close(WAIT_S) == 0
    assert told == []


def test_going_on_after_an_internal_error(
    log: FakeLog, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong within a delivery, resume() goes on with it."""
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    with monkeypatch.context() as patched:
        patched.setattr(Spool, "begin_batch", lambda *_: 1 / 0)
        appender.append(b"an entry")
        assert appender.flush(WAIT_S) == 1
        assert "internal error: ZeroDivisionError" in appender.stats().reason
    appender.resume()
    assert appender.flush(WAIT_S) == 0
    assert appender.close(WAIT_S) == 0
    assert log.entries == [b"an entry"]


def test_a_delivery_that_cannot_begin(
    log: FakeLog, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the thread itself has ended, resume() says so."""
    monkeypatch.setattr(VerifyingSender, "__init__", lambda *_: 1 / 0)
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    wait_for(appender, DeliveryState.STOPPED)
    with pytest.raises(AppenderError, match="a new appender on the spool, got internal error"):
        appender.resume()
    assert appender.stats().state is DeliveryState.STOPPED
    appender.close(0)


def test_a_spool_damaged_between(
    log: FakeLog, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spool that fails when a note is taken back stops the delivery, as anywhere else."""

    def refuse(spool: Spool, *_: object) -> None:
        spool._database.refuse("damaged by the test")

    monkeypatch.setattr(Spool, "unmark", refuse)
    log.fail_next(503, problem="starting")
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=QUICK)
    ticket = appender.append(b"an entry")
    wait_for(appender, DeliveryState.STOPPED)
    assert isinstance(appender.stopped_by, SpoolDamagedError)
    appender.resume()
    assert ticket.committed().result(WAIT_S).index == 1
    assert appender.close(WAIT_S) == 0


def test_full_queue(log: FakeLog, spool: Path) -> None:
    """When the queue is full, append says so at once; what was taken is delivered."""
    options = AppenderOptions(max_queue_bytes=10 * (128 + 8))
    with Appender(log.url, trust=log.vkey, spool=spool, options=options) as appender:
        release, began = threading.Event(), threading.Event()

        def hold(_: Spool) -> None:
            began.set()
            release.wait(WAIT_S)

        appender._spool.ask(hold)
        assert began.wait(WAIT_S)
        taken = [b"entry %2d" % number for number in range(10)]
        for entry in taken:
            appender.append(entry)
        with pytest.raises(BufferFullError, match="not written to the spool yet"):
            appender.append(b"too much")
        stats = appender.stats()
        assert (stats.queued, stats.refused) == (10, 1)
        release.set()
        assert appender.flush(WAIT_S) == 0
        appender.append(b"another")
    assert log.entries == [*taken, b"another"]


def test_full_spool(log: FakeLog, spool: Path) -> None:
    """When the spool is full, append says so at once; delivery makes room."""
    options = AppenderOptions(max_spool_bytes=10 * (128 + 8), first_pause_s=0.01, max_pause_s=0.05)
    appender = Appender(log.url, trust=log.vkey, spool=spool, options=options)
    with log.outage():
        for number in range(10):
            appender.append(b"entry %2d" % number).durable().result(WAIT_S)
        with pytest.raises(BufferFullError, match="not delivered yet"):
            appender.append(b"too much")
    assert appender.flush(WAIT_S) == 0
    deadline = time.monotonic() + WAIT_S
    while appender._spool.spooled_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    appender.append(b"another")
    assert appender.close(WAIT_S) == 0
    assert log.entries == [*(b"entry %2d" % number for number in range(10)), b"another"]


def test_full_disk(log: FakeLog, spool: Path) -> None:
    """On a full disk append says so, what was taken waits, and is written when there is room."""
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    large = b"x" * 60_000

    def set_pages(spool: Spool, factor: int) -> None:
        connection = spool._database.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {factor * pages}")

    appender._spool.ask(lambda spool: set_pages(spool, 1)).result(WAIT_S)
    ticket = appender.append(large)
    deadline = time.monotonic() + WAIT_S
    while "disk is full" not in appender.stats().reason:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with pytest.raises(SpoolWriteError, match="disk is full"):
        appender.append(b"refused")
    assert not ticket.durable().done()
    appender._spool.ask(lambda spool: set_pages(spool, 100_000)).result(WAIT_S)
    ticket.committed().result(WAIT_S)
    appender.append(b"taken again")
    assert appender.close(WAIT_S) == 0
    assert log.entries == [large, b"taken again"]


def test_lost_at_the_end(log: FakeLog, spool: Path) -> None:
    """Closing on a full disk says how many entries of those taken could not be kept."""
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    appender._spool.ask(
        lambda spool: spool._database.connection.execute("PRAGMA max_page_count = 1").fetchall()
    ).result(WAIT_S)
    ticket = appender.append(b"x" * 60_000)
    with pytest.raises(SpoolWriteError, match="1 entries could not be written and are lost"):
        appender.close(0.01)
    with pytest.raises(AppenderClosedError):
        ticket.durable().result(WAIT_S)


def test_damaged_spool(log: FakeLog, spool: Path) -> None:
    """A flipped bit in an entry stops the delivery, names the file, and nothing is taken."""
    with log.outage():
        appender = Appender(log.url, trust=log.vkey, spool=spool)
        appender.append(b"an entry to damage").durable().result(WAIT_S)
        appender.close(0)
    data = bytearray(spool.read_bytes())
    data[data.index(b"to damage")] ^= 1
    spool.write_bytes(data)
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    wait_for(appender, DeliveryState.STOPPED)
    assert appender.stats().reason == f"spool {spool}: entry 1 is damaged or missing"
    with pytest.raises(SpoolDamagedError):
        appender.append(b"another")
    assert appender.close(WAIT_S) == 1
    assert log.entries == []


def test_old_tries(log: FakeLog, spool: Path) -> None:
    """Entries tried longer ago than ids are remembered are told when they were added again."""
    long_ago = Spool(spool, log.log_key.name, lambda: time.time() - 8 * 24 * 3600)
    long_ago.write([b"one", b"two"])
    assert long_ago.begin_batch(0, 2, "") is not None
    long_ago.write([b"three"])
    long_ago.close()
    told: list[int] = []
    options = AppenderOptions(on_possible_duplicates=told.extend)
    with Appender(log.url, trust=log.vkey, spool=spool, options=options) as appender:
        ticket = appender.append(b"four")
        assert ticket.committed().result(WAIT_S).may_be_duplicate is False
        assert appender.stats().may_be_duplicate == 2
    assert told == [1, 2]
    assert log.entries == [b"one", b"two", b"three", b"four"]


@pytest.mark.parametrize("forgotten", [True, False])
def test_another_token(spool: Path, forgotten: bool) -> None:
    """Ids are remembered for a token: with another one, only entries added now are in doubt."""
    with FakeLog() as log:
        log.drop_answer(1_000)
        first = Appender(log.url, trust=log.vkey, spool=spool, token="a", options=QUICK)
        first.append(b"one").durable().result(WAIT_S)
        wait_for(first, DeliveryState.WAITING)
        first.append(b"two").durable().result(WAIT_S)
        first.close(0)
        assert log.entries == [b"one"]
        log.drop_answer(-log._state.dropped)
        if forgotten:
            log._state.index_of_id.clear()
        with Appender(log.url, trust=log.vkey, spool=spool, token="b") as second:
            assert second.flush(WAIT_S) == 0
            assert second.stats().may_be_duplicate == int(forgotten)
        assert log.entries == ([b"one"] if forgotten else []) + [b"one", b"two"]


def test_bounds_and_closing(log: FakeLog, spool: Path) -> None:
    """What no log takes, and what comes after the end, is refused; a spool has one appender."""
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    with pytest.raises(EntryTooLargeError):
        appender.append(b"x" * 65_536)
    with pytest.raises(EntryTooLargeError, match="got 80000"):
        appender.append(memoryview(array("d", [0.0] * 10_000)))  # type: ignore[arg-type]
    with pytest.raises(SpoolLockedError):
        Appender(log.url, trust=log.vkey, spool=spool)
    ticket = appender.append(b"x" * 65_535)
    assert appender.close(WAIT_S) == 0
    assert appender.close(WAIT_S) == 0
    assert ticket.committed().result(0).index == 1
    assert appender.stats().state is DeliveryState.CLOSED
    with pytest.raises(AppenderClosedError):
        appender.append(b"late")


def test_a_wait_that_is_given_up(log: FakeLog, spool: Path) -> None:
    """A future that its owner cancelled disturbs nobody, and another one can be had."""
    with Appender(log.url, trust=log.vkey, spool=spool, options=QUICK) as appender:
        with log.outage():
            ticket = appender.append(b"an entry")
            given_up, kept = ticket.committed(), ticket.committed()
            given_up.cancel()
        assert kept.result(WAIT_S).index == 1
        with pytest.raises(CancelledError):
            given_up.result(0)
        assert ticket.committed().result(0).index == 1


SCRIPT = """
import os, sys
from tlog_clients.appender import Appender
appender = Appender(sys.argv[1], trust=sys.argv[2], spool=sys.argv[3])
for number in range(5000):
    appender.append(b"entry %d" % number)
"""
FORK = """
appender.append(b"entry 5000").durable().result()
child = os.fork()
if child == 0:
    try:
        appender.append(b"in the child")
    except Exception as error:
        print(type(error).__name__, flush=True)
    sys.exit(0)  # all of Python's ending runs in the child
os.waitpid(child, 0)
appender.append(b"entry 5001").durable().result()
os.kill(os.getpid(), 9)
"""


def run_script(code: str, log: FakeLog, spool: Path) -> tuple[int, str]:
    """Run a process that appends; its exit code and what it printed."""
    arguments = ["-W", "ignore", "-c", code, log.url, log.vkey, str(spool)]
    finished = subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, timeout=WAIT_S, text=True
    )
    assert finished.stderr == ""
    return finished.returncode, finished.stdout


def test_a_process_that_ends(log: FakeLog, spool: Path) -> None:
    """What a process appended that ended without closing is kept."""
    assert run_script(SCRIPT, log, spool) == (0, "")
    with Appender(log.url, trust=log.vkey, spool=spool) as appender:
        assert appender.flush(WAIT_S) == 0
    assert log.entries == [b"entry %d" % number for number in range(5000)]


def test_fork(log: FakeLog, spool: Path) -> None:
    """A forked child is refused, and its end costs its killed parent no entry."""
    with log.outage():
        assert run_script(SCRIPT + FORK, log, spool) == (-9, "AppenderClosedError\n")
    with Appender(log.url, trust=log.vkey, spool=spool) as appender:
        assert appender.flush(WAIT_S) == 0
    assert log.entries == [b"entry %d" % number for number in range(5002)]


AFTER_MAIN = """
import threading
def late():
    threading.main_thread().join()
    print(appender.append(b"late").committed().result(50).index, appender.close())
threading.Thread(target=late).start()
"""


def test_after_the_main_thread(log: FakeLog, spool: Path) -> None:
    """A thread that outlives the main one still has its entries delivered."""
    assert run_script(SCRIPT + AFTER_MAIN, log, spool) == (0, "5001 0\n")
    assert log.entries == [*(b"entry %d" % number for number in range(5000)), b"late"]


def test_a_mistake_of_our_own(log: FakeLog, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends one of the threads is told: to append, or as the reason of the stop."""
    appender = Appender(log.url, trust=log.vkey, spool=spool)
    monkeypatch.setattr(Spool, "begin_batch", lambda *_: 1 / 0)
    appender.append(b"an entry")
    assert appender.flush(WAIT_S) == 1
    assert "internal error: ZeroDivisionError" in appender.stats().reason
    monkeypatch.setattr(Spool, "write", lambda *_: 1 / 0)
    appender.append(b"another")
    deadline = time.monotonic() + WAIT_S
    while appender._spool.failure is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with pytest.raises(SpoolError, match="internal error: ZeroDivisionError"):
        appender.append(b"a third")
    with pytest.raises(SpoolWriteError, match="1 entries could not be written"):
        appender.close(WAIT_S)
