"""One place in the pool: processes that die, hang, say nothing or lose their channel."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.server.hosts import open_host
from tlog.config import Config
from tlog.host import Host
from tlog.measures import ServerMeasures
from tlog.workers import pool, worker
from tlog.workers.messages import Hello, State
from tlog.workers.pool import WorkerPool
from tlog.workers.worker import AGAIN_MOST_S, AGAIN_S, HUNG_TICKS, LATE_TICKS, SETTLED_S, Worker

LIMIT_S = 20

# A process in the place of a worker's: it is given the worker's arguments.
PROCESS = """\
#!{python} -S
import socket, sys, time
channel = socket.socket(fileno=int(sys.argv[-2]))
passed = socket.socket(fileno=int(sys.argv[-1]))
def receive(count):
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        if not more:
            sys.exit()
        data += more
    return data
def read_frame():
    return receive(int.from_bytes(receive(4), "little"))
def send(body):
    channel.sendall(len(body).to_bytes(4, "little") + body)
def confirm(number):
    send(b"\\x92\\xa9Confirmed" + bytes([number]))
read_frame()
{script}
"""
SILENT = "confirm(1)\nwhile read_frame(): pass"
CONFIRMING = "confirm(1)\nwhile read_frame(): confirm(2)"
TALKING = "while True:\n    confirm(1)\n    time.sleep(0.01)"
CALLING = r"""
confirm(1)
send(b"\x95\xa4Call\x07\xa1a\xafcheck_accepting\x90")
read_frame()
channel.close()
time.sleep(1000)
"""


@dataclass
class WaitingLog:
    """A log whose calls wait for ever."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def check_accepting(self) -> None:
        """Wait until cancelled."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


Begin = Callable[[str], None]


@pytest.fixture
def use_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Have workers be processes that run a script after they have read their Hello."""

    def use(script: str) -> None:
        path = tmp_path / "process"
        path.write_text(PROCESS.format(python=sys.executable, script=script))
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return use


def make_hello(name: str) -> Hello:
    """A first message of no logs and no tokens."""
    return Hello(name, Config(data_dir=Path("data")), 1.0, None, State(1, [], []))


def make_worker(host: object, on_taking: Callable[[], None] = lambda: None) -> Worker:
    """A place for a process."""
    return Worker("worker-0", cast("Host", host), on_taking)


def make_host(**logs: object) -> SimpleNamespace:
    """As much of a host as a worker needs."""
    return SimpleNamespace(logs=logs, measures=ServerMeasures())


@asynccontextmanager
async def running(place: Worker) -> AsyncIterator[asyncio.Task[str]]:
    """A process that is ready; it is killed at the end."""
    async with asyncio.timeout(LIMIT_S):
        run = asyncio.create_task(place._run(make_hello))
        await place.ready.wait()
        try:
            yield run
        finally:
            place.kill()
            await run


