"""Sockets on which an application is served, and how they end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aiohttp import web

from tlog.api.app import App
from tlog.api.connection import Connection
from tlog.api.connection_table import ConnectionLimits, ConnectionTable

BACKLOG = 512
SWEEP_S = 1.0  # how exact the deadlines of connections are


class Listener:
    """Serves one application on bound sockets, from `start` to `close`; the loop owns it."""

    def __init__(
        self,
        app: App,
        sockets: Sequence[socket.socket],
        grace_s: float,
        limits: ConnectionLimits,
    ) -> None:
        """Take over the sockets; they are closed with the listener.

        limits: of its connections. One over them takes the place of an idle one, or is closed.
        grace_s: what requests under way have at `close`, before they lose their connection. A
        handler that reads a body is then cancelled; one that does something else has it again.
        """
        self._app = app
        self._grace_s = grace_s
        self._sockets = tuple(sockets)
        self._table = ConnectionTable(limits)
        self._sweeping: asyncio.Task[None] | None = None
        self._server: web.Server | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Accept connections."""
        self._server = self._app.make_server()
        loop = asyncio.get_running_loop()
        self._sweeping = loop.create_task(self._sweep())
        for bound in self._sockets:
            if bound.family == socket.AF_UNIX:
                server = await loop.create_unix_server(self._connect, sock=bound, backlog=BACKLOG)
            else:
                server = await loop.create_server(self._connect, sock=bound, backlog=BACKLOG)
            self._servers.append(server)

    async def close(self) -> None:
        """Stop accepting, and let requests under way end. A second call does nothing."""
        for accepting in self._servers:
            accepting.close()
        for bound in self._sockets:
            bound.close()
        server, self._server = self._server, None
        if server is not None:
            await asyncio.sleep(0)  # requests that have just come are begun
            server.pre_shutdown()
            await server.shutdown(self._grace_s)
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._table.abort_all()
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._table.sweep(asyncio.get_running_loop().time())

    def _connect(self) -> Connection:
        if self._server is None:
            message = "a connection was accepted before start or after close"
            raise RuntimeError(message)
        return Connection(self._server, self._table)
