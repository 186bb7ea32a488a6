"""What the synchronous face adds: threads, running loops, interrupts, closing, exit and fork."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from tests.cli.served_log import ServedLog
from tests.clients.simulator import LogSimulator, make_entries
from tlog_clients import Log

SIZE = 300
TIMEOUT_S = 30
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def served() -> Iterator[ServedLog]:
    """A log of 300 entries on loopback."""
    with ServedLog(LogSimulator(make_entries(SIZE))) as served_log:
        yield served_log


@pytest.fixture
def log(served: ServedLog, tmp_path: Path) -> Iterator[Log]:
    """The log that is served, open."""
    with Log(served.url, trust=served.log.key, state=tmp_path / "heads.json", cache=False) as log:
        yield log


def threads() -> list[str]:
    """The names of this package's threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tlog-")]


async def test_inside_a_running_loop(log: Log) -> None:
    """A caller whose thread runs an event loop is served all the same."""
    assert asyncio.get_running_loop().is_running()
    assert log.append(b"x").index == SIZE
    assert list(log.read_range(SIZE - 1))[1] == b"x"


def test_many_threads(log: Log, served: ServedLog) -> None:
    """Threads that append and read at a time each get their own answers; nothing is lost."""

    def use(number: int) -> list[int]:
        mine = []
        for turn in range(5):
            entry = b"%d of %d" % (turn, number)
            index = log.append(entry).index
            assert log.read(index) == entry
            mine.append(index)
        return mine

    with ThreadPoolExecutor(8) as pool:
        indexes = [index for mine in pool.map(use, range(8)) for index in mine]
    assert sorted(indexes) == list(range(SIZE, SIZE + 40))
    assert len(served.log.entries) == SIZE + 40
    assert log.head().size == SIZE + 40


def test_nothing_begins_before_the_first_call(served: ServedLog) -> None:
    """Making a Log starts no thread, so that a program may make it, fork, and use it after that."""
    log = Log(served.url, trust=served.log.key, state=False, cache=False)
    assert threads() == []
    log.close()
    log.close()
    assert threads() == []
    with pytest.raises(RuntimeError, match="closed"):
        log.head()


def test_closing_ends_the_threads(log: Log) -> None:
    """After close() nothing of it runs, and another call says so."""
    log.head()
    assert threads()
    log.close()
    assert threads() == []
    with pytest.raises(RuntimeError, match="the log is closed"):
        log.head()
    with pytest.raises(RuntimeError, match="the log is closed"):
        next(log.follow(0))
    log.close()


def test_last_reference_closes(served: ServedLog) -> None:
    """A Log that nobody refers to any more ends its threads."""
    log = Log(served.url, trust=served.log.key, state=False, cache=False)
    log.head()
    del log
    assert threads() == []


def test_garbage_of_a_thread(served: ServedLog) -> None:
    """A Log in a cycle with a range that was left early ends where garbage is collected."""

    def use() -> None:
        log = Log(served.url, trust=served.log.key, state=False, cache=False)
        items = log.read_range(0)
        assert next(items) == b""
        cycle: list[object] = [items]
        cycle.append(cycle)
        del log, items, cycle
        gc.collect()

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert threads() == []


def test_closed_while_others_wait(log: Log) -> None:
    """Closing ends the calls of other threads with an error that says why."""
    waits = threading.Event()
    errors: list[str] = []

    def stop() -> bool:
        waits.set()
        return False

    def follow() -> None:
        try:
            list(log.follow(SIZE, poll_s=1000, stop=stop))
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=follow)
    thread.start()
    assert waits.wait(TIMEOUT_S)
    log.close()
    thread.join(TIMEOUT_S)
    assert errors == ["the log was closed meanwhile"]


def test_called_from_its_own_thread(log: Log) -> None:
    """A callback that calls back would wait for itself: it is refused."""
    errors: list[str] = []

    def stop() -> bool:
        try:
            log.head()
        except RuntimeError as error:
            errors.append(str(error))
        return True

    assert list(log.follow(SIZE, stop=stop)) == []
    assert errors == ["called from within the log's own thread: use AsyncLog there"]


def test_interrupted(log: Log) -> None:
    """A signal's exception ends a call that waits, as Ctrl-C does, and the log goes on."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedError):
            list(log.follow(SIZE, poll_s=1000))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert log.append(b"x").index == SIZE


def test_interrupted_while_the_stop_is_asked(log: Log) -> None:
    """An error of the caller's own `stop` comes to the caller."""

    def stop() -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        list(log.follow(0, stop=stop))
    assert log.head().size == SIZE


SCRIPT = """
import os, sys, threading
from tlog_clients import Log
log = Log(sys.argv[1], trust=sys.argv[2], state=False, cache=sys.argv[3])
assert log.read(7) == b"entry 7"
"""
EXITS = {
    "at the end": "",
    "by sys.exit": "sys.exit(0)\n",
    "while a range is read": "items = log.read_range(0); next(items)\n",
    "after the main thread has ended": (
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    index = log.append(b'late').index\n"
        "    assert log.read(index) == b'late'\n"
        "    assert log.head().size == index + 1\n"
        "threading.Thread(target=work).start()\n"
    ),
    "while another thread follows": (
        "started = threading.Event()\n"
        "def stop():\n"
        "    started.set()\n"
        "    return False\n"
        "def follow():\n"
        "    for _ in log.follow(300, poll_s=1000, stop=stop):\n"
        "        pass\n"
        "threading.Thread(target=follow, daemon=True).start()\n"
        "started.wait()\n"
    ),
}


def run_script(served: ServedLog, cache: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code after SCRIPT in a process of its own; warnings are errors there."""
    paths = ":".join(str(ROOT / part) for part in ("clients", "proofs"))
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c", SCRIPT + code),
            *(served.url, served.log.key.vkey, str(cache)),
        ],
        env={"PYTHONPATH": paths, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("code", EXITS.values(), ids=EXITS.keys())
def test_exit_without_close(served: ServedLog, tmp_path: Path, code: str) -> None:
    """A program that just ends does so at once, and nothing is printed about what was open."""
    ended = run_script(served, tmp_path / "cache", code)
    assert (ended.returncode, ended.stderr) == (0, "")


FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork, which is the point
unused = Log(sys.argv[1], trust=sys.argv[2], state=False, cache=False)
if os.fork() == 0:
    for use in (log.head, lambda: log.append(b"x"), lambda: next(log.follow(0))):
        try:
            use()
        except RuntimeError as error:
            print(error, flush=True)
    log.close()
    print(unused.head().size, flush=True)
    with Log(sys.argv[1], trust=sys.argv[2], state=False, cache=False) as own:
        print(own.head().size, flush=True)
    sys.exit(0)
_, status = os.wait()
print(status, log.head().size)
"""


def test_fork(served: ServedLog, tmp_path: Path) -> None:
    """In a forked process a used Log says what is wrong; an unused and a new one work there."""
    ended = run_script(served, tmp_path / "cache", FORK)
    refused = "the log was used before this process was forked: make a new one in each process"
    lines = [refused] * 3 + ["300", "300", "0 300"]
    assert (ended.stdout.splitlines(), ended.stderr) == (lines, "")