async def test_who_does_not_confirm_is_ended(
    use_process: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that may act on an older state is dead before the change is said to hold."""
    use_process(SILENT)
    monkeypatch.setattr(worker, "CONFIRM_S", 0.05)
    place = make_worker(make_host())
    async with running(place) as run:
        await place.update(State(2, [], []))
        assert await run == "signal 9"


async def test_a_channel_that_closes_ends_its_calls(
    use_process: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for answers, here or there, even while the process lives."""
    use_process(CALLING)
    monkeypatch.setattr(worker, "CONFIRM_S", 1000.0)
    log = WaitingLog()
    place = make_worker(make_host(a=log))
    async with running(place) as run:
        await log.begun.wait()
        updated = asyncio.create_task(place.update(State(2, [], [])))
        await log.ended.wait()
        await updated
        with socket.socket() as connection:
            assert not place.take(connection)
        assert not run.done()


async def test_a_worker_that_hangs_gets_no_connections_and_is_ended(use_process: Begin) -> None:
    """By the moments of the core's own loop; one word, and it is as before."""
    use_process(CONFIRMING)
    taking = asyncio.Event()
    place = make_worker(make_host(), taking.set)
    async with running(place) as run:
        for _ in range(3):
            await taking.wait()
            with socket.socket() as connection:
                assert place.take(connection)
                for _ in range(LATE_TICKS):
                    place.tick()
                assert not place.take(connection)
            taking.clear()
            await place.update(State(2, [], []))
        for _ in range(HUNG_TICKS):
            assert not run.done()
            place.tick()
        assert await run == "signal 9"


async def test_a_process_that_never_is_ready_is_ended(use_process: Begin) -> None:
    """It has longer than one that was ready once."""
    use_process("read_frame()")
    place = make_worker(make_host())
    async with asyncio.timeout(LIMIT_S):
        run = asyncio.create_task(place._run(make_hello))
        while place._passing is None:  # noqa: ASYNC110 - once, in a test
            await asyncio.sleep(0.01)
        for _ in range(worker.READY_TICKS - 1):
            place.tick()
        await asyncio.sleep(0.05)
        assert not run.done()
        place.tick()
        assert await run == "signal 9"


def test_the_pause_doubles_until_a_process_lives() -> None:
    """To some seconds and no further; after a life that was long enough it is short again."""
    pauses = [AGAIN_S / 2]
    for _ in range(8):
        pauses.append(worker.next_pause(pauses[-1], 0.1))
    assert pauses[1] == AGAIN_S
    assert pauses[2:5] == [2 * AGAIN_S, 4 * AGAIN_S, 8 * AGAIN_S]
    assert pauses[-1] == pauses[-2] == AGAIN_MOST_S
    assert worker.next_pause(AGAIN_MOST_S, SETTLED_S) == AGAIN_S


async def test_a_process_that_ends_is_begun_again(
    use_process: Begin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a pause each time, with one line that says why; the pool need not wait for a pause."""
    pauses = iter((0.0, 0.0, 1000.0))
    monkeypatch.setattr(worker, "next_pause", lambda *_: next(pauses))
    lines: list[dict[str, object]] = []
    logger = SimpleNamespace(error=lambda event, **values: lines.append(values | {"event": event}))
    monkeypatch.setattr(worker, "_LOGGER", logger)
    use_process("sys.exit(3)")
    host = make_host()
    place = make_worker(host)
    async with asyncio.timeout(LIMIT_S):
        keeping = asyncio.create_task(place.keep_running(make_hello))
        while host.measures.worker_restarts < 3:  # noqa: ASYNC110 - a count, in a test
            await asyncio.sleep(0.01)
        place.stop()
        await keeping
    assert [line["reason"] for line in lines] == ["exit code 3"] * 3
    assert [line["pause_s"] for line in lines] == [0.0, 0.0, 1000.0]


@asynccontextmanager
async def serving_pool(host: Host) -> AsyncIterator[WorkerPool]:
    """A pool of one worker."""
    bound = socket.create_server(("127.0.0.1", 0))
    serving = WorkerPool(host, [bound], 1, 0.1)
    async with asyncio.timeout(LIMIT_S):
        try:
            await serving.start()
            yield serving
        finally:
            await serving.close()


def tick(monkeypatch: pytest.MonkeyPatch, tick_s: float) -> None:
    """Have the pool's moments be that long, but processes as long as ever to begin."""
    monkeypatch.setattr(pool, "TICK_S", tick_s)
    for module in (pool, worker):
        monkeypatch.setattr(module, "READY_TICKS", int(LIMIT_S / tick_s))


async def test_the_pool_looks_whether_its_workers_live(
    tmp_path: Path, use_process: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that says nothing more is ended, and another one is begun."""
    tick(monkeypatch, 0.02)
    async with open_host(tmp_path / "data") as host:
        use_process(SILENT)
        async with serving_pool(host):
            while host.measures.worker_restarts < 1:  # noqa: ASYNC110 - a count, in a test
                await asyncio.sleep(0.01)


async def test_a_core_that_slept_accuses_nobody(
    tmp_path: Path, use_process: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not hear while its own loop stood still counts as one moment."""
    tick_s = 0.1
    tick(monkeypatch, tick_s)
    async with open_host(tmp_path / "data") as host:
        use_process(TALKING)
        async with serving_pool(host):
            time.sleep(2 * HUNG_TICKS * tick_s)
            await asyncio.sleep(3 * tick_s)
            assert host.measures.worker_restarts == 0


async def test_workers_run_no_modules_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file there that is named as a module of ours or of others stays a file."""
    ran = tmp_path / "ran"
    folder = tmp_path / "somewhere"
    folder.mkdir()
    for name in ("uvloop", "msgspec", "tlog", "random"):
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w').close()\nraise SystemExit\n")
    monkeypatch.chdir(folder)
    async with open_host(tmp_path / "data") as host, serving_pool(host):
        assert host.measures.worker_restarts == 0
    assert not ran.exists()
