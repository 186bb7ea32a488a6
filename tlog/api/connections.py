"""The connections to one application, however they were accepted, and how they end."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tlog.api.app import App
from tlog.api.connection import Connection
from tlog.api.connection_table import ConnectionLimits, ConnectionTable

SWEEP_S = 1.0  # how exact the deadlines of connections are


class Connections:
    """Makes connections of an application from `start` to `close`; the loop owns it."""

    def __init__(self, app: App, grace_s: float, limits: ConnectionLimits) -> None:
        """Serve app.

        limits: one connection over them takes the place of an idle one, or is closed.
        grace_s: what requests under way have at `close`, before they lose their connection. A
        handler that reads a body is then cancelled; one that does something else has it again.
        """
        self._app = app
        self._grace_s = grace_s
        self._table = ConnectionTable(limits)
        app.service.backend.http_measures.watch_connections(self._table)
        self._sweeping: asyncio.Task[None] | None = None
        self._server: web.Server | None = None

    def start(self) -> None:
        """Take connections, on the running loop."""
        self._server = self._app.make_server()
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    def make(self) -> Connection:
        """The protocol of a connection that was just accepted."""
        if self._server is None:
            message = "a connection was accepted before start or after close"
            raise RuntimeError(message)
        return Connection(self._server, self._table)

    async def close(self) -> None:
        """Let requests under way end, then end every connection. A second call does nothing."""
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
