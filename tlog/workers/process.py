"""What a worker process does: HTTP on connections that the core accepted, until it says stop."""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket

from tlog.api.app import make_public_app
from tlog.api.connection_table import ConnectionLimits
from tlog.api.connections import Connections
from tlog.errors import TlsFileError
from tlog.heap import map_large_blocks
from tlog.measures import HttpMeasures
from tlog.program_log import configure_log
from tlog.tls import LoadedTls, TlsMaterial
from tlog.workers.channel import Channel
from tlog.workers.messages import (
    Answer,
    AppendedEach,
    Confirmed,
    Failure,
    Hello,
    Measured,
    State,
    Stop,
    ToWorker,
    UseTls,
    make_worker_decoder,
)
from tlog.workers.remote import Link, RemoteBackend

REPORT_S = 1.0
LOAD_AGAIN_S = 1.0
DESCRIPTOR_BYTES = array.array("i").itemsize


async def work(channel_descriptor: int, passed_descriptor: int) -> None:
    """Serve until the core says stop or is gone; both descriptors are sockets, and ours now."""
    worker = _Worker()
    with (
        socket.socket(fileno=channel_descriptor) as channel_socket,
        socket.socket(fileno=passed_descriptor) as passed,
    ):
        passed.setblocking(False)  # noqa: FBT003 - the name of the method says it
        await worker.run(channel_socket, passed)


class _Worker:
    """One worker process; the loop owns it."""

    def __init__(self) -> None:
        self._channel = Channel(make_worker_decoder(), self._received, self._lost)
        self._link = Link(self._channel.send)
        self._hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self._backend: RemoteBackend | None = None
        # The newest that came: it may be here before what begins with the Hello is.
        self._state: State | None = None
        self._tls: TlsMaterial | None = None
        self._loading = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self, channel_socket: socket.socket, passed: socket.socket) -> None:
        """Take connections that are passed, from the Hello to the Stop."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=channel_socket)
        hello = await self._hello
        configure_log(hello.config.log_level, hello.config.log_format, hello.process)
        if hello.tls is not None:
            map_large_blocks()
        state = self._state or hello.state
        backend = self._backend = RemoteBackend(hello.config, self._link, state)
        count = hello.config.connections
        limits = ConnectionLimits(count, max(1, count // 2))
        app = make_public_app(backend)
        connections = Connections(app, hello.grace_s, limits, self._tls or hello.tls)
        connections.start()
        accepting: set[asyncio.Task[None]] = set()

        def accept() -> None:
            for received in _receive(passed):
                task = loop.create_task(_serve(connections, received))
                accepting.add(task)
                task.add_done_callback(accepting.discard)

        loop.add_reader(passed, accept)
        measuring = loop.create_task(self._report(backend.http_measures))
        loading = loop.create_task(self._load_tls(connections, self._tls))
        self._channel.send(Confirmed(hello.state.number))
        try:
            await self._stop.wait()
        finally:
            loop.remove_reader(passed)
            await asyncio.gather(*accepting, return_exceptions=True)
            await connections.close()
            measuring.cancel()
            loading.cancel()
            self._channel.abort()

    async def _report(self, measures: HttpMeasures) -> None:
        """Tell the core what was counted, now and then: who reads it never waits for a worker."""
        while True:
            try:
                report = measures.take()
            except OSError:  # /proc cannot be read without a free descriptor; nothing is lost
                report = None
            self._channel.send(Measured(report))
            await asyncio.sleep(REPORT_S)

    async def _load_tls(self, connections: Connections, used: TlsMaterial | None) -> None:
        """Do TLS with the newest that came; to make it ready may take long."""
        while True:
            await self._loading.wait()
            self._loading.clear()
            newest = self._tls
            if newest is None or newest == used:
                continue
            try:
                connections.use_tls(await asyncio.to_thread(LoadedTls.of, newest))
            except (OSError, TlsFileError):  # it was tried before: no descriptors are left
                self._loading.set()
                await asyncio.sleep(LOAD_AGAIN_S)
                continue
            used = newest

    def _received(self, message: ToWorker) -> None:
        match message:
            case Hello():
                self._hello.set_result(message)
            case State():
                self._state = message
                if self._backend is not None:
                    self._backend.update(message)
                self._channel.send(Confirmed(message.number))
            case UseTls():
                self._tls = message.tls
                self._loading.set()
            case Stop():
                self._stop.set()
            case Answer() | AppendedEach() | Failure():
                self._link.answered(message)

    def _lost(self) -> None:
        """Without the core nothing can be answered."""
        self._link.lose()
        self._hello.cancel()
        self._stop.set()


def _receive(passed: socket.socket) -> list[socket.socket]:
    """The connections that were passed since; none when the core is gone."""
    received: list[socket.socket] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            data, descriptors, _, _ = socket.recv_fds(passed, 1, 1)
            received += [socket.socket(fileno=descriptor) for descriptor in descriptors]
            if not data:
                break
    return received


async def _serve(connections: Connections, accepted: socket.socket) -> None:
    """Hand a connection to the loop; one that broke off already is none."""
    accepted.setblocking(False)  # noqa: FBT003 - the name of the method says it
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_accepted_socket(connections.make, accepted)
    except OSError:
        accepted.close()
