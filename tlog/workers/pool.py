"""The core's worker processes: begun, fed with connections, told what changes, begun again."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from collections.abc import Sequence
from dataclasses import replace

from tlog.addresses import listen
from tlog.api.read import MAX_ROW_BYTES
from tlog.config import Config
from tlog.errors import ServerError
from tlog.host import Host
from tlog.tls import LoadedTls, TlsMaterial
from tlog.workers.messages import Hello, State, UseTls
from tlog.workers.worker import READY_TICKS, TICK_S, Worker
from tlog_proofs import TILE_WIDTH

ACCEPT_AT_ONCE = 64  # connections of one turn of the loop
ACCEPT_PAUSE_S = 1.0  # when there are no descriptors left
MAX_BUNDLE_BYTES = TILE_WIDTH * MAX_ROW_BYTES


def share(config: Config, count: int) -> Config:
    """What one of count processes may hold: its part, but room for the largest request at least."""
    return replace(
        config,
        connections=max(1, config.connections // count),
        queue_bytes=max(config.batch_bytes, config.queue_bytes // count),
        # Half is for one address, and it is half that must hold a bundle.
        response_bytes=max(2 * MAX_BUNDLE_BYTES, config.response_bytes // count),
    )


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
        self._config = share(host.config, count)
        self._grace_s = grace_s
        self._tls = tls
        self._workers = [
            Worker(f"worker-{number}", host, self._accept_all) for number in range(count)
        ]
        self._turn = itertools.cycle(range(count))
        self._states = itertools.count(1)
        self._supervisors: list[asyncio.Task[None]] = []
        self._ticking: asyncio.Task[None] | None = None
        self._accepting = False
        self._pause: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin the processes, then accept connections.

        Raises:
            ServerError: one of them did not begin within READY_TICKS.
            OSError: an address is taken by now.
        """
        loop = asyncio.get_running_loop()
        self._host.observe(self._announce)
        self._supervisors = [
            loop.create_task(worker.keep_running(self._make_hello)) for worker in self._workers
        ]
        self._ticking = loop.create_task(self._tick())
        ready_s = READY_TICKS * TICK_S
        try:
            async with asyncio.timeout(ready_s):
                for worker in self._workers:
                    await worker.ready.wait()
        except TimeoutError as error:
            message = f"a worker process did not begin within {ready_s:.0f} s"
            raise ServerError(message) from error
        for bound in self._sockets:
            listen(bound)
            bound.setblocking(False)  # noqa: FBT003 - the name of the method says it
        self._accepting = True
        self._accept_all()

    def use_tls(self, tls: LoadedTls) -> None:
        """Have every process do TLS with this from its next connection on."""
        self._tls = tls.material
        for worker in self._workers:
            worker.tell(UseTls(tls.material))  # one that begins later has it in its Hello

    async def close(self) -> None:
        """Stop accepting, let requests under way end, and the processes with them."""
        loop = asyncio.get_running_loop()
        self._host.observe(None)
        self._accepting = False
        for ending in (self._pause, self._ticking):
            if ending is not None:
                ending.cancel()
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
        if not any(worker.taking for worker in self._workers):
            # They wait in the kernel's queue until a worker takes them again.
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

    async def _tick(self) -> None:
        """Measure, by this process's own loop, how long workers have been silent."""
        while True:
            await asyncio.sleep(TICK_S)
            for worker in self._workers:
                worker.tick()
