"""One place in the pool of workers: a process that serves, or the wait for the next one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable

import structlog

from tlog.host import Host
from tlog.workers.calls import Calls
from tlog.workers.channel import Channel
from tlog.workers.messages import (
    Confirmed,
    Hello,
    Measured,
    State,
    Stop,
    ToCore,
    UseTls,
    make_core_decoder,
)

TICK_S = 1.0  # between two calls of Worker.tick; workers send their reports as often
READY_TICKS = 30  # for a process to begin
LATE_TICKS = 3  # without a word: it is given no connections
HUNG_TICKS = 10  # without a word: it is ended
CONFIRM_S = 5.0  # for one to take a new state; who does not is ended
AGAIN_S = 0.2  # before a process that ended is begun again; doubled each time
AGAIN_MOST_S = 5.0
SETTLED_S = 30.0  # of life, after which an end is again the first one
_LOGGER = structlog.get_logger("tlog.workers")


def next_pause(pause_s: float, lived_s: float) -> float:
    """Seconds before a process that lived so long is begun again, when it was pause_s last time."""
    return AGAIN_S if lived_s >= SETTLED_S else min(2 * pause_s, AGAIN_MOST_S)


class Worker:
    """Keeps one process running, from `keep_running` to `stop`; the loop owns it."""

    def __init__(self, name: str, host: Host, on_taking: Callable[[], None]) -> None:
        """Serve a host; on_taking is called when the worker takes connections (again)."""
        self.name = name
        self._host = host
        self._on_taking = on_taking
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel[ToCore] | None = None  # once the Hello is on its way
        self._calls: Calls | None = None
        self._passing: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._silent_ticks = 0  # since the process said something
        self.ready = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def taking(self) -> bool:
        """Whether it can be given a connection."""
        return self._passing is not None and self.ready.is_set() and self._silent_ticks < LATE_TICKS

    async def keep_running(self, make_hello: Callable[[str], Hello]) -> None:
        """Run a process, and another one each time that it ends, until `stop`."""
        loop = asyncio.get_running_loop()
        pause_s = AGAIN_S / 2
        while not self._stopping.is_set():
            began_s = loop.time()
            try:
                reason = await self._run(make_hello)
            except OSError as error:
                reason = f"it could not be begun: {error}"
            if self._stopping.is_set():
                return
            pause_s = next_pause(pause_s, loop.time() - began_s)
            self._host.measures.worker_restarts += 1
            _LOGGER.error(
                "a worker process ended and is begun again",
                worker=self.name,
                reason=reason,
                pause_s=pause_s,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    async def _run(self, make_hello: Callable[[str], Hello]) -> str:
        """Begin a process, wait for its end, and say how it ended."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        passing, passed = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, passing, passed:
            passing.setblocking(False)  # noqa: FBT003 - the name of the method says it
            channel = Channel(make_core_decoder(), self._received, self._lost)
            calls = Calls(self._host, channel.send)
            self._calls = calls
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # no modules of whatever directory the server was started in
                "-m",
                "tlog.workers",
                str(theirs.fileno()),
                str(passed.fileno()),
                pass_fds=(theirs.fileno(), passed.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is for the core alone
            )
            self._process = process
            self._silent_ticks = 0
            theirs.close()
            passed.close()
            try:
                await loop.create_unix_connection(lambda: channel, sock=ours)
                channel.send(make_hello(self.name))  # what changed before this moment is in it
                self._channel, self._passing = channel, passing
                if self._stopping.is_set():
                    channel.send(Stop())
                code = await process.wait()
            finally:
                self._channel = self._passing = None
                self.ready.clear()
                calls.cancel()
                channel.abort()
                self.kill()
                await process.wait()
                self._process = None
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def tick(self) -> None:
        """A moment of TICK_S of this process's own loop is over; end a worker that hangs.

        A process that slept itself, or was stopped, had no such moments and accuses nobody.
        """
        self._silent_ticks += 1
        limit = HUNG_TICKS if self.ready.is_set() else READY_TICKS
        if self._process is not None and self._silent_ticks == limit:
            _LOGGER.error("a worker gives no sign of life and is ended", worker=self.name)
            self.kill()

    def take(self, accepted: socket.socket) -> bool:
        """Whether the worker was given a connection."""
        if self._passing is None or not self.taking:
            return False
        try:
            socket.send_fds(self._passing, [b"c"], [accepted.fileno()])
        except OSError:
            return False
        return True

    async def update(self, state: State) -> None:
        """Return when the worker knows a state, or is dead."""
        channel = self._channel
        if channel is None:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[state.number] = waiting
        channel.send(state)
        try:
            async with asyncio.timeout(CONFIRM_S):
                await waiting
        except TimeoutError:
            _LOGGER.error("a worker does not answer and is ended", worker=self.name)  # noqa: TRY400
            self.kill()
        finally:
            del self._waiting[state.number]

    def tell(self, message: UseTls | Stop) -> None:
        """Send to the process, if there is one."""
        if self._channel is not None:
            self._channel.send(message)

    def stop(self) -> None:
        """Ask the process to end, and begin no other."""
        self._stopping.set()
        self.tell(Stop())

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _received(self, message: ToCore) -> None:
        was_taking, self._silent_ticks = self.taking, 0
        if isinstance(message, Confirmed):
            self.ready.set()
            waiting = self._waiting.get(message.number)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        elif isinstance(message, Measured):
            if message.report is not None:
                self._host.measures.reported(self.name, message.report)
        elif self._calls is not None:
            self._calls.begin(message)
        if self.taking and not was_taking:
            self._on_taking()

    def _lost(self) -> None:
        """The process ended or closed its channel: what it was told it needs not know any more."""
        self.ready.clear()
        self._host.measures.forget(self.name)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        if self._calls is not None:
            self._calls.cancel()
