"""The core's worker processes: begun, fed with connections, told what changes, begun again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from tlog.errors import ServerError
from tlog.host import Host
from tlog.tls import TlsMaterial
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

ACCEPT_AT_ONCE = 64  # connections of one turn of the loop
ACCEPT_PAUSE_S = 1.0  # when there are no descriptors left
READY_S = 30.0  # for a process to begin
CONFIRM_S = 5.0  # for one to take a new state; who does not is ended
AGAIN_S = 0.2  # before a process that died is begun again
BACKLOG = 512
_LOGGER = structlog.get_logger("tlog.workers")


class WorkerPool:
    """Serves a host on bound sockets by processes, from `start` to `close`; the loop owns it."""

    def __init__(
        self,
        host: Host,
        sockets: Sequence[socket.socket],
        count: int,
        grace_s: float,
        tls: TlsMaterial | None = None,
    ) -> None:
        """Take over the sockets; they are closed with the pool.

        count: of processes, which share the bounds of the configuration. grace_s: what requests
        under way have at `close`, twice (see Connections). tls: what processes do TLS with.
        """
        self._host = host
        self._sockets = tuple(sockets)
        self._config = replace(
            host.config,
            connections=max(1, host.config.connections // count),
            queue_bytes=host.config.queue_bytes // count,
            response_bytes=host.config.response_bytes // count,
        )
        self._grace_s = grace_s
        self._tls = tls
        self._workers = [
            _Worker(f"worker-{number}", host, self._accept_all) for number in range(count)
        ]
        self._turn = itertools.cycle(range(count))
        self._states = itertools.count(1)
        self._supervisors: list[asyncio.Task[None]] = []
        self._accepting = False
        self._pause: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin the processes, then accept connections.

        Raises:
            ServerError: one of them did not begin within READY_S.
        """
        loop = asyncio.get_running_loop()
        self._host.observe(self._announce)
        self._supervisors = [loop.create_task(self._supervise(each)) for each in self._workers]
        try:
            async with asyncio.timeout(READY_S):
                for worker in self._workers:
                    await worker.ready.wait()
        except TimeoutError as error:
            message = f"a worker process did not begin within {READY_S:.0f} s"
            raise ServerError(message) from error
        for bound in self._sockets:
            bound.listen(BACKLOG)
            bound.setblocking(False)  # noqa: FBT003 - the name of the method says it
        self._accepting = True
        self._accept_all()

    def use_tls(self, tls: TlsMaterial) -> None:
        """Have every process do TLS with this from its next connection on."""
        self._tls = tls
        for worker in self._workers:
            worker.tell(UseTls(tls))  # one that begins later has it in its Hello

    async def close(self) -> None:
        """Stop accepting, let requests under way end, and the processes with them."""
        loop = asyncio.get_running_loop()
        self._host.observe(None)
        self._accepting = False
        if self._pause is not None:
            self._pause.cancel()
        for bound in self._sockets:
            loop.remove_reader(bound)
            bound.close()
        for worker in self._workers:
            worker.stop()
        if self._supervisors:
            _, running = await asyncio.wait(self._supervisors, timeout=3 * self._grace_s)
            for worker in self._workers:
                worker.kill()
            if running:
                await asyncio.wait(running)

    def _accept_all(self) -> None:
        """Accept from now on, once `start` has come so far and `close` has not begun."""
        if self._accepting:
            for bound in self._sockets:
                asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _accept(self, bound: socket.socket) -> None:
        if not any(worker.ready.is_set() for worker in self._workers):
            # They wait in the kernel's queue until a worker is there again.
            asyncio.get_running_loop().remove_reader(bound)
            return
        for _ in range(ACCEPT_AT_ONCE):
            try:
                accepted, _ = bound.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._accept_later()
                return
            with accepted:
                self._pass(accepted)

    def _pass(self, accepted: socket.socket) -> None:
        """Give a connection to the next worker that takes it; with none it ends."""
        for _ in self._workers:
            if self._workers[next(self._turn)].take(accepted):
                return

    def _accept_later(self) -> None:
        """There are no descriptors left: wait until some may be free."""
        loop = asyncio.get_running_loop()
        for bound in self._sockets:
            loop.remove_reader(bound)
        self._pause = loop.call_later(ACCEPT_PAUSE_S, self._accept_all)

    async def _announce(self) -> None:
        """Return when no worker acts on an older state any more."""
        state = self._state()
        await asyncio.gather(*(worker.update(state) for worker in self._workers))

    def _state(self) -> State:
        host = self._host
        return State(
            next(self._states),
            [log.row for log in host.logs.values()],
            list(host.tokens.rows.values()),
        )

    def _make_hello(self, process: str) -> Hello:
        return Hello(process, self._config, self._grace_s, self._tls, self._state())

    async def _supervise(self, worker: _Worker) -> None:
        """Run a worker's process, and another one when it died."""
        while not worker.stopping:
            try:
                await worker.run(self._make_hello)
            except OSError as error:
                _LOGGER.error(  # noqa: TRY400
                    "a worker cannot be begun", worker=worker.name, reason=str(error)
                )
            if not worker.stopping:
                self._host.measures.worker_restarts += 1
                _LOGGER.error("a worker process ended and is begun again", worker=worker.name)
                await asyncio.sleep(AGAIN_S)


class _Worker:
    """One place in the pool: a process, or the wait for the next."""

    def __init__(self, name: str, host: Host, on_ready: Callable[[], None]) -> None:
        self.name = name
        self._host = host
        self._on_ready = on_ready
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel[ToCore] | None = None  # once the Hello is on its way
        self._calls: Calls | None = None
        self._passing: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self.ready = asyncio.Event()
        self.stopping = False

    async def run(self, make_hello: Callable[[str], Hello]) -> None:
        """Begin a process, and wait for its end."""
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
                "-m",
                "tlog.workers",
                str(theirs.fileno()),
                str(passed.fileno()),
                pass_fds=(theirs.fileno(), passed.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is for the core alone
            )
            self._process = process
            theirs.close()
            passed.close()
            try:
                await loop.create_unix_connection(lambda: channel, sock=ours)
                channel.send(make_hello(self.name))  # what changed before this moment is in it
                self._channel, self._passing = channel, passing
                if self.stopping:
                    channel.send(Stop())
                await process.wait()
            finally:
                self._channel = self._passing = None
                self.ready.clear()
                calls.cancel()
                channel.abort()
                self.kill()
                await process.wait()
                self._process = None

    def take(self, accepted: socket.socket) -> bool:
        """Whether the worker was given a connection."""
        if self._passing is None or not self.ready.is_set():
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
        self.stopping = True
        self.tell(Stop())

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _received(self, message: ToCore) -> None:
        if isinstance(message, Confirmed):
            if not self.ready.is_set():
                self.ready.set()
                self._on_ready()
            waiting = self._waiting.get(message.number)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        elif isinstance(message, Measured):
            self._host.measures.reported(self.name, message.report)
        elif self._calls is not None:
            self._calls.begin(message)

    def _lost(self) -> None:
        """The process ended or closed its channel: what it was told it needs not know any more."""
        self._host.measures.forget(self.name)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        if self._calls is not None:
            self._calls.cancel()
