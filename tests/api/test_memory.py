"""What was sent or received, or could not be, is not held: it is free without a collection."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.api.conftest import Api
from tests.api.wire import LIMIT_S, connect, until
from tlog.api import connection, connections, large_response
from tlog.tokens import Scope

MIB = 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture(autouse=True)
def _traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deadlines are exact, memory is counted, and cycles stay as they would for long."""
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def _held(at_least: int) -> int:
    """The bytes of all blocks that are so large."""
    traces = tracemalloc.take_snapshot().traces
    return sum(trace.size for trace in traces if trace.size >= at_least)


def _paused(api: Api) -> int:
    """How many connections wait until their client takes more."""
    return sum(
        one.writing_paused  # type: ignore[attr-defined]
        for one in api.listener.connections._table._open
    )


def _idle(api: Api) -> int:
    """How many connections wait for their next request."""
    return sum(one.idle for one in api.listener.connections._table._open)


async def _ask(api: Api, path: str) -> socket.socket:
    """A connection that has asked for something and reads nothing yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", api.port))
    await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("way", ["reset", "closed", "deaf", "slow", "stopped"])
async def test_a_download_that_breaks_off_holds_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """However it ends, the body is gone with its share of the budget."""
    log = api.host.logs["public"]
    log.entries += [os.urandom(60_000) for _ in range(256)]
    log.publish()
    budget = api.app.service.response_budget
    if way == "slow":
        monkeypatch.setattr(large_response, "GRACE_S", 0.5)
        monkeypatch.setattr(large_response, "MIN_RATE", 1 << 40)
    async with asyncio.timeout(LIMIT_S):
        clients = [await _ask(api, "/logs/public/tile/entries/000") for _ in range(2)]
        await until(lambda: _paused(api) == len(clients))
        assert _held(8 * MIB) > 28 * MIB
        match way:
            case "reset" | "closed":
                for client in clients:
                    if way == "reset":
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    client.close()
            case "deaf":
                monkeypatch.setattr(connection, "SEND_WINDOW_S", 0.1)
            case "stopped":
                await api.listener.close()
        await until(lambda: budget.used_bytes == 0)
        await until(lambda: len(api.listener.connections._table) == 0)
    for client in clients:
        client.close()
    assert _held(8 * MIB) == 0


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["entries/1", "tile/entries/000.p/2", "tile/entries/000.p/3"])
async def test_a_connection_that_waits_holds_no_answer(
    api: Api, path: str, method: str, large: bool
) -> None:
    """Connections that are kept alive are many: their last answers must not stay."""
    log = api.host.logs["public"]
    log.entries += [os.urandom(60_000), os.urandom(60_000 if large else 100)]
    log.publish()
    request = f"{method} /logs/public/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        if method == "GET":
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            assert length >= 60_000
            await reader.readexactly(length)
        await until(lambda: _idle(api) == 1)
        assert _held(60_000) <= 60_100 * (2 if large else 1)  # the log's own entries


def _upload(api: Api, length: int, *scopes: Scope) -> bytes:
    token = api.bearer(*scopes)["Authorization"]
    return (
        f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def test_a_connection_that_waits_holds_no_body(api: Api) -> None:
    """A request that was refused before its body was read leaves nothing of it."""
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, _):
        await until(lambda: _idle(api) == 1)
        (one,) = api.listener.connections._table._open
        request = _upload(api, 60_000, Scope.READ) + os.urandom(60_000)
        one.data_received(request)  # type: ignore[attr-defined] # all at once
        del request
        assert (await reader.readline()).split()[1] == b"403"
        await until(lambda: _idle(api) == 1)
        assert _held(50_000) == 0


@pytest.mark.parametrize("broken", [False, True])
async def test_an_upload_that_breaks_off_holds_nothing(api: Api, broken: bool) -> None:
    """Neither what came of the body nor what waits for the rest stays."""
    measures = api.app.service.backend.http_measures
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            async with connect(api) as (_, writer):
                writer.write(_upload(api, 60_001, Scope.APPEND) + os.urandom(60_000))
                await until(lambda: measures.bodies == 1)
                await asyncio.sleep(0.05)
                if broken:
                    writer.transport.abort()
            await until(lambda: measures.bodies == 0)
            await until(lambda: len(api.listener.connections._table) == 0)
    assert _held(10_000) == 0
