"""A signal handler that runs within append(), at every call and return there, hinders nothing."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tlog_clients.appender import Appender
from tlog_clients.appender_errors import AppenderClosedError, AppenderError
from tlog_clients.testing import FakeLog
from tlog_proofs import leaf_hash

WAIT_S = 60.0

SCRIPT = """
import os, signal, sys
from tlog_clients import Appender
url, vkey, spool, raises = sys.argv[1:]
appender = Appender(url, trust=vkey, spool=spool)
tickets = {}
moment = 0

def handle(*_):
    if raises == "True":
        raise KeyboardInterrupt
    entry = b"inner %d" % moment
    tickets[entry] = appender.append(entry)

def interrupt_at(wanted):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        count += event in ("call", "return")
        if count == wanted:
            sys.settrace(None)
            signal.raise_signal(signal.SIGUSR1)
        return trace
    sys.settrace(trace)

signal.signal(signal.SIGUSR1, handle)
while True:
    moment += 1
    entry = b"outer %d" % moment
    interrupt_at(moment)
    try:
        tickets[entry] = appender.append(entry)
    except KeyboardInterrupt:
        pass
    was_over = sys.gettrace() is not None
    sys.settrace(None)
    last = appender.append(b"after")
    try:
        last.durable().result(20)
    except TimeoutError:
        print("not written after moment", moment, flush=True)
        os._exit(1)
    if was_over:
        break
for entry, ticket in tickets.items():
    place = ticket.committed().result(20)
    print(entry.decode(), place.index, place.leaf_hash.hex())
assert appender.stats().queued_bytes == 0
assert appender.close(20) == 0
print("moments", moment)
"""


@pytest.mark.parametrize("raises", [True, False], ids=["it raises", "it appends"])
def test_signals(tmp_path: Path, *, raises: bool) -> None:
    """An exception leaves no lock held; an entry of the handler has a number of its own."""
    with FakeLog() as log:
        arguments = [log.url, log.vkey, str(tmp_path / "spool"), str(raises)]
        finished = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            check=False,
            capture_output=True,
            timeout=WAIT_S,
            text=True,
        )
        assert (finished.returncode, finished.stderr) == (0, ""), finished.stdout
        *told, last = finished.stdout.splitlines()
        moments = int(last.split()[1])
        assert moments > 10
        assert log.entries.count(b"after") == moments
        for line in told:
            entry, number, index, digest = line.rsplit(" ", 2)[0].encode(), *line.split()[1:]
            assert log.entries[int(index) - 1] == entry
            assert digest == leaf_hash(entry).hex(), number
        if not raises:
            assert len(told) == 2 * moments - 1
            assert len(set(log.entries)) == len(log.entries) - moments + 1


def test_close_within_a_call(tmp_path: Path) -> None:
    """A handler that closes the appender within another call of it is told to do that later."""
    with FakeLog() as log, Appender(log.url, trust=log.vkey, spool=tmp_path / "spool") as appender:
        with appender._changed, pytest.raises(AppenderError, match="outside another call"):
            appender.close()
        assert appender.append(b"an entry").committed().result(WAIT_S).index == 1


def test_waits_that_are_given_up(tmp_path: Path) -> None:
    """Futures that nobody holds any more, or that were cancelled, are not kept."""
    with FakeLog() as log:
        url, vkey = log.url, log.vkey
    appender = Appender(url, trust=vkey, spool=tmp_path / "spool")
    ticket = appender.append(b"an entry")
    ticket.durable().result(WAIT_S)
    for _ in range(100):
        ticket.committed()
        called = ticket.committed()
        called.add_done_callback(lambda _: None)
        called.cancel()
    del called
    gc.collect()
    assert not appender._tickets._committed[ticket.number]
    assert not appender._tickets._kept
    told: list[bool] = []
    ticket.committed().add_done_callback(lambda _: told.append(True))
    gc.collect()
    appender.close(0)
    assert told == [True]
    assert not appender._tickets._kept


def test_tickets_after_a_fork(tmp_path: Path) -> None:
    """In a forked child a ticket's futures have the error that the appender's methods raise."""
    with FakeLog() as log, Appender(log.url, trust=log.vkey, spool=tmp_path / "spool") as appender:
        ticket = appender.append(b"an entry")
        appender._tickets._pid += 1
        for future in (ticket.durable(), ticket.committed()):
            with pytest.raises(AppenderClosedError, match="was forked"):
                future.result(0)
