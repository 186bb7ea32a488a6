"""Sockets on which an application is served, and how they end."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence

from tlog.addresses import BACKLOG, listen
from tlog.api.app import App
from tlog.api.connection_table import ConnectionLimits
from tlog.api.connections import Connections
from tlog.tls import LoadedTls, TlsMaterial


class Listener:
    """Serves one application on bound sockets, from `start` to `close`; the loop owns it."""

    def __init__(
        self,
        app: App,
        sockets: Sequence[socket.socket],
        grace_s: float,
        limits: ConnectionLimits,
        tls: TlsMaterial | None = None,
    ) -> None:
        """Take over the sockets; they are closed with the listener. The rest: as Connections."""
        self.connections = Connections(app, grace_s, limits, tls)
        self._sockets = tuple(sockets)
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Accept connections.

        Raises:
            OSError: an address is taken by now.
        """
        self.connections.start()
        loop = asyncio.get_running_loop()
        make = self.connections.make
        for bound in self._sockets:
            if bound.family == socket.AF_UNIX:
                server = await _serve_unix(make, bound)
            else:
                listen(bound)
                server = await loop.create_server(make, sock=bound, backlog=BACKLOG)
            self._servers.append(server)

    def use_tls(self, tls: LoadedTls) -> None:
        """See Connections.use_tls."""
        self.connections.use_tls(tls)

    async def close(self) -> None:
        """Stop accepting, and let requests under way end. A second call does nothing."""
        for server in self._servers:
            server.close()
        for bound in self._sockets:
            bound.close()
        await self.connections.close()


async def _serve_unix(make: Callable[[], asyncio.Protocol], bound: socket.socket) -> asyncio.Server:
    """Serve a unix socket, whose file stays: tlog.local binds and removes it."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 13):
        # Else asyncio looks for the file, under a name that leads through a closed descriptor.
        serving = loop.create_unix_server(make, sock=bound, backlog=BACKLOG, cleanup_socket=False)
    else:
        serving = loop.create_unix_server(make, sock=bound, backlog=BACKLOG)
    return await serving
