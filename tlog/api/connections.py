"""The connections to one application, however they were accepted, and how they end."""

from __future__ import annotations

import asyncio
import ssl
from weakref import WeakSet

from aiohttp import web

from tlog.api.app import App
from tlog.api.connection import Connection
from tlog.api.connection_table import ConnectionLimits, ConnectionTable
from tlog.api.handshake import TlsHandshake
from tlog.api.tls_reading import CLEAR_BYTES
from tlog.tls import LoadedTls, TlsMaterial, make_context, read_client_certificate

SWEEP_S = 1.0  # how exact the deadlines of connections are


class Connections:
    """Makes connections of an application from `start` to `close`; the loop owns it."""

    def __init__(
        self,
        app: App,
        grace_s: float,
        limits: ConnectionLimits,
        tls: TlsMaterial | None = None,
    ) -> None:
        """Serve app, over TLS where there is something to do it with.

        limits: one connection over them takes the place of an idle one, or is closed; handshakes
        that are not done yet count too.
        grace_s: what requests under way have at `close`, before they lose their connection. A
        handler that reads a body is then cancelled; one that does something else has it again.
        """
        self._app = app
        self._grace_s = grace_s
        self._table = ConnectionTable(limits)
        self._context = None if tls is None else make_context(tls)
        self._clear = memoryview(bytearray(CLEAR_BYTES if tls is not None else 0))
        # Weakly: of one that broke off before it began nobody tells the end.
        self._handshakes: WeakSet[TlsHandshake] = WeakSet()
        self._measures = app.service.backend.http_measures
        self._measures.watch_connections(self._table)
        self._sweeping: asyncio.Task[None] | None = None
        self._server: web.Server | None = None

    def start(self) -> None:
        """Take connections, on the running loop."""
        self._server = self._app.make_server()
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    def use_tls(self, tls: LoadedTls) -> None:
        """Do TLS with this from the next connection on; those that are open go on as they are."""
        self._context = tls.context

    def make(self) -> asyncio.Protocol:
        """The protocol of a connection that was just accepted."""
        if self._context is None:
            return Connection(self._running_server(), self._table)
        handshake = TlsHandshake(
            self._table, self._context, self._make_above_tls, self._shaken, self._clear
        )
        self._handshakes.add(handshake)
        return handshake

    async def close(self) -> None:
        """Let requests under way end, then end every connection. A second call does nothing."""
        server, self._server = self._server, None
        for handshake in list(self._handshakes):
            handshake.abort()
        if server is not None:
            await asyncio.sleep(0)  # requests that have just come are begun
            server.pre_shutdown()
            await server.shutdown(self._grace_s)
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._table.abort_all()
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def _running_server(self) -> web.Server:
        if self._server is None:
            message = "a connection was accepted before start or after close"
            raise RuntimeError(message)
        return self._server

    def _make_above_tls(self, below: asyncio.Transport, session: ssl.SSLObject) -> Connection:
        certificate = session.getpeercert(binary_form=True)
        client = None if certificate is None else read_client_certificate(certificate)
        return Connection(self._running_server(), self._table, below, client)

    def _shaken(self, handshake: TlsHandshake, done: bool) -> None:  # noqa: FBT001 - a callback
        self._handshakes.discard(handshake)
        if not done:
            self._measures.failed_handshakes += 1

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._table.sweep(asyncio.get_running_loop().time())
