"""Both applications over one fake host, each served by a real listener."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests.api.documented import check, record
from tests.api.fakes import FakeHost
from tlog.api.app import App, make_local_app, make_public_app
from tlog.api.connection_table import ConnectionLimits
from tlog.api.listener import Listener
from tlog.local import bind_socket, socket_path
from tlog.tokens import Scope
from tlog.workers.calls import Calls
from tlog.workers.channel import Channel
from tlog.workers.messages import (
    Answer,
    AppendedEach,
    Confirmed,
    Failure,
    Measured,
    State,
    ToCore,
    ToWorker,
    make_core_decoder,
    make_worker_decoder,
)
from tlog.workers.remote import Link, RemoteBackend

GRACE_S = 1.0
ANSWERS = (Answer, AppendedEach, Failure)
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

    def set_body_timeout(self, seconds: float) -> None:
        """Bound bodies in time, wherever they are read."""
        self.host.config = replace(self.host.config, body_timeout_s=seconds)
        backend = self.app.service.backend
        if isinstance(backend, RemoteBackend):
            backend.config = self.host.config

    def bearer(self, *scopes: Scope, logs: tuple[str, ...] = ("private",)) -> dict[str, str]:
        """The header of a new valid token."""
        return {"Authorization": f"Bearer {self.host.token(logs, *scopes)}"}


@asynccontextmanager
async def worker_backend(host: FakeHost) -> AsyncIterator[RemoteBackend]:
    """A host as a worker sees it: through both ends of a channel, in this process."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    core: Channel[ToCore] = Channel(
        make_core_decoder(),
        lambda message: None if isinstance(message, Confirmed | Measured) else calls.begin(message),
        lambda: None,
    )
    worker: Channel[ToWorker] = Channel(
        make_worker_decoder(),
        lambda message: link.answered(message) if isinstance(message, ANSWERS) else None,
        lambda: link.lose(),  # noqa: PLW0108 - it is made below
    )
    calls = Calls(host.as_host(), core.send)
    link = Link(worker.send)
    await loop.create_unix_connection(lambda: core, sock=ours)
    await loop.create_unix_connection(lambda: worker, sock=theirs)
    backend = RemoteBackend(host.config, link, State(0, [], []))
    backend.tokens = host.tokens  # how the core tells of new ones is tested with real processes

    def update() -> None:
        backend.update(State(0, [log.row for log in host.logs.values()], []))
        for name, log in backend.logs.items():
            log.reserve = host.logs[name].reserve  # type: ignore[method-assign] # the knob of a test

    update()
    host.on_new_log = update
    try:
        yield backend
    finally:
        calls.cancel()
        core.abort()
        worker.abort()
        await asyncio.sleep(0)


@pytest.fixture(params=["one process", "workers"])
async def api(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """The API of a fake host, in the process that holds it and as a worker serves it."""
    host = FakeHost(tmp_path)
    if request.param == "workers":
        async with worker_backend(host) as backend, _serve(host, make_public_app(backend)) as api:
            yield api
    else:
        async with _serve(host, make_public_app(host.as_host())) as api:
            yield api


@asynccontextmanager
async def _serve(host: FakeHost, app: App) -> AsyncIterator[Api]:
    tmp_path, local_app = host.config.data_dir, make_local_app(host.as_host())
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    listener = Listener(app, [bound], GRACE_S, LIMITS)
    local_listener = Listener(local_app, [bind_socket(tmp_path)], GRACE_S, LIMITS)
    answers = (record(app), record(local_app))
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
    for answer in {each for recorded in answers for each in recorded}:
        check(answer)
