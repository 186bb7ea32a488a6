"""Both applications over one fake host, each served by a real listener."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.api.fakes import FakeHost
from tlog.api.app import App, make_local_app, make_public_app
from tlog.api.connection_table import ConnectionLimits
from tlog.api.listener import Listener
from tlog.local import bind_socket, socket_path
from tlog.tokens import Scope

GRACE_S = 1.0
LIMITS = ConnectionLimits(32, 8)


@dataclass
class Api:
    """A served host: `http` asks over TCP, `local` over the unix socket."""

    host: FakeHost
    app: App
    local_app: App
    listener: Listener
    port: int
    http: aiohttp.ClientSession
    local: aiohttp.ClientSession

    def bearer(self, *scopes: Scope, logs: tuple[str, ...] = ("private",)) -> dict[str, str]:
        """The header of a new valid token."""
        return {"Authorization": f"Bearer {self.host.token(logs, *scopes)}"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """The API of a fake host."""
    host = FakeHost(tmp_path)
    app, local_app = make_public_app(host.as_host()), make_local_app(host.as_host())
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    listener = Listener(app, [bound], GRACE_S, LIMITS)
    local_listener = Listener(local_app, [bind_socket(tmp_path)], GRACE_S, LIMITS)
    await listener.start()
    await local_listener.start()
    timeout = aiohttp.ClientTimeout(total=20)
    try:
        with socket_path(tmp_path) as path:
            async with (
                aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as http,
                aiohttp.ClientSession(
                    "http://localhost", connector=aiohttp.UnixConnector(path), timeout=timeout
                ) as local,
            ):
                yield Api(host, app, local_app, listener, port, http, local)
    finally:
        await listener.close()
        await local_listener.close()
