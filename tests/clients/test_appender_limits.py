"""The appender's numbers: bounds, sizes of batches, pauses, the window of ids, and its end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tlog_clients import appender_delivery
from tlog_clients.appender import Appender
from tlog_clients.appender_delivery import ID_WINDOW_S
from tlog_clients.appender_errors import AppenderClosedError, BufferFullError
from tlog_clients.appender_options import AppenderOptions
from tlog_clients.spool import Batch, Spool
from tlog_clients.testing import FakeLog

WAIT_S = 20.0
QUICK = AppenderOptions(first_pause_s=0.01, max_pause_s=0.05)


@pytest.fixture
def log() -> Iterator[FakeLog]:
    """A log that takes everything."""
    with FakeLog() as log:
        yield log


def leave_tried(spool: Path, log: FakeLog, age_s: float, entries: list[bytes]) -> Batch:
    """Leave a spool whose entries were sent that long ago, and nothing known of it."""
    left = Spool(spool, log.log_key.name, lambda: time.time() - age_s)
    left.write(entries)
    batch = left.begin_batch(0, len(entries), "")
    left.close()
    assert batch is not None
    return batch


@pytest.mark.parametrize(
    ("age_s", "doubtful"),
    [(-7200, 1), (-1800, 0), (ID_WINDOW_S - 7200, 0), (ID_WINDOW_S - 1800, 1)],
)
def test_window_of_ids(log: FakeLog, tmp_path: Path, age_s: float, doubtful: int) -> None:
    """Clocks may differ by an hour: what is nearer to the end of the window is in doubt."""
    leave_tried(tmp_path / "spool", log, age_s, [b"one"])
    with Appender(log.url, trust=log.vkey, spool=tmp_path / "spool") as appender:
        assert appender.flush(WAIT_S) == 0
        assert appender.stats().may_be_duplicate == doubtful


def test_part_of_a_batch_in_doubt(log: FakeLog, tmp_path: Path) -> None:
    """Of an old batch only the entries that the log adds now may stand twice."""
    batch = leave_tried(tmp_path / "spool", log, 2 * ID_WINDOW_S, [b"one", b"two", b"three"])
    log._state.append([(b"one", batch.ids[0])])
    told: list[int] = []
    options = AppenderOptions(on_possible_duplicates=told.extend)
    with Appender(log.url, trust=log.vkey, spool=tmp_path / "spool", options=options) as appender:
        assert appender.flush(WAIT_S) == 0
        assert appender.stats().may_be_duplicate == 2
    assert told == [2, 3]
    assert log.entries == [b"one", b"two", b"three"]


def test_failures_in_a_row(log: FakeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses count failures in a row, and begin again after a success."""
    counted: list[int] = []

    def pause_s(_: object, failed_in_a_row: int, __: object) -> float:
        counted.append(failed_in_a_row)
        return 0.001

    monkeypatch.setattr(appender_delivery, "pause_s", pause_s)
    with Appender(log.url, trust=log.vkey, spool=tmp_path / "spool") as appender:
        for times in (4, 2):
            log.fail_next(429, times)
            appender.append(b"an entry").committed().result(WAIT_S)
    assert counted == [1, 2, 3, 4, 1, 2]


def test_batches_grow_again(log: FakeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After batches that were too large, each success doubles the next, up to 1,000."""
    sizes: list[int] = []
    begin = Spool.begin_batch

    def note(spool: Spool, delivered_to: int, max_entries: int, sender: str) -> Batch | None:
        batch = begin(spool, delivered_to, max_entries, sender)
        sizes.extend([] if batch is None else [len(batch.entries)])
        return batch

    left = Spool(tmp_path / "spool", log.log_key.name)
    left.write([b"entry %d" % number for number in range(4_000)])
    left.close()
    monkeypatch.setattr(Spool, "begin_batch", note)
    log.fail_next(413, 3)
    with Appender(log.url, trust=log.vkey, spool=tmp_path / "spool", options=QUICK) as appender:
        assert appender.flush(WAIT_S) == 0
    assert sizes[:7] == [1000, 500, 250, 125, 250, 500, 1000]


def test_the_queue_counts_for_the_spool(log: FakeLog, tmp_path: Path) -> None:
    """What is not written yet counts in the bound of the spool too."""
    options = AppenderOptions(max_spool_bytes=10 * (128 + 8))
    with Appender(log.url, trust=log.vkey, spool=tmp_path / "spool", options=options) as appender:
        release, began = threading.Event(), threading.Event()

        def hold(_: Spool) -> None:
            began.set()
            release.wait(WAIT_S)

        appender._spool.ask(hold)
        assert began.wait(WAIT_S)
        for number in range(10):
            appender.append(b"entry %2d" % number)
        with pytest.raises(BufferFullError, match="not delivered yet"):
            appender.append(b"")
        release.set()
        assert appender.flush(WAIT_S) == 0
    assert len(log.entries) == 10


def test_tickets_after_the_end(log: FakeLog, tmp_path: Path) -> None:
    """A ticket whose entry was left says so at once; durable is what was written."""
    appender = Appender(log.url, trust=log.vkey, spool=tmp_path / "spool", options=QUICK)
    with log.outage():
        ticket = appender.append(b"an entry")
        assert appender.close(0) == 1
    with pytest.raises(AppenderClosedError, match="closed before the log had the entry"):
        ticket.committed().result(0)
    assert ticket.durable().result(0) is None


def test_close_waits_for_its_threads(
    log: FakeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When close() returns, nothing of the appender runs any more."""
    ended = threading.Event()
    shut_down = asyncio.BaseEventLoop.shutdown_default_executor

    async def end_late(loop: asyncio.BaseEventLoop) -> None:
        await shut_down(loop)
        await asyncio.sleep(0.2)
        ended.set()

    appender = Appender(log.url, trust=log.vkey, spool=tmp_path / "spool")
    appender.append(b"an entry").committed().result(WAIT_S)
    monkeypatch.setattr(asyncio.BaseEventLoop, "shutdown_default_executor", end_late)
    assert appender.close(WAIT_S) == 0
    assert ended.is_set()
    assert not appender._thread.is_alive()
    assert not appender._spool._thread.is_alive()
